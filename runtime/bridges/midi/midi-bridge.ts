import { BackOff } from '../../client/back-off.ts'
import type { Timer } from '../../router/clock.ts'
import { watchSerialPorts } from '../../transports/serial-watch.ts'
import type { BridgeContext, OpenBridge, RunningBridge } from '../bridge.ts'
import { findPorts } from './find-ports.ts'
import { MidiDevice } from './midi-device.ts'
import type { MidiOptions, PortOptions } from './midi-kind.ts'
import type { FoundPort } from './midi-port.ts'
import { levelOf, placeOf } from './port-choice.ts'

/** The sequencer tells of new ports only those that are clients of it: reading its list costs less than 1 ms. */
const LOOK_EVERY_MS = 2000
const LAST_RETRY_MS = 30_000
/** Devices open at a time. */
const MAX_DEVICES = 64
const ALL_OF_ALSA: PortOptions = {
  port: '',
  name: undefined,
  direction: 'both',
  baudRate: 31_250,
  rate: undefined,
  runningStatus: false,
}

/** The bridge of MIDI: opens ports as they come, each as a device. Source: bridges.md §4. */
export const openMidi: OpenBridge<MidiOptions> = async (context) => {
  const bridge = new MidiBridge(context)
  await bridge.start()
  return bridge
}

interface Opened {
  readonly entry: PortOptions
  readonly device: MidiDevice
}

interface Failure {
  readonly backOff: BackOff
  nextAt: number
  message: string
}

class MidiBridge implements RunningBridge {
  private readonly context: BridgeContext<MidiOptions>
  private readonly entries: readonly PortOptions[]
  /** By key of the port. */
  private readonly opened = new Map<string, Opened>()
  private readonly failures = new Map<string, Failure>()
  private readonly aborter = new AbortController()
  private work: Promise<void> = Promise.resolve()
  private timer: Timer | null = null

  constructor(context: BridgeContext<MidiOptions>) {
    this.context = context
    this.entries = context.options.ports.length === 0 ? [ALL_OF_ALSA] : context.options.ports
  }

  /** Resolves when all ports were tried once. */
  async start(): Promise<void> {
    const { clock } = this.context
    const serial = this.entries.filter((entry) => placeOf(entry) === 'serial').map(({ port }) => port)
    if (serial.length > 0) {
      const paths = serial.filter((port) => port.startsWith('/'))
      await watchSerialPorts({ paths, clock }, () => this.lookAfresh(), this.aborter.signal)
    }
    await this.look()
  }

  async stop(): Promise<void> {
    this.aborter.abort()
    this.timer?.cancel()
    await this.work
    await Promise.all([...this.opened.values()].map(({ device }) => device.close()))
    this.opened.clear()
  }

  /** Ports have come or gone: what failed before may be different now. */
  private lookAfresh(): void {
    this.failures.clear()
    void this.look()
  }

  private look(): Promise<void> {
    this.work = this.work.then(async () => {
      if (this.aborter.signal.aborted) return
      this.timer?.cancel()
      const problems: string[] = []
      for (const entry of this.entries) problems.push(...(await this.lookFor(entry)))
      this.tell(problems)
      if (!this.aborter.signal.aborted) this.timer = this.context.clock.timer(LOOK_EVERY_MS, () => void this.look())
    })
    return this.work
  }

  /** Opens what has come, closes what has gone. Returns what is wrong, in words. */
  private async lookFor(entry: PortOptions): Promise<string[]> {
    const own = [...this.opened].filter(([, one]) => one.entry === entry)
    // A serial line says itself when it goes.
    if (own.length > 0 && placeOf(entry) === 'serial') return []
    const findings = await findPorts(entry, this.context.clock)
    const found = findings instanceof Error ? [] : findings
    for (const [key, { device }] of own) {
      if (found.some((port) => port.key === key)) continue
      this.opened.delete(key)
      await device.close()
    }
    const problems = findings instanceof Error ? [findings.message] : []
    for (const port of found) {
      const problem = this.opened.has(port.key) ? undefined : await this.open(port, entry)
      if (problem !== undefined) problems.push(problem)
    }
    return problems
  }

  /** Returns what is wrong, in words. */
  private async open(port: FoundPort, entry: PortOptions): Promise<string | undefined> {
    const { key } = port
    const { clock, random } = this.context
    const failure = this.failures.get(key)
    if (failure !== undefined && clock.now() < failure.nextAt) return failure.message
    if (this.opened.size >= MAX_DEVICES) return `more than ${MAX_DEVICES} MIDI ports: name those that matter in ports`
    const taken = new Set([...this.opened.values()].map(({ device }) => device.level))
    const level = levelOf(entry.name ?? port.name, taken)
    try {
      let reasonGone: string | undefined
      const device = await MidiDevice.open(port, entry, level, this.context, (reason) => {
        reasonGone = reason
        this.onGone(key, reason)
      })
      if (reasonGone !== undefined) throw new Error(reasonGone)
      this.opened.set(key, { entry, device })
      this.failures.delete(key)
      this.context.log.info(`MIDI port ${port.name} is ${this.context.namespace}/${level}`)
      return undefined
    } catch (error) {
      const { message } = error as Error
      const backOff = failure?.backOff ?? new BackOff({ baseMs: LOOK_EVERY_MS, capMs: LAST_RETRY_MS, random })
      this.failures.set(key, { backOff, nextAt: clock.now() + backOff.next(), message })
      return message
    }
  }

  private onGone(key: string, reason: string): void {
    const opened = this.opened.get(key)
    if (opened === undefined) return
    this.opened.delete(key)
    void opened.device.close()
    this.context.problem('gone', reason)
    this.tell([reason])
  }

  private tell(problems: readonly string[]): void {
    this.context.setPeers(this.opened.size)
    if (problems.length === 0) this.context.tell('running')
    else this.context.tell('degraded', problems.join('; '))
  }
}
