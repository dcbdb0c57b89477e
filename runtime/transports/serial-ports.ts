import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** A serial port of this machine. The USB fields are as the device tells them. */
export interface SerialPortInfo {
  /** `/dev/ttyUSB0`: may name another device after a reboot. */
  path: string
  /** `/dev/serial/by-id/…`: follows the device. */
  byId?: string
  /** `/dev/serial/by-path/…`: follows the socket that the device is plugged into. */
  byPath?: string
  isUsb: boolean
  /** Four hexadecimal digits, lower case. */
  vendorId?: string
  productId?: string
  serialNumber?: string
  manufacturer?: string
  product?: string
  /** Which of the ports of an adapter that has several. */
  interfaceNumber?: number
  /** Name of the kernel driver: `ftdi_sio`, `cdc_acm`, `uart-pl011` … */
  driver?: string
}

/** Drivers of the kernel's own layer between a UART and its device. */
const LAYER_DRIVERS = new Set(['port', 'ctrl'])

/**
 * The serial ports there are, by name: USB adapters and boards, UARTs and Bluetooth. No consoles, and none of the UARTs
 * that the kernel reserves names for without having found them. `root` is where /sys and /dev are. Never rejects.
 */
export async function listSerialPorts(root = '/'): Promise<SerialPortInfo[]> {
  const names = await readdir(join(root, 'sys/class/tty')).catch(() => [])
  const [byId, byPath] = await Promise.all([linksBelow(root, 'by-id'), linksBelow(root, 'by-path')])
  const ports = await Promise.all(
    names.map(async (name): Promise<SerialPortInfo | undefined> => {
      if (!(await isPort(root, name))) return undefined
      const device = await realpath(join(root, 'sys/class/tty', name, 'device')).catch(() => undefined)
      return {
        path: `/dev/${name}`,
        ...defined({ byId: byId.get(name), byPath: byPath.get(name) }),
        ...(await usbIdentity(device, root)),
        ...defined({ driver: device === undefined ? undefined : await driverOf(device, root) }),
      }
    }),
  )
  return ports
    .filter((port) => port !== undefined)
    .sort((one, other) => one.path.localeCompare(other.path, 'en', { numeric: true }))
}

/** The port in words, for lists in messages: `/dev/ttyUSB0 (0403:6001 FTDI FT232R, serial A50285BI)`. */
export function describePort(port: SerialPortInfo): string {
  if (!port.isUsb) return port.path
  const serial = port.serialNumber === undefined ? '' : `, serial ${port.serialNumber}`
  const words = [`${port.vendorId}:${port.productId}`, port.manufacturer, port.product]
  return `${port.path} (${words.filter((word) => word !== undefined).join(' ')}${serial})`
}

/** Virtual terminals have no device; a Bluetooth port has one only while it is connected. */
async function isPort(root: string, name: string): Promise<boolean> {
  const entry = join(root, 'sys/class/tty', name)
  const isThere = await Promise.all([
    stat(join(root, 'dev', name)).catch(() => undefined),
    /^rfcomm\d+$/.test(name) ? true : stat(join(entry, 'device')).catch(() => undefined),
  ])
  if (isThere.includes(undefined)) return false
  // Type 0 is "unknown": a name without hardware.
  return (await attribute(entry, 'type')) !== '0'
}

/** Names of devices in /dev and the link to each in one of the folders of /dev/serial. */
async function linksBelow(root: string, folder: string): Promise<Map<string, string>> {
  const links = new Map<string, string>()
  for (const name of (await readdir(join(root, 'dev/serial', folder)).catch(() => [])).sort()) {
    const target = await realpath(join(root, 'dev/serial', folder, name)).catch(() => undefined)
    if (target !== undefined) links.set(basename(target), `/dev/serial/${folder}/${name}`)
  }
  return links
}

/** Looks upwards in the device tree for the interface and then for the USB device. */
async function usbIdentity(device: string | undefined, root: string): Promise<Omit<SerialPortInfo, 'path'>> {
  let interfaceNumber: string | undefined
  for (const folder of upwards(device, root)) {
    interfaceNumber ??= await attribute(folder, 'bInterfaceNumber')
    const vendorId = await attribute(folder, 'idVendor')
    if (vendorId === undefined) continue
    return {
      isUsb: true,
      vendorId,
      ...defined({
        productId: await attribute(folder, 'idProduct'),
        serialNumber: await attribute(folder, 'serial'),
        manufacturer: await attribute(folder, 'manufacturer'),
        product: await attribute(folder, 'product'),
        interfaceNumber: interfaceNumber === undefined ? undefined : Number.parseInt(interfaceNumber, 16),
      }),
    }
  }
  return { isUsb: false }
}

async function driverOf(device: string, root: string): Promise<string | undefined> {
  for (const folder of upwards(device, root)) {
    const driver = await realpath(join(folder, 'driver')).catch(() => undefined)
    if (driver !== undefined && !LAYER_DRIVERS.has(basename(driver))) return basename(driver)
  }
  return undefined
}

/** The folder and those above it, up to the root of the device tree. */
function upwards(folder: string | undefined, root: string): string[] {
  const folders: string[] = []
  const top = join(root, 'sys/devices')
  for (let at = folder; at?.includes(top) && !at.endsWith(top); at = dirname(at)) folders.push(at)
  return folders
}

async function attribute(folder: string, name: string): Promise<string | undefined> {
  const text = await readFile(join(folder, name), 'utf8').catch(() => undefined)
  return text?.trim() || undefined
}

/** Without the keys that have no value. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
