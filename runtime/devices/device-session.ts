import { type AnyDeviceKind, announced, type Pace, type Plain, type SignalSpec } from '../../devices/device.ts'
import { type DeviceEntry, OWN_SIGNAL } from '../../devices/device-entry.ts'
import type { Message, SetParam, SignalDefinition, Ttl } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { announcements } from '../router/announcements.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { LocalSession } from '../router/local-session.ts'
import type { DeviceRouter } from './device-router.ts'
import type { MessageBudget } from './message-budget.ts'
import { type ForeignSet, OwnEchoes } from './own-echoes.ts'
import { PacedParam } from './paced-param.ts'
import { SignalFilter } from './signal-filter.ts'
import { simulatedInputs } from './simulated-inputs.ts'
import { wireValue, writtenValue } from './wire-value.ts'

/** The router forgets signals that are not announced again (bridges.md §2.12). */
const ANNOUNCE_AGAIN_MS = 15 * 60_000
const ERROR_PAUSE_MS = 10_000
/** A sensor that says nothing for so many heartbeats is forgotten (bridges.md §2.11). */
const TTL_HEARTBEATS = 3
const MIN_TTL_S = 60
/** Of the device's address; what a client may set when there is no hardware is below it. */
const SIMULATED = '/simulated/'
const NOTHING: ReadonlyMap<string, SignalSpec> = new Map()

export interface SessionParts {
  router: DeviceRouter
  clock: Clock
  budget: MessageBudget
}

/** What a session tells the device behind it. */
export interface SessionOwner {
  /** A client wrote a value that the signal can take. */
  onWrite(key: string, value: Plain): void
  /** Before that, where it is of interest: the session that wrote one of the own params. */
  onWriter?(key: string, id: string): void
  /** A client plays the hardware of a simulated device: a line, by the name of its option, a reading, or what the kind adds. */
  onSimulated(name: string, value: Plain): void
}

/** One device as a client of the router: announces its signals, publishes what it reads, and hears what is written to it. */
export class DeviceSession {
  /** That of the device. */
  readonly address: string
  private readonly entry: DeviceEntry
  private readonly kind: AnyDeviceKind
  private readonly parts: SessionParts
  private readonly owner: SessionOwner
  private readonly specs: Readonly<Record<string, SignalSpec>>
  private readonly keys = new Map<string, string>()
  private readonly params = new Map<string, PacedParam>()
  private readonly filters = new Map<string, SignalFilter>()
  private readonly echoes = new OwnEchoes()
  private readonly session: LocalSession
  private readonly simulated: ReadonlyMap<string, SignalSpec>
  private announceTimer: Timer | null = null
  private errorAt = Number.NEGATIVE_INFINITY
  private isOpen = true

  /** `specs`: the signals of the kind with the options of this device. */
  constructor(
    entry: DeviceEntry,
    kind: AnyDeviceKind,
    specs: Readonly<Record<string, SignalSpec>>,
    isSimulated: boolean,
    owner: SessionOwner,
    parts: SessionParts,
  ) {
    this.entry = entry
    this.kind = kind
    this.owner = owner
    this.parts = parts
    this.address = entry.address ?? `/${kind.namespace}/${entry.name}`
    this.specs = specs
    this.simulated = isSimulated ? simulatedInputs(kind, entry, specs) : NOTHING
    for (const key of Object.keys(specs)) this.keys.set(this.addressOf(key), key)
    for (const [key, settings] of Object.entries(entry.signals)) {
      this.filters.set(key === OWN_SIGNAL ? '' : key, new SignalFilter(settings))
    }
    this.session = parts.router.openLocal({
      name: `device ${entry.name}`,
      // How hardware is, is told whoever has locked the address.
      isForced: true,
      onMessage: (message) => this.receive(message),
      onClose: () => {
        this.isOpen = false
      },
    })
    this.announce()
    this.subscribe()
  }

  addressOf(key: string): string {
    return key === '' ? this.address : `${this.address}/${key}`
  }

  set(key: string, value: Plain): void {
    const filter = this.filters.get(key)
    this.paramOf(key).offer(filter === undefined ? value : filter.apply(value))
  }

  /** What clients see of a param; undefined: nothing yet. */
  valueOf(key: string): Plain | undefined {
    return this.params.get(key)?.value
  }

  emit(key: string, payload: Plain): void {
    const spec = this.specs[key]
    if (spec === undefined || !this.parts.budget.take()) return
    const value = wireValue(payload, spec.datatype)
    const address = this.addressOf(key)
    if (spec.type === 'stream') this.send({ type: 'PUBLISH', address, signal: 'stream', value })
    else this.send({ type: 'PUBLISH', address, signal: 'event', payload: value, timestamp: this.parts.clock.wallUs() })
  }

  gesture(key: string, phase: 'start' | 'move' | 'end' | 'cancel', payload: Plain): void {
    // Who saw the start is to see the end.
    if (phase === 'move' && !this.parts.budget.take()) return
    const value = wireValue(payload, 'map')
    this.send({ type: 'PUBLISH', address: this.addressOf(key), signal: 'gesture', phase, id: 1, payload: value })
  }

  /** Whether the hardware is there and works, and details for who looks after it (bridges.md §20.9). */
  tellHealth(isOk: boolean, details: Readonly<Record<string, string | number | boolean>>): void {
    this.send({
      type: 'SET',
      address: `${this.address}/ok`,
      value: { type: 'bool', value: isOk },
      ttl: { mode: 'never' },
    })
    const value = wireValue({ ...details, ok: isOk }, 'map')
    const address = `/_meta/hw/${this.kind.namespace}/${this.entry.name}`
    this.send({ type: 'SET', address, value, ttl: { mode: 'never' } })
  }

  /** At most one in ten seconds. */
  tellProblem(code: string, message: string): void {
    const now = this.parts.clock.now()
    if (now - this.errorAt < ERROR_PAUSE_MS) return
    this.errorAt = now
    const payload = wireValue({ code, message, t: this.parts.clock.wallUs() }, 'map')
    this.send({ type: 'PUBLISH', address: `${this.address}/error`, signal: 'event', payload })
  }

  /** There are no readings at present. */
  clear(): void {
    for (const [key, { access, type }] of Object.entries(this.specs)) {
      if (type === 'param' && access === 'r' && this.params.has(key)) this.paramOf(key).offer(null)
    }
  }

  close(): void {
    for (const param of this.params.values()) param.stop()
    this.isOpen = false
    this.announceTimer?.cancel()
    this.session.close()
  }

  private announce(): void {
    const { description } = this.entry
    const signals: SignalDefinition[] = Object.entries(this.specs).map(([key, spec]) =>
      announced(this.addressOf(key), key === '' && description !== undefined ? { ...spec, description } : spec),
    )
    const ok: SignalSpec = {
      type: 'param',
      datatype: 'bool',
      access: 'r',
      description: 'The hardware is there and works',
    }
    const error: SignalSpec = { type: 'event', datatype: 'map', access: 'r', description: 'What went wrong' }
    signals.push(announced(`${this.address}/ok`, ok), announced(`${this.address}/error`, error))
    for (const [name, spec] of this.simulated) signals.push(announced(this.address + SIMULATED + name, spec))
    for (const message of announcements(this.address, signals)) this.send(message)
    this.announceTimer = this.parts.clock.timer(ANNOUNCE_AGAIN_MS, () => this.announce())
  }

  private subscribe(): void {
    let id = 1
    for (const [key, { access, type }] of Object.entries(this.specs)) {
      if (access === 'r') continue
      this.send({ type: 'SUBSCRIBE', id: id++, pattern: this.addressOf(key), types: [type] })
    }
    // One for all of them: a subscription takes half a kilobyte.
    if (this.simulated.size > 0) {
      this.send({ type: 'SUBSCRIBE', id, pattern: `${this.address}${SIMULATED}**`, types: [] })
    }
  }

  private receive(message: Message): void {
    if (message.type === 'SET') {
      if (this.owner.onWriter !== undefined) this.tellWriter(message.address, this.owner.onWriter)
      for (const foreign of this.echoes.onSet(message)) this.onForeign(foreign)
    } else if (message.type === 'ACK' && message.address !== undefined && message.revision !== undefined) {
      // That of a SUBSCRIBE bears no revision.
      this.onAnswer(message.address, message.revision)
    } else if (message.type === 'ERROR' && message.address !== undefined) {
      this.onAnswer(message.address, undefined)
    } else if (message.type === 'PUBLISH') {
      this.onWritten(message.address, message.payload ?? message.value ?? { type: 'null' })
    }
  }

  /** At once: an own SET that answers this one makes the router forget who wrote it. */
  private tellWriter(address: string, onWriter: (key: string, id: string) => void): void {
    const key = this.keys.get(address)
    if (key === undefined) return
    const writer = this.parts.router.paramAt(address)?.writer
    if (writer !== undefined && writer !== this.session.id) onWriter(key, writer)
  }

  private onAnswer(address: string, revision: SetParam['revision']): void {
    for (const foreign of this.echoes.onAnswer(address, revision)) this.onForeign(foreign)
  }

  private onForeign({ message, isOverwritten }: ForeignSet): void {
    this.onWritten(message.address, message.value, isOverwritten)
  }

  private onWritten(address: string, written: Value, isOverwritten = false): void {
    const key = this.keys.get(address)
    if (key === undefined) {
      this.onPlayed(address, written)
      return
    }
    const spec = this.specs[key]
    const plain = writtenValue(written, spec)
    if (spec.type !== 'param') {
      if (plain !== undefined) this.owner.onWrite(key, plain)
      return
    }
    const before = this.valueOf(key)
    const param = this.paramOf(key)
    // Clients have what was written; where that is not what the device takes, they are told what it is.
    if (plain === undefined) {
      param.forget()
      param.offer(before ?? null)
      this.tellProblem('value', `${address} takes ${spec.datatype}, not ${written.type}`)
      return
    }
    if (!isOverwritten && 'value' in written && written.value === plain) {
      param.adopt(plain)
    } else {
      param.forget()
      param.offer(plain)
    }
    this.owner.onWrite(key, plain)
  }

  private onPlayed(address: string, written: Value): void {
    const start = this.address + SIMULATED
    const name = address.startsWith(start) ? address.slice(start.length) : ''
    const spec = this.simulated.get(name)
    const value = spec === undefined ? undefined : writtenValue(written, spec)
    if (value !== undefined) this.owner.onSimulated(name, value)
  }

  private paramOf(key: string): PacedParam {
    let param = this.params.get(key)
    if (param === undefined) {
      const spec = this.specs[key]
      if (spec === undefined) throw new Error(`${this.entry.kind} has no signal ${key}`)
      const pace = this.paceOf(key, spec)
      const ttl: Ttl =
        pace.heartbeatMs === undefined || pace.heartbeatMs === 0
          ? { mode: 'never' }
          : { mode: 'sliding', seconds: Math.max(MIN_TTL_S, Math.ceil((TTL_HEARTBEATS * pace.heartbeatMs) / 1000)) }
      const address = this.addressOf(key)
      param = new PacedParam(pace, this.parts.clock, (value) => this.publish(address, spec, value, ttl))
      this.params.set(key, param)
    }
    return param
  }

  private publish(address: string, spec: SignalSpec, value: Plain, ttl: Ttl): boolean {
    if (!this.parts.budget.take()) return false
    if (spec.access !== 'r') this.echoes.expect(address)
    this.send({ type: 'SET', address, value: wireValue(value, spec.datatype), ttl })
    return true
  }

  private paceOf(key: string, { pace = {} }: SignalSpec): Pace {
    const { deadband, heartbeat, maxRate } = this.entry.signals[key === '' ? OWN_SIGNAL : key] ?? {}
    return {
      deadband: deadband ?? pace.deadband,
      deadbandRelative: deadband === undefined ? pace.deadbandRelative : undefined,
      heartbeatMs: heartbeat ?? pace.heartbeatMs,
      maxRateHz: maxRate ?? pace.maxRateHz,
    }
  }

  private send(message: Message): void {
    if (this.isOpen) this.session.send(message)
  }
}
