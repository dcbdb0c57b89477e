import type { AnyDeviceKind, DeviceContext, DeviceProgram, OpenDevice, Plain } from '../../devices/device.ts'
import { type DeviceEntry, OWN_SIGNAL } from '../../devices/device-entry.ts'
import type { I2cBuses } from '../../devices/i2c/bus.ts'
import type { Lines } from '../../devices/io/lines.ts'
import type { SimulatedLines } from '../../devices/io/simulated-lines.ts'
import type { OneWireBuses } from '../../devices/one-wire/buses.ts'
import type { SerialPorts } from '../../devices/serial/ports.ts'
import { BackOff } from '../client/back-off.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { Log } from '../router/log.ts'
import { DeviceCommands, tracksOwner } from './device-commands.ts'
import { DeviceSession, type SessionParts } from './device-session.ts'
import { type Condition, DeviceState } from './device-state.ts'
import { Sampling } from './sampling.ts'
import { SimulatedReadings } from './simulated-readings.ts'

const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 60_000
/** Outputs that nobody holds any more are to be safe at once; not of one that is lost again and again. */
const PROMPT_RETRY_MS = 40
const STEADY_MS = 10_000

export interface RunnerParts extends SessionParts {
  lines: Lines
  i2c: I2cBuses
  serial: SerialPorts
  oneWire: OneWireBuses
  /** The device's lines, when they are made up. */
  simulatedLines?: SimulatedLines
  /** Root of the kernel's files, usually `/sys`. */
  sysfs: string
  /** Folder of the device files, usually `/dev`. */
  dev: string
  program(name: DeviceProgram): Promise<string | null>
  clock: Clock
  log: Log
  /** 0…1: where in its interval it takes readings. */
  phase: number
  random?: () => number
}

/** What an operator sees of a device. */
export interface RunnerReport {
  name: string
  kind: string
  address: string
  state: Condition
  /** Why it does not run; '' when it does. */
  problem: string
  isSimulated: boolean
  /** Messages dropped because it sent too many. */
  dropped: number
}

/** One configured device: opened, and again after its hardware was away; never a reason for others to stop. */
export class DeviceRunner {
  private readonly entry: DeviceEntry
  private readonly kind: AnyDeviceKind
  private readonly parts: RunnerParts
  private readonly session: DeviceSession
  private readonly state: DeviceState
  private readonly commands: DeviceCommands
  private readonly backOff: BackOff
  /** Of a simulated sensor. */
  private readonly readings: SimulatedReadings | null
  private device: OpenDevice | null = null
  private sampling: Sampling | null = null
  private aborter = new AbortController()
  private opening: Promise<void> = Promise.resolve()
  private timer: Timer | null = null
  private isStopped = false
  /** When its hardware was there last; monotonic ms. */
  private openedAt = Number.POSITIVE_INFINITY

  constructor(entry: DeviceEntry, kind: AnyDeviceKind, parts: RunnerParts) {
    this.entry = entry
    this.kind = kind
    this.parts = parts
    this.backOff = new BackOff({ baseMs: FIRST_RETRY_MS, capMs: kind.retryMs ?? LAST_RETRY_MS, random: parts.random })
    const specs = kind.signals(entry.options)
    const owner = {
      onWrite: (key: string, value: Plain) => {
        // What is safe during a stop is the last word.
        if (!this.isStopped) this.commands.onWrite(key, value)
      },
      onSimulated: (name: string, value: Plain) => this.onSimulated(name, value),
      ...(tracksOwner(kind, entry) && { onWriter: (key: string, id: string) => this.commands.onWriter(key, id) }),
    }
    const { isSimulated } = this
    const isMadeUp = isSimulated && kind.sampleMs !== undefined && !kind.isOwnTwin
    const stream = kind.simulatedStream?.(entry.options)
    this.readings = isMadeUp ? new SimulatedReadings(specs, stream, parts.clock, parts.phase) : null
    this.session = new DeviceSession(entry, kind, specs, isSimulated, owner, parts)
    this.state = new DeviceState(entry, isSimulated, this.everyMs, this.session, parts)
    this.commands = new DeviceCommands(entry, kind, specs, this.session, parts, {
      write: (key, value) => this.write(key, value),
      makeSafe: (reason, keepsWish, output) => void this.guarded(() => this.device?.safe?.(reason, keepsWish, output)),
      tellProblem: (code, message) => this.state.tellProblem(code, message),
    })
  }

  get report(): RunnerReport {
    const { entry, state } = this
    return {
      name: entry.name,
      kind: entry.kind,
      address: this.session.address,
      state: state.condition,
      problem: state.problem,
      isSimulated: this.isSimulated,
      dropped: this.parts.budget.refused,
    }
  }

  /** Between readings; undefined: it is not read at an interval. */
  private get everyMs(): number | undefined {
    return this.entry.every ?? this.kind.sampleMs
  }

  private get isSimulated(): boolean {
    return this.parts.simulatedLines !== undefined
  }

  /** Resolves when the hardware was tried for the first time. */
  start(): Promise<void> {
    this.opening = this.open()
    return this.opening
  }

  /** The hub is gone, or back. */
  onHub(isUp: boolean): void {
    this.commands.onHub(isUp)
  }

  /** Outputs are safe, and the hardware is free, when it resolves. */
  async stop(): Promise<void> {
    this.isStopped = true
    this.timer?.cancel()
    this.commands.close()
    // What is still being opened need not be finished.
    if (this.device === null) this.aborter.abort()
    await this.opening
    // What is restored at the next start must not be what is safe now.
    await this.guarded(() => this.device?.safe?.('stop', this.entry.options.initial === 'last'))
    await this.close()
    this.session.close()
  }

  private onSimulated(name: string, value: Plain): void {
    const play = this.device?.play?.[name]
    if (play !== undefined) play(value)
    else if (this.kind.options[name]?.type !== 'line') this.readings?.pretend(name === OWN_SIGNAL ? '' : name, value)
    else this.parts.simulatedLines?.drive(String(this.entry.options[name]), value === true)
  }

  private async open(): Promise<void> {
    const aborter = new AbortController()
    this.aborter = aborter
    // Opening it changes them.
    const wishes = this.commands.wishes
    try {
      this.device = this.readings ?? (await this.kind.open(this.contextFor(aborter)))
    } catch (error) {
      // It was lost while it was being opened: that counts already.
      if (aborter.signal.aborted) return
      aborter.abort()
      this.fail(error as Error)
      return
    }
    if (this.isStopped) return
    if (aborter.signal.aborted) {
      // It went while it was being opened.
      await this.close()
      return
    }
    this.openedAt = this.parts.clock.now()
    this.readings?.begin(aborter.signal, (key, sample) => this.session.emit(key, sample))
    // What can be set up but not read is not there: it would come and go with each attempt.
    if (!this.kind.isReopened || this.device.read === undefined) this.arrive()
    this.commands.begin(wishes)
    this.sample()
  }

  /** What a driver has while its hardware is there, which ends with `aborter`. */
  private contextFor(aborter: AbortController): DeviceContext {
    const { commands, session, state } = this
    const { lines, i2c, serial, oneWire, sysfs, dev, program, clock } = this.parts
    return {
      name: this.entry.name,
      options: this.entry.options,
      lines,
      i2c,
      serial,
      oneWire,
      sysfs,
      dev,
      program,
      isSimulated: this.isSimulated,
      clock,
      signal: aborter.signal,
      last: (key) => commands.last(key),
      set: (key, value) => session.set(key, value),
      emit: (key, payload) => session.emit(key, payload),
      gesture: (key, phase, payload) => session.gesture(key, phase, payload),
      problem: (code, message) => state.tellProblem(code, message),
      failing: (reason) => {
        if (!aborter.signal.aborted) state.enter(reason === '' ? 'running' : 'failing', reason)
      },
      lost: (error) => {
        // Each of its lines may tell.
        if (aborter === this.aborter && !aborter.signal.aborted) this.onLost(error)
      },
    }
  }

  private arrive(): void {
    this.backOff.reset()
    this.state.enter('running', '')
  }

  private sample(): void {
    const { device, kind, parts, everyMs } = this
    if (device?.read === undefined || everyMs === undefined) return
    const { read } = device
    this.sampling = new Sampling(() => read.call(device), everyMs, parts.phase, parts.clock, {
      onReadings: (readings) => {
        const { condition } = this.state
        if (condition === 'starting' || condition === 'absent') this.arrive()
        for (const key in readings) this.session.set(key, readings[key])
      },
      onHealth: (isOk, reason) => {
        if (!isOk && kind.isReopened) {
          this.onLost(new Error(reason))
          return
        }
        if (!isOk) this.session.clear()
        this.state.enter(isOk ? 'running' : 'failing', reason)
      },
    })
  }

  private onLost(error: Error): void {
    this.aborter.abort()
    this.opening = this.opening.then(() => this.close())
    this.fail(error)
  }

  private fail(error: Error): void {
    if (this.isStopped) return
    this.session.clear()
    this.state.enter('absent', error.message)
    this.timer?.cancel()
    this.timer = this.parts.clock.timer(this.retryMs(), () => {
      this.opening = this.opening.then(() => (this.isStopped ? undefined : this.open()))
    })
  }

  private retryMs(): number {
    const { kind, openedAt } = this
    this.openedAt = Number.POSITIVE_INFINITY
    const wasSteady = this.parts.clock.now() - openedAt >= STEADY_MS
    return wasSteady && (kind.isFailSafe || kind.hasOutputs) ? PROMPT_RETRY_MS : this.backOff.next()
  }

  private async close(): Promise<void> {
    this.aborter.abort()
    this.sampling?.stop()
    this.sampling = null
    const { device } = this
    this.device = null
    await this.guarded(() => device?.close())
  }

  private write(key: string, value: Plain): void {
    const write = this.device?.write?.[key]
    if (write === undefined) {
      this.session.tellProblem('absent', `${this.session.address} cannot be set at present: ${this.state.problem}`)
      return
    }
    try {
      write(value)
    } catch (error) {
      this.state.onBug(error as Error)
    }
  }

  private async guarded(step: () => void | Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.state.onBug(error as Error)
    }
  }
}
