import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readOptional } from '../kernel/sysfs-file.ts'

/** A part of a keypad, reader or gamepad; a keyboard often has several. */
export interface EventDevice {
  /** `/dev/input/event3`. */
  readonly path: string
  readonly name: string
  /** Four hexadecimal digits. */
  readonly vendor: string
  readonly product: string
  /** '' of devices without one, which are most. */
  readonly serial: string
  /** The same for all parts of one device. */
  readonly place: string
}

/** All that have keys or axes, in order. Source: Documentation/input/input.rst of Linux. */
export async function listEventDevices(sysfs: string, dev: string): Promise<EventDevice[]> {
  const root = join(sysfs, 'class/input')
  const entries = await readdir(root).catch(() => [])
  const events = entries.filter((entry) => /^event\d+$/.test(entry))
  events.sort((a, b) => Number(a.slice('event'.length)) - Number(b.slice('event'.length)))
  const all = await Promise.all(events.map((entry) => describe(join(root, entry, 'device'), join(dev, 'input', entry))))
  return all.filter((one) => one !== undefined)
}

/**
 * The paths of the one device that is meant: a path, `usb:VENDOR:PRODUCT[:SERIAL]` or a name. Rejects with what there is
 * instead.
 */
export async function findEventDevices(wanted: string, sysfs: string, dev: string): Promise<string[]> {
  const isPath = wanted.startsWith('/')
  const isThere = isPath && (await exists(wanted))
  if (isThere) return [wanted]
  const all = await listEventDevices(sysfs, dev)
  const found = isPath ? [] : all.filter((one) => fits(wanted, one))
  const places = new Set(found.map(({ place }) => place))
  if (places.size === 1) return found.map(({ path }) => path)
  if (places.size > 1) {
    throw new Error(
      `${places.size} devices are ${wanted}: name one by its path below /dev/input/by-path: ${list(found)}`,
    )
  }
  const others = all.length === 0 ? 'this machine has none' : `there are ${list(all)}`
  throw new Error(`there is no input device ${wanted}: plug it in, or name another one; ${others}`)
}

async function describe(folder: string, path: string): Promise<EventDevice | undefined> {
  const read = async (name: string) => (await readOptional(join(folder, name)))?.trim() ?? ''
  const [name, vendor, product, serial, place, keys, axes] = await Promise.all(
    ['name', 'id/vendor', 'id/product', 'uniq', 'phys', 'capabilities/key', 'capabilities/abs'].map(read),
  )
  const hasAny = (bits: string) => /[1-9a-f]/.test(bits)
  if (!hasAny(keys) && !hasAny(axes)) return undefined
  return { path, name, vendor, product, serial, place: place.replace(/\/input\d+$/, '') || path }
}

function fits(wanted: string, { name, vendor, product, serial }: EventDevice): boolean {
  const [, wantedVendor, wantedProduct, wantedSerial] = /^usb:([^:]+):([^:]+)(?::(.+))?$/i.exec(wanted) ?? []
  if (wantedVendor === undefined) return name.toLowerCase() === wanted.toLowerCase()
  return (
    Number.parseInt(wantedVendor, 16) === Number.parseInt(vendor, 16) &&
    Number.parseInt(wantedProduct, 16) === Number.parseInt(product, 16) &&
    (wantedSerial === undefined || wantedSerial === serial)
  )
}

function list(devices: readonly EventDevice[]): string {
  return devices.map(({ name, vendor, product, path }) => `"${name}" (usb:${vendor}:${product}, ${path})`).join('; ')
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
