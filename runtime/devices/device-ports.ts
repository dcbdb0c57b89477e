import { readFile, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { OpenPort, PortRequest, SerialPorts } from '../../devices/serial/ports.ts'
import type { Clock } from '../router/clock.ts'
import { SerialError } from '../transports/serial-error.ts'
import { openSerialPort } from '../transports/serial-port.ts'
import { findSerialPort, parsePortSelector } from '../transports/serial-selector.ts'

/** Of the device tree, where it says that the driver switches the transceiver from the start. */
const RS485_PROPERTY = 'linux,rs485-enabled-at-boot-time'
/** A port of the kernel's serial layer is up to two levels below its UART. */
const LEVELS = 4

/** The serial ports of this machine, for drivers. `root` is where /sys and /dev are. */
export class DevicePorts implements SerialPorts {
  private readonly clock: Clock
  private readonly root: string

  constructor(clock: Clock, root = '/') {
    this.clock = clock
    this.root = root
  }

  async open({ port, rs485, baudRate, dataBits, parity, stopBits, onData, onGone }: PortRequest): Promise<OpenPort> {
    const selector = parsePortSelector(port)
    if (selector === undefined) {
      throw new SerialError('missing', `${port} names no serial port: set a path or usb:VENDOR:PRODUCT[:SERIAL]`)
    }
    const found = await findSerialPort(selector, this.root)
    if (found instanceof SerialError) throw found
    const { path } = found
    if (rs485 && !(await isRs485(path, this.root))) throw noRs485(path)
    const settings = { baudRate, dataBits, parity, stopBits, clock: this.clock }
    return openSerialPort(path, settings, { onData, onGone, onDrain: () => {} })
  }
}

/**
 * Whether the kernel switches the direction of the transceiver by itself. To ask it to takes TIOCSRS485, which Node.js
 * cannot send. Source: Linux, Documentation/devicetree/bindings/serial/rs485.yaml.
 */
async function isRs485(path: string, root: string): Promise<boolean> {
  const name = basename(await realpath(join(root, path)).catch(() => path))
  let folder = await realpath(join(root, 'sys/class/tty', name, 'device')).catch(() => '')
  for (let level = 0; level < LEVELS && folder !== ''; level++) {
    // A property without a value is an empty file.
    const isSet = await readFile(join(folder, 'of_node', RS485_PROPERTY)).then(
      () => true,
      () => false,
    )
    if (isSet) return true
    folder = dirname(folder)
  }
  return false
}

function noRs485(path: string): SerialError {
  return new SerialError(
    'unsupported',
    `the driver of ${path} does not switch an RS-485 transceiver: add "${RS485_PROPERTY}" to this UART with a device tree overlay, or use a USB adapter or transceiver that switches by itself, and leave out rs485`,
  )
}
