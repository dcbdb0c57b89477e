import { realpath } from 'node:fs/promises'
import type { Timer } from '../router/clock.ts'
import type { LinkAcceptor } from '../router/link.ts'
import { SerialError } from '../transports/serial-error.ts'
import { openSerialPort, type SerialPort } from '../transports/serial-port.ts'
import { listSerialPorts, type SerialPortInfo } from '../transports/serial-ports.ts'
import { findSerialPort, parsePortSelector } from '../transports/serial-selector.ts'
import { watchSerialPorts } from '../transports/serial-watch.ts'
import type { FirmwareHub } from './firmware-hub.ts'
import { type LineMode, SerialLine } from './serial-line.ts'

/** One entry of the configuration. */
export interface SerialPortConfig {
  /** A path, `usb:VENDOR[:PRODUCT[:SERIAL]]`, or `auto`: every USB port that no other entry names. */
  port: string
  baudRate: number
  maxBaudRate: number
  mode: LineMode | 'auto'
  implicitHello: boolean
  resetOnOpen: boolean
  rtscts: boolean
  prefix?: string
  token?: string
}

export interface PortReport {
  selector: string
  path: string
  state: 'absent' | 'opening' | 'failed' | 'listening' | LineMode
  error?: string
  baudRate: number
  /** uid of the device that is linked. */
  device?: string
  counters: Readonly<Record<string, number>>
}

interface PortEntry {
  readonly config: SerialPortConfig
  /** What is looked for: the configured selector, or the path of a port that `auto` found. */
  readonly selector: string
  readonly isFoundByItself: boolean
  path: string
  port: SerialPort | null
  line: SerialLine | null
  isOpening: boolean
  error: string | null
  failures: number
  /** Monotonic ms before which it is not tried again. */
  retryAt: number
  openings: number
}

const FIRST_RETRY_MS = 200
const LAST_RETRY_MS = 5000
const LAST_WORDS_MS = 200
/** Boot loaders of AVR boards listen for so long after a reset. */
const BOOT_LOADER_MS = 2000
/** Speed of these is that of the bus, whatever is set. */
const WITHOUT_LINE_RATE = /^(\/dev\/(ttyACM|pts\/|rfcomm))/

/**
 * All serial ports of the configuration: each is opened when it is there, served by a SerialLine, closed when it vanishes,
 * and opened again when it comes back, whatever its number is then.
 */
export class SerialLines {
  private readonly hub: FirmwareHub
  private readonly acceptor: LinkAcceptor
  private readonly configs: readonly SerialPortConfig[]
  private readonly reserved: readonly string[]
  private readonly entries = new Map<string, PortEntry>()
  private readonly aborter = new AbortController()
  private scanning: Promise<void> | null = null
  private isScanWanted = false
  private timer: Timer | null = null
  private isStopped = false

  /** `reserved`: ports of others, which `auto` leaves alone, as paths or `usb:…`. */
  constructor(
    hub: FirmwareHub,
    acceptor: LinkAcceptor,
    configs: readonly SerialPortConfig[],
    reserved: readonly string[] = [],
  ) {
    this.hub = hub
    this.acceptor = acceptor
    this.configs = configs
    this.reserved = reserved
    for (const config of configs) if (config.port !== 'auto') this.add(config, config.port, false)
    if (configs.length === 0) return
    const paths = configs.map(({ port }) => port).filter((port) => port.startsWith('/'))
    watchSerialPorts({ paths, clock: hub.clock }, () => this.onChange(), this.aborter.signal)
    this.scan()
  }

  report(): PortReport[] {
    return [...this.entries.values()].map(({ selector, path, line, isOpening, error, config }) => ({
      selector,
      path,
      state: line !== null ? (line.mode ?? 'listening') : isOpening ? 'opening' : error !== null ? 'failed' : 'absent',
      ...(line === null && error !== null && { error }),
      baudRate: line?.carrier.baudRate ?? config.baudRate,
      ...(line?.device.link.isLinked && { device: line.device.uid }),
      counters: line?.counters() ?? {},
    }))
  }

  async stop(): Promise<void> {
    this.isStopped = true
    this.aborter.abort()
    this.timer?.cancel()
    await this.scanning
    await Promise.all(
      [...this.entries.values()].map(async (entry) => {
        const { port, line } = entry
        line?.close('the router is stopping', true)
        // The goodbye is to leave before the port does; a line that takes nothing must not hold up the stop.
        if (port !== null && line !== null) {
          await new Promise<void>((done) => {
            const timer = this.hub.clock.timer(LAST_WORDS_MS, done)
            const drained = () => {
              timer.cancel()
              done()
            }
            port.drain().then(drained, drained)
          })
        }
        await port?.close()
      }),
    )
    this.entries.clear()
  }

  private add(config: SerialPortConfig, selector: string, isFoundByItself: boolean): PortEntry {
    const entry: PortEntry = {
      config,
      selector,
      isFoundByItself,
      path: '',
      port: null,
      line: null,
      isOpening: false,
      error: null,
      failures: 0,
      retryAt: 0,
      openings: 0,
    }
    this.entries.set(selector, entry)
    return entry
  }

  private onChange(): void {
    // Something came or went: whoever waits for another try gets it now.
    for (const entry of this.entries.values()) entry.retryAt = 0
    this.scan()
  }

  private scan(): void {
    if (this.isStopped) return
    if (this.scanning !== null) {
      this.isScanWanted = true
      return
    }
    this.timer?.cancel()
    this.scanning = this.look().finally(() => {
      this.scanning = null
      if (this.isStopped) return
      if (this.isScanWanted) {
        this.isScanWanted = false
        this.scan()
        return
      }
      const waiting = [...this.entries.values()].filter(({ port, failures }) => port === null && failures > 0)
      if (waiting.length === 0) return
      const next = Math.min(...waiting.map(({ retryAt }) => retryAt))
      this.timer = this.hub.clock.timer(Math.max(20, next - this.hub.clock.now()), () => this.scan())
    })
  }

  private async look(): Promise<void> {
    const automatic = this.configs.find(({ port }) => port === 'auto')
    if (automatic !== undefined) await this.lookForNew(automatic)
    const now = this.hub.clock.now()
    const due = [...this.entries.values()].filter(({ port, retryAt }) => port === null && retryAt <= now)
    // All at once: each takes some 60 ms, and longer when its board is restarted (32 ports: 0.7 s instead of 2.6 s).
    await Promise.all(due.map((entry) => this.open(entry)))
  }

  private async lookForNew(config: SerialPortConfig): Promise<void> {
    const ports = await listSerialPorts()
    const claimed = new Set<string>()
    const named = [...this.entries.values()].filter(({ isFoundByItself }) => !isFoundByItself)
    for (const selector of [...named.map((entry) => entry.selector), ...this.reserved]) {
      const parsed = parsePortSelector(selector)
      const found = parsed === undefined ? undefined : await findSerialPort(parsed)
      if (found !== undefined && !(found instanceof SerialError))
        claimed.add(await realpath(found.path).catch(() => ''))
    }
    for (const { path, isUsb } of ports) {
      if (isUsb && !claimed.has(path) && !this.entries.has(path)) this.add(config, path, true)
    }
    for (const [selector, { isFoundByItself, port, isOpening }] of this.entries) {
      const isThere = ports.some(({ path }) => path === selector)
      if (isFoundByItself && !isThere && port === null && !isOpening) this.entries.delete(selector)
    }
  }

  private async open(entry: PortEntry): Promise<void> {
    const { config, selector } = entry
    const parsed = parsePortSelector(selector)
    if (parsed === undefined) return
    entry.isOpening = true
    try {
      const found = await findSerialPort(parsed)
      if (found instanceof SerialError) throw found
      await this.serve(entry, config, found)
      entry.failures = 0
      entry.error = null
    } catch (error) {
      this.failed(entry, error as Error)
    } finally {
      entry.isOpening = false
    }
  }

  private async serve(entry: PortEntry, config: SerialPortConfig, found: SerialPortInfo): Promise<void> {
    const { hub } = this
    const device = await realpath(found.path)
    let line: SerialLine | null = null
    let isGone = false
    const port = await openSerialPort(
      found.path,
      {
        baudRate: config.baudRate,
        rtscts: config.rtscts,
        resetOnOpen: config.resetOnOpen,
        clock: hub.clock,
      },
      {
        onData: (bytes) => line?.receive(bytes),
        onDrain: () => line?.onDrain(),
        onGone: (reason) => {
          isGone = true
          this.gone(entry, reason)
        },
      },
    )
    if (this.isStopped || isGone) {
      await port.close()
      return
    }
    line = new SerialLine(hub, this.acceptor, port, {
      mode: config.mode,
      baudRate: config.baudRate,
      maxBaudRate: config.maxBaudRate,
      hasLineRate: !WITHOUT_LINE_RATE.test(device),
      implicitHello: config.implicitHello,
      silentMs: config.resetOnOpen ? BOOT_LOADER_MS : 0,
      ...(config.token !== undefined && { token: config.token }),
      ...(config.prefix !== undefined && { prefix: config.prefix }),
    })
    entry.path = found.path
    entry.port = port
    entry.line = line
    entry.openings++
    hub.log.info('serial port open', { port: found.path, baud: config.baudRate })
  }

  private failed(entry: PortEntry, error: Error): void {
    const { hub } = this
    // A port that is not plugged in is an ordinary state: said once, then waited for.
    if (entry.error !== error.message) {
      const isMissing = error instanceof SerialError && error.code === 'missing'
      hub.log[isMissing ? 'info' : 'warn']('serial port not open', { port: entry.selector, reason: error.message })
    }
    entry.error = error.message
    entry.failures++
    entry.retryAt = hub.clock.now() + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(entry.failures - 1, 8))
  }

  private gone(entry: PortEntry, reason: string): void {
    const { line, path } = entry
    entry.line = null
    entry.port = null
    if (this.isStopped) return
    this.hub.log.info('serial port gone', { port: path, reason })
    line?.close(reason)
    entry.failures = 1
    entry.error = null
    entry.retryAt = this.hub.clock.now() + FIRST_RETRY_MS
    this.scan()
  }
}
