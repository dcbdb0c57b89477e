import { realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SerialError } from './serial-error.ts'
import { describePort, listSerialPorts, type SerialPortInfo } from './serial-ports.ts'

/** A USB device by what it tells of itself: stable when the numbers of ttyUSB change. */
export interface UsbSelector {
  /** Hexadecimal, 1 to 4 digits. */
  vendor: string
  product?: string
  serial?: string
}

/** A path, which may be a symlink, or a USB device. */
export type PortSelector = string | UsbSelector

/** `/dev/…`, `usb:2341`, `usb:2341:0043`, `usb:2341:0043:SERIAL`, `usb:2341::SERIAL`. Undefined for anything else. */
export function parsePortSelector(text: string): PortSelector | undefined {
  if (text.startsWith('/')) return text
  const [, vendor, product, serial] = /^usb:([\da-f]{1,4})(?::([\da-f]{0,4})(?::(.+))?)?$/i.exec(text) ?? []
  if (vendor === undefined) return undefined
  return { vendor, ...(product ? { product } : {}), ...(serial ? { serial } : {}) }
}

/** The one port that fits, by the path or one of the links in the list. Else a SerialError: missing or ambiguous. */
export function matchPort(selector: PortSelector, ports: readonly SerialPortInfo[]): SerialPortInfo | SerialError {
  const found = ports.filter((port) => fits(selector, port))
  if (found.length === 1) return found[0]
  if (found.length === 0) return missingPort(selector, ports)
  const paths = found.map((port) => port.byPath ?? port.path).join(', ')
  return new SerialError(
    'ambiguous',
    `${found.length} serial ports are ${describeSelector(selector)}: name one by its path: ${paths}`,
  )
}

/**
 * Where the selected port is now. A path may also be a link of somebody's own, or a terminal that is no port of this
 * machine. `root` is where /sys and /dev are. Never rejects.
 */
export async function findSerialPort(selector: PortSelector, root = '/'): Promise<SerialPortInfo | SerialError> {
  const ports = await listSerialPorts(root)
  const found = matchPort(selector, ports)
  if (typeof selector !== 'string' || !(found instanceof SerialError)) return found
  const target = await realpath(join(root, selector)).catch(() => undefined)
  if (target === undefined) return found
  const port = ports.find(({ path }) => join(root, path) === target)
  if (port !== undefined) return port
  const isTerminal = (await stat(target).catch(() => undefined))?.isCharacterDevice() === true
  return isTerminal ? { path: selector, isUsb: false } : found
}

export function missingPort(selector: PortSelector, ports: readonly SerialPortInfo[]): SerialError {
  const others = ports.length === 0 ? 'this machine has none' : `there are: ${ports.map(describePort).join('; ')}`
  return new SerialError(
    'missing',
    `no serial port ${describeSelector(selector)}: plug it in, or set another path (${others})`,
  )
}

function describeSelector(selector: PortSelector): string {
  if (typeof selector === 'string') return selector
  const serial = selector.serial === undefined ? '' : `, serial ${selector.serial}`
  return `USB ${selector.vendor}:${selector.product ?? '*'}${serial}`
}

function fits(selector: PortSelector, port: SerialPortInfo): boolean {
  if (typeof selector === 'string') return [port.path, port.byId, port.byPath].includes(selector)
  const { vendor, product, serial } = selector
  return (
    isSameId(vendor, port.vendorId) &&
    (product === undefined || isSameId(product, port.productId)) &&
    (serial === undefined || serial === port.serialNumber)
  )
}

function isSameId(one: string, other: string | undefined): boolean {
  return other !== undefined && Number.parseInt(one, 16) === Number.parseInt(other, 16)
}
