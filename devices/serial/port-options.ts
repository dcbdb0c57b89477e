import type { DeviceContext } from '../device.ts'
import { choice, flag, serialPort, whole } from '../options.ts'
import type { OpenPort, PortRequest } from './ports.ts'

/** Whether a port is plugged in again is looked at so often. */
export const PORT_RETRY_MS = 5000

/** Options of everything at a serial port. */
export function portOptions(baudRate: number) {
  return {
    port: serialPort('Port that it is connected to.'),
    baudRate: whole('Bits a second; the same as at the device.', baudRate, { min: 50, max: 4_000_000 }),
    dataBits: whole('Bits of a character.', 8, { min: 7, max: 8 }),
    parity: choice('Parity bit of a character.', 'none', ['none', 'even', 'odd']),
    stopBits: whole('Stop bits of a character.', 1, { min: 1, max: 2 }),
    rs485: flag(
      'The UART of the board switches an RS-485 transceiver, as its device tree says. USB adapters do that by themselves.',
      false,
    ),
  }
}

export interface PortSettings {
  readonly port: string
  readonly baudRate: number
  readonly dataBits: number
  readonly parity: PortRequest['parity']
  readonly stopBits: number
  readonly rs485: boolean
}

/** Opens the port of a device, which is lost with it. */
export function openPort(
  { serial, lost, options }: Pick<DeviceContext, 'serial' | 'lost'> & { options: PortSettings },
  onData: (bytes: Uint8Array) => void,
): Promise<OpenPort> {
  const { port, baudRate, parity, rs485 } = options
  return serial.open({
    port,
    baudRate,
    dataBits: options.dataBits === 7 ? 7 : 8,
    parity,
    stopBits: options.stopBits === 2 ? 2 : 1,
    rs485,
    onData,
    onGone: (reason) => lost(new Error(reason)),
  })
}

/** Time that a character takes on the wire, ms. */
export function characterMs({ baudRate, dataBits, parity, stopBits }: PortSettings): number {
  const bits = 1 + dataBits + (parity === 'none' ? 0 : 1) + stopBits
  return (bits * 1000) / baudRate
}

/** For messages: `9600 baud 8N1`. */
export function describeSettings({ baudRate, dataBits, parity, stopBits }: PortSettings): string {
  return `${baudRate} baud ${dataBits}${parity[0].toUpperCase()}${stopBits}`
}
