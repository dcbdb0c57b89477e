import { BackOff } from '../../client/back-off.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import { SerialError } from '../../transports/serial-error.ts'
import { findSerialPort, parsePortSelector } from '../../transports/serial-selector.ts'
import { watchSerialPorts } from '../../transports/serial-watch.ts'
import type { DmxLine } from './dmx-line.ts'

/** Receivers go dark 1 s after the last frame (E1.11): the first try comes before. */
const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 10_000
/** A line that held for so long starts the delays anew. */
const STABLE_MS = 30_000

export interface LineKeeperParts {
  /** A path or `usb:…`. */
  readonly port: string
  readonly clock: Clock
  readonly random: () => number
  /** Rejects with an error for the operator. */
  open(path: string, onGone: (reason: string) => void): Promise<DmxLine>
  onUp(line: DmxLine, path: string): void
  onDown(reason: string): void
}

/** Opens the line when its port is there, and again when it has been away, whatever its number is then. */
export class LineKeeper {
  private readonly parts: LineKeeperParts
  private readonly aborter = new AbortController()
  private readonly backOff: BackOff
  private current: DmxLine | null = null
  private work: Promise<void> = Promise.resolve()
  private retry: Timer | null = null
  private openedAt = 0

  constructor(parts: LineKeeperParts) {
    this.parts = parts
    this.backOff = new BackOff({ baseMs: FIRST_RETRY_MS, capMs: LAST_RETRY_MS, random: parts.random })
  }

  /** Null: it is down. */
  get line(): DmxLine | null {
    return this.current
  }

  /** Resolves when it was tried once. */
  async start(): Promise<void> {
    const { port, clock } = this.parts
    const paths = port.startsWith('/') ? [port] : []
    await watchSerialPorts({ paths, clock }, () => this.again(), this.aborter.signal)
    await this.again()
  }

  async stop(): Promise<void> {
    this.aborter.abort()
    this.retry?.cancel()
    await this.work
    await this.current?.close()
    this.current = null
  }

  private again(): Promise<void> {
    this.work = this.work.then(() => this.attempt())
    return this.work
  }

  private async attempt(): Promise<void> {
    if (this.aborter.signal.aborted || this.current !== null) return
    const { port, clock } = this.parts
    this.retry?.cancel()
    try {
      const path = await this.find(port)
      let opened: DmxLine | null = null
      let reasonGone: string | null = null
      opened = await this.parts.open(path, (reason) => {
        reasonGone = reason
        if (opened !== null && this.current === opened) this.gone(reason)
      })
      if (reasonGone !== null) throw new Error(reasonGone)
      this.current = opened
      this.openedAt = clock.now()
      if (!this.aborter.signal.aborted) this.parts.onUp(opened, path)
    } catch (error) {
      this.down((error as Error).message)
    }
  }

  private async find(port: string): Promise<string> {
    const selector = parsePortSelector(port)
    if (selector === undefined) throw new Error(`${port} is neither a path nor usb:VENDOR:PRODUCT`)
    const found = await findSerialPort(selector)
    if (found instanceof SerialError) throw found
    return found.path
  }

  private gone(reason: string): void {
    this.current = null
    if (this.parts.clock.now() - this.openedAt >= STABLE_MS) this.backOff.reset()
    this.down(reason)
  }

  private down(reason: string): void {
    if (this.aborter.signal.aborted) return
    this.parts.onDown(reason)
    this.retry?.cancel()
    this.retry = this.parts.clock.timer(this.backOff.next(), () => void this.again())
  }
}
