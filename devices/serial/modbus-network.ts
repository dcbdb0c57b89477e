import { connect, type Socket } from 'node:net'
import type { DeviceContext } from '../device.ts'
import { ModbusError, refusal } from './modbus-error.ts'
import type { ModbusLink } from './modbus-link.ts'
import { isAnswerTo, REFUSED } from './modbus-pdu.ts'

/** Number of the request u16, protocol u16 = 0, bytes that follow u16, slave u8; then the PDU. */
const HEADER_BYTES = 7
const LONGEST_PDU = 253

interface NetworkOptions {
  readonly host: string
  readonly port: number
  readonly timeout: number
}

type NetworkContext = Pick<DeviceContext, 'clock' | 'lost'> & { options: NetworkOptions }

interface Waiting {
  number: number
  slave: number
  request: Uint8Array
  resolve(answer: Uint8Array): void
  reject(error: ModbusError): void
}

/**
 * The client of a Modbus TCP server, or of a gateway to a line of slaves. Source: MODBUS Messaging on TCP/IP
 * Implementation Guide V1.0b, section 3.1.3.
 */
export class ModbusNetwork implements ModbusLink {
  private readonly clock: DeviceContext['clock']
  private readonly timeoutMs: number
  private readonly socket: Socket
  private received: Buffer = Buffer.alloc(0)
  private number = 0
  private waiting: Waiting | null = null
  private timer: { cancel(): void } | null = null
  private isClosed = false

  private constructor(socket: Socket, { clock, lost, options }: NetworkContext) {
    this.socket = socket
    this.clock = clock
    this.timeoutMs = options.timeout
    const place = `${options.host}:${options.port}`
    socket.on('data', (bytes) => this.receive(bytes))
    socket.on('close', () => {
      if (this.isClosed) return
      this.isClosed = true
      this.finish()?.reject(new ModbusError('the connection is gone'))
      lost(new Error(`${place} has closed the connection`))
    })
  }

  /** Rejects when nobody answers there. */
  static async open(context: NetworkContext): Promise<ModbusNetwork> {
    const { clock, options } = context
    const { host, port, timeout } = options
    const socket = connect({ host, port, noDelay: true })
    // Every error is followed by `close`.
    socket.on('error', () => {})
    let timer: { cancel(): void } | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        const fail = (reason: string) =>
          reject(
            new Error(`no connection to Modbus TCP at ${host}:${port}: ${reason}: check the address and the cable`),
          )
        timer = clock.timer(timeout, () => fail(`no answer within ${timeout} ms`))
        socket.once('connect', resolve)
        socket.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message))
      })
    } catch (error) {
      socket.destroy()
      throw error
    } finally {
      timer?.cancel()
    }
    return new ModbusNetwork(socket, context)
  }

  async request(slave: number, pdu: Uint8Array): Promise<Uint8Array> {
    if (this.isClosed) throw new ModbusError('the connection is gone')
    this.number = (this.number + 1) & 0xffff
    const frame = Buffer.alloc(HEADER_BYTES + pdu.length)
    frame.writeUInt16BE(this.number, 0)
    frame.writeUInt16BE(1 + pdu.length, 4)
    frame[6] = slave
    frame.set(pdu, HEADER_BYTES)
    const answer = await new Promise<Uint8Array>((resolve, reject) => {
      this.waiting = { number: this.number, slave, request: pdu, resolve, reject }
      this.timer = this.clock.timer(this.timeoutMs, () => this.finish()?.reject(new ModbusError('no answer')))
      this.socket.write(frame)
    })
    if ((answer[0] & REFUSED) !== 0) throw refusal(answer[1])
    return answer
  }

  giveUp(): void {
    this.finish()?.reject(new ModbusError('no answer so far'))
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.finish()?.reject(new ModbusError('the connection is gone'))
    this.socket.destroy()
  }

  private receive(bytes: Buffer): void {
    this.received = Buffer.concat([this.received, bytes])
    while (this.received.length >= HEADER_BYTES) {
      const length = this.received.readUInt16BE(4)
      if (this.received.readUInt16BE(2) !== 0 || length < 2 || length > 1 + LONGEST_PDU) {
        // Whoever sends this does not speak Modbus.
        this.socket.destroy()
        return
      }
      if (this.received.length < HEADER_BYTES - 1 + length) return
      const answer = Uint8Array.from(this.received.subarray(HEADER_BYTES, HEADER_BYTES - 1 + length))
      const number = this.received.readUInt16BE(0)
      const slave = this.received[6]
      this.received = this.received.subarray(HEADER_BYTES - 1 + length)
      this.take(number, slave, answer)
    }
  }

  /** An answer that comes after its time is none. */
  private take(number: number, slave: number, answer: Uint8Array): void {
    const { waiting } = this
    if (waiting === null || waiting.number !== number || waiting.slave !== slave) return
    if (isAnswerTo(waiting.request, answer)) this.finish()?.resolve(answer)
  }

  private finish(): Waiting | null {
    this.timer?.cancel()
    this.timer = null
    const { waiting } = this
    this.waiting = null
    return waiting
  }
}
