/** Hot path: `read` runs once per wake-up of the port, `flush` once per callback that writes. */

import { execFile } from 'node:child_process'
import { readSync } from 'node:fs'
import { promisify } from 'node:util'
import { type Clock, systemClock, type Timer } from '../router/clock.ts'
import { checkActualBaudRate, checkBaudRate } from './serial-baud-rate.ts'
import { loadSerialDriver, type SerialBinding } from './serial-binding.ts'
import { SerialError } from './serial-error.ts'
import { setLowLatency } from './serial-latency.ts'
import { explainOpenFailure } from './serial-open-failure.ts'
import { SerialWriter } from './serial-writer.ts'

export interface SerialPortOptions {
  /** 50 … 4 000 000; any number that the driver can make within 3 %. */
  baudRate: number
  /** Default 8. */
  dataBits?: 7 | 8
  /** Default none. */
  parity?: 'none' | 'even' | 'odd'
  /** Default 1. */
  stopBits?: 1 | 2
  /** Hardware flow control. Default false. */
  rtscts?: boolean
  /** Restarts the board, see `pulseReset`. Default false. */
  resetOnOpen?: boolean
  /** Asks the adapter to hand over bytes within 1 ms, as far as it can. Default true. */
  lowLatency?: boolean
  /** Default: the system's. */
  clock?: Clock
}

export interface SerialEvents {
  /** The bytes belong to the callee only during the call. */
  onData(bytes: Uint8Array): void
  /** The driver was full and has taken everything now. */
  onDrain(): void
  /** The port was unplugged or failed, and is closed. Comes once, and not after `close`. */
  onGone(reason: string): void
}

export interface SerialPort {
  readonly path: string
  readonly baudRate: number
  /** Bytes handed over and not yet taken by the driver. */
  readonly backlogBytes: number
  /** Copies. What is written in one callback goes out in one piece. Ignored when the port is gone or closed. */
  write(bytes: Uint8Array): void
  /**
   * What was written before goes at the old rate, what is written after the call at the new one. Bytes that arrive
   * meanwhile are lost. Rejects with a SerialError, the old rate in force, when the driver cannot make the rate.
   */
  setBaudRate(rate: number): Promise<void>
  /**
   * Restarts an Arduino (edge of DTR) or an ESP32 (RTS) as their uploaders do. Takes 150 ms; a bootloader may listen
   * for 2 s more. Rejects with a SerialError where the port has no such lines.
   */
  pulseReset(): Promise<void>
  /** Resolves when everything written has left the machine. Rejects with a SerialError when the port is gone or closed. */
  drain(): Promise<void>
  /** Throws away what the driver has not taken: `drain` first where that matters. Never rejects. */
  close(): Promise<void>
}

/** The kernel's own buffer for a terminal: a read never brings more. */
const READ_BYTES = 4096
/** As esptool does it. */
const RESET_HOLD_MS = 100
const RESET_SETTLE_MS = 50
/**
 * A line that brings more than this, some 300 kbaud, is read every 2 ms instead of at every byte: waking up costs more
 * than what 100 bytes need (2000 frames/s of 54 bytes: 1.7 % of a core instead of 7.8). Below it nothing waits.
 */
const BUSY_BYTES_PER_MS = 30
const REST_MS = 2
const RATE_OVER_MS = 20
/** Flags of the binding's poller, see libuv's uv_poll_event. */
const READABLE = 1
const WRITABLE = 2

/** Raw, locked against others. No event comes before it resolves. Rejects with a SerialError. */
export async function openSerialPort(
  path: string,
  options: SerialPortOptions,
  events: SerialEvents,
): Promise<SerialPort> {
  const { baudRate, dataBits = 8, parity = 'none', stopBits = 1, rtscts = false } = options
  checkBaudRate(path, baudRate)
  const driver = await loadSerialDriver()
  const settings = { path, baudRate, dataBits, parity, stopBits, rtscts, hupcl: false }
  const binding = await driver.open(settings).catch(async (error: Error) => {
    throw await explainOpenFailure(path, error)
  })
  const port = new OpenPort(binding, path, options, events)
  try {
    await keepLinesOnClose(path)
    await port.setUp()
    if (options.resetOnOpen) await port.pulseReset().catch(unlessUnsupported)
    port.listen()
    return port
  } catch (error) {
    await port.close()
    throw error
  }
}

class OpenPort implements SerialPort {
  readonly path: string
  baudRate: number
  private readonly binding: SerialBinding
  private readonly fd: number
  private readonly events: SerialEvents
  private readonly clock: Clock
  private readonly hasFlowControl: boolean
  private readonly wantsLowLatency: boolean
  private readonly input = new Uint8Array(READ_BYTES)
  private readonly writer = new SerialWriter()
  private isFlushQueued = false
  /** Something was left after a flush, so that `onDrain` is due. */
  private isBehind = false
  private isTurnQueued = false
  private isReadable = false
  private rest: Timer | null = null
  /** Bytes per ms lately, and when it was last looked at. */
  private byteRate = 0
  private readAt = 0
  private closing: Promise<void> | undefined

  constructor(binding: SerialBinding, path: string, options: SerialPortOptions, events: SerialEvents) {
    this.path = path
    this.baudRate = options.baudRate
    this.binding = binding
    this.fd = binding.fd as number
    this.events = events
    this.clock = options.clock ?? systemClock
    this.hasFlowControl = options.rtscts === true
    this.wantsLowLatency = options.lowLatency !== false
  }

  async setUp(): Promise<void> {
    // Not everybody may write the adapter's setting, but who has the port open may ask its driver.
    if (this.wantsLowLatency && !(await setLowLatency(this.path))) await this.setLines(true, true).catch(() => {})
    try {
      await checkActualBaudRate(this.binding, this.path, this.baudRate)
    } catch (error) {
      throw this.explain(error)
    }
  }

  listen(): void {
    this.binding.poller.on('readable', this.wakeToRead)
    this.binding.poller.on('writable', this.wake)
    this.arm()
  }

  get backlogBytes(): number {
    return this.writer.backlogBytes
  }

  write(bytes: Uint8Array): void {
    if (this.closing !== undefined || bytes.length === 0) return
    this.writer.put(bytes)
    if (this.isFlushQueued || this.writer.isStuck) return
    this.isFlushQueued = true
    process.nextTick(this.flush)
  }

  async setBaudRate(rate: number): Promise<void> {
    checkBaudRate(this.path, rate)
    if (this.writer.isHolding) throw new SerialError('failed', `the baud rate of ${this.path} is being changed already`)
    this.writer.hold()
    try {
      await this.drain()
      await this.binding.update({ baudRate: rate })
      await checkActualBaudRate(this.binding, this.path, rate).catch(async (error: Error) => {
        await this.binding.update({ baudRate: this.baudRate })
        throw error
      })
      this.baudRate = rate
    } catch (error) {
      throw this.explain(error)
    } finally {
      this.writer.release()
      this.flush()
    }
  }

  async pulseReset(): Promise<void> {
    try {
      // ESP32: RTS alone holds the chip in reset. Both together do nothing, and with DTR alone it would start its loader.
      await this.setLines(false, true)
      await this.pause(RESET_HOLD_MS)
      await this.setLines(false, false)
      await this.pause(RESET_SETTLE_MS)
      // AVR: the edge of DTR is the reset.
      await this.setLines(true, true)
    } catch (error) {
      throw this.explain(error)
    }
  }

  async drain(): Promise<void> {
    try {
      await this.writer.taken()
      await this.binding.drain()
    } catch (error) {
      throw this.explain(error)
    }
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown()
    return this.closing
  }

  private async shutDown(): Promise<void> {
    this.rest?.cancel()
    const isStuck = this.writer.backlogBytes > 0
    this.binding.poller.removeAllListeners()
    this.writer.fail(this.goneError())
    // The system would wait up to 30 s for a device that takes nothing, and block a thread of the process.
    if (isStuck || this.hasFlowControl) await this.binding.flush().catch(() => {})
    await this.binding.close().catch(() => {})
  }

  private arm(): void {
    this.binding.poller.poll(this.writer.isStuck ? READABLE | WRITABLE : READABLE)
  }

  private readonly wakeToRead = (): void => {
    this.isReadable = true
    this.wake()
  }

  /**
   * The poller calls without the frame that Node needs to run promises and to report exceptions. A turn in the same
   * iteration of the event loop costs no measurable time: round trip of two ports over a pty 0.16 ms either way.
   */
  private readonly wake = (): void => {
    if (this.isTurnQueued) return
    this.isTurnQueued = true
    setImmediate(this.turn)
  }

  private readonly turn = (): void => {
    this.isTurnQueued = false
    if (this.isReadable) {
      this.isReadable = false
      this.read()
    }
    if (this.writer.isStuck) this.flush()
    if (this.closing !== undefined || this.rest !== null) return
    if (this.byteRate < BUSY_BYTES_PER_MS || this.writer.isStuck) {
      this.arm()
      return
    }
    this.rest = this.clock.timer(REST_MS, () => {
      this.rest = null
      if (this.closing === undefined) this.arm()
    })
  }

  private read(): void {
    if (this.closing !== undefined) return
    let length: number
    try {
      length = readSync(this.fd, this.input, 0, READ_BYTES, null)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code !== 'EAGAIN' && code !== 'EINTR') this.gone(code ?? message)
      return
    }
    const now = this.clock.now()
    const passed = Math.max(0.01, now - this.readAt)
    this.readAt = now
    this.byteRate += (length / passed - this.byteRate) * Math.min(1, passed / RATE_OVER_MS)
    if (length === 0) this.gone('hang-up')
    else this.events.onData(this.input.subarray(0, length))
  }

  private readonly flush = (): void => {
    this.isFlushQueued = false
    if (this.closing !== undefined) return
    try {
      this.writer.flush(this.fd)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      this.gone(code ?? message)
      return
    }
    if (this.writer.isStuck) {
      this.rest?.cancel()
      this.rest = null
      this.arm()
    }
    if (this.writer.backlogBytes > 0) this.isBehind = true
    else if (this.isBehind) {
      this.isBehind = false
      this.events.onDrain()
    }
  }

  /** EIO, ENXIO and a hang-up are how a USB device leaves. */
  private gone(cause: string): void {
    if (this.closing !== undefined) return
    void this.close()
    this.events.onGone(`${this.path} is gone (${cause})`)
  }

  private goneError(): SerialError {
    return new SerialError('gone', `${this.path} was closed or unplugged`)
  }

  /** The kernel sets both lines on opening. The binding sets what is left out to false, so the latency goes with them. */
  private setLines(dtr: boolean, rts: boolean): Promise<void> {
    return this.binding.set({ dtr, rts, lowLatency: this.wantsLowLatency })
  }

  private pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.clock.timer(delayMs, resolve))
  }

  /** The binding reports texts. */
  private explain(error: unknown): SerialError {
    if (error instanceof SerialError) return error
    if (this.closing !== undefined) return this.goneError()
    const { message } = error as Error
    if (/Input\/output error|No such device/.test(message)) return this.goneError()
    const isUnsupported = /Inappropriate ioctl|Invalid argument|not supported/.test(message)
    return new SerialError(isUnsupported ? 'unsupported' : 'failed', `${this.path}: ${message.replace(/^Error: /, '')}`)
  }
}

function unlessUnsupported(error: SerialError): void {
  if (error.code !== 'unsupported') throw error
}

/**
 * Clears HUPCL, so that closing does not drop DTR and reopening does not restart an AVR board; the binding can only set
 * it. Where there is no stty the board restarts, and all else works.
 */
async function keepLinesOnClose(path: string): Promise<void> {
  await promisify(execFile)('stty', ['-F', path, '-hupcl'], { timeout: 2000 }).catch(() => {})
}
