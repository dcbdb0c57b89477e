import type { DeviceContext } from '../device.ts'
import { ModbusError, refusal } from './modbus-error.ts'
import type { ModbusLink } from './modbus-link.ts'
import { answerLength, expectedLength, isAnswerTo, REFUSED } from './modbus-pdu.ts'
import { openPort, type PortSettings } from './port-options.ts'
import type { OpenPort } from './ports.ts'

/** Of a character, whatever the parity: a missing parity bit is made up for by a stop bit. */
const CHARACTER_BITS = 11
const SILENT_CHARACTERS = 3.5
/** Above this rate the silent interval is no longer counted in characters. */
const FAST_BAUD = 19_200
const FAST_SILENCE_MS = 1.75
/** Address, function … checksum. */
const LONGEST_FRAME = 256
const CHECKSUM_BYTES = 2

/** CRC-16/MODBUS: polynomial 0xA001 (reflected 0x8005), from 0xFFFF; sent low byte first. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0xffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >> 1) ^ 0xa001 : crc >> 1
  }
  return crc
}

/** slave, PDU, CRC. */
export function rtuFrame(slave: number, pdu: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + pdu.length + CHECKSUM_BYTES)
  frame[0] = slave
  frame.set(pdu, 1)
  const crc = crc16(frame.subarray(0, 1 + pdu.length))
  frame.set([crc & 0xff, crc >> 8], 1 + pdu.length)
  return frame
}

export interface RtuTimes {
  /** How long a slave may take until its answer is complete, besides the time of the bytes. */
  timeoutMs: number
  /** After an answer, at least. */
  pauseMs: number
}

type RtuContext = Pick<DeviceContext, 'serial' | 'lost' | 'clock'> & { options: PortSettings }

interface Waiting {
  slave: number
  request: Uint8Array
  resolve(answer: Uint8Array): void
  reject(error: ModbusError): void
}

/**
 * The master of a Modbus RTU line. Source: MODBUS over Serial Line Specification and Implementation Guide V1.02,
 * section 2.5.1.
 */
export class ModbusRtu implements ModbusLink {
  private readonly clock: DeviceContext['clock']
  private readonly times: RtuTimes
  private readonly byteMs: number
  private readonly silenceMs: number
  private readonly received = new Uint8Array(LONGEST_FRAME)
  private length = 0
  private readonly port: OpenPort
  private waiting: Waiting | null = null
  private timer: { cancel(): void } | null = null
  private endWait: (() => void) | null = null
  private isGivenUp = false
  private isClosed = false
  /** When the line was last in use. */
  private busyAt = Number.NEGATIVE_INFINITY

  private constructor(port: OpenPort, { clock, options }: RtuContext, times: RtuTimes) {
    this.port = port
    this.clock = clock
    this.times = times
    this.byteMs = (CHARACTER_BITS * 1000) / options.baudRate
    this.silenceMs = options.baudRate > FAST_BAUD ? FAST_SILENCE_MS : SILENT_CHARACTERS * this.byteMs
  }

  /** Rejects when the port cannot be opened. */
  static async open(context: RtuContext, times: RtuTimes): Promise<ModbusRtu> {
    let rtu: ModbusRtu | undefined
    const port = await openPort(context, (bytes) => rtu?.receive(bytes))
    rtu = new ModbusRtu(port, context, times)
    return rtu
  }

  async request(slave: number, pdu: Uint8Array): Promise<Uint8Array> {
    this.isGivenUp = false
    const sinceMs = this.clock.now() - this.busyAt
    const pauseMs = Math.max(this.silenceMs, this.times.pauseMs) - sinceMs
    if (pauseMs > 0 && !this.isClosed) await this.wait(pauseMs)
    if (this.isClosed) throw new ModbusError('the port was closed')
    if (this.isGivenUp) throw new ModbusError('not asked')
    const frame = rtuFrame(slave, pdu)
    const answer = await new Promise<Uint8Array>((resolve, reject) => {
      this.waiting = { slave, request: pdu, resolve, reject }
      // What is left of a late answer is none to this request.
      this.length = 0
      this.port.write(frame)
      const allowedMs = this.times.timeoutMs + (frame.length + expectedLength(pdu) + 1 + CHECKSUM_BYTES) * this.byteMs
      this.timer = this.clock.timer(allowedMs, () => this.onTimeout())
    })
    if ((answer[0] & REFUSED) !== 0) throw refusal(answer[1])
    return answer
  }

  giveUp(): void {
    this.isGivenUp = true
    this.endWait?.()
    // The answer may come yet.
    if (this.waiting !== null) this.busyAt = this.clock.now()
    this.finish()?.reject(new ModbusError('no answer so far'))
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.endWait?.()
    this.finish()?.reject(new ModbusError('the port was closed'))
    await this.port.close()
  }

  private async wait(ms: number): Promise<void> {
    let timer: { cancel(): void } | undefined
    await new Promise<void>((resolve) => {
      timer = this.clock.timer(ms, resolve)
      this.endWait = resolve
    })
    timer?.cancel()
    this.endWait = null
  }

  private receive(bytes: Uint8Array): void {
    this.busyAt = this.clock.now()
    const room = LONGEST_FRAME - this.length
    this.received.set(bytes.subarray(0, room), this.length)
    this.length += Math.min(bytes.length, room)
    this.look()
  }

  /** An answer may come in pieces, and behind noise that the switching of the line made. */
  private look(): void {
    const { waiting } = this
    if (waiting === null) return
    for (let start = 0; start < this.length; start++) {
      const frame = this.received.subarray(start, this.length)
      if (frame[0] !== waiting.slave) continue
      const pdu = frame.subarray(1)
      const length = answerLength(pdu)
      if (length === undefined || pdu.length < length + CHECKSUM_BYTES) continue
      const crc = pdu[length] + pdu[length + 1] * 0x100
      if (crc16(frame.subarray(0, 1 + length)) !== crc) continue
      const answer = pdu.slice(0, length)
      if (!isAnswerTo(waiting.request, answer)) continue
      this.finish()?.resolve(answer)
      return
    }
  }

  private onTimeout(): void {
    this.busyAt = this.clock.now()
    const what = this.length === 0 ? 'no answer' : 'no valid answer (bytes came, but their checksum is wrong)'
    this.finish()?.reject(new ModbusError(what))
  }

  private finish(): Waiting | null {
    this.timer?.cancel()
    this.timer = null
    const { waiting } = this
    this.waiting = null
    return waiting
  }
}
