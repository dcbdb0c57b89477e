import { EncodeError } from '../../../firmware-protocol/wire/errors.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { Schedule } from '../../router/schedule.ts'
import type { BridgeContext, BundleItem } from '../bridge.ts'
import { NULL } from '../json-value.ts'
import { isControl, type OscControl } from './osc-control.ts'
import type { OscDirectory, OscEntry } from './osc-directory.ts'
import { OscExpectations } from './osc-expectations.ts'
import type { OscOptions } from './osc-kind.ts'
import { isOscPattern } from './osc-names.ts'
import type { OscOutbound } from './osc-outbound.ts'
import type { OscBundle, OscMessage, OscPacket } from './osc-packet.ts'
import type { OscPeer } from './osc-peer.ts'

/** Items of one BUNDLE of the router, and about as many bytes as its frame holds; a packet may hold more. */
const MAX_ITEMS = 1000
const MAX_ITEM_BYTES = 60_000
/** Values that one packet may set: the patterns of a datagram could mean millions. */
const MAX_APPLICATIONS = 16_384
/** Requests that one packet may hold. */
const MAX_REQUESTS = 64
/** Events of scheduled bundles that wait to be told to other peers. */
const MAX_WAITING = 1000

/** A message of a bundle with the address that it is for. */
interface Application {
  readonly entry: OscEntry
  readonly message: OscMessage
}

/** Packets of peers on their way into the router. */
export class OscInbound {
  private readonly context: BridgeContext<OscOptions>
  private readonly directory: OscDirectory
  private readonly outbound: OscOutbound
  private readonly control: OscControl
  /** Events of bundles with a time, for other peers. */
  private readonly schedule: Schedule
  private readonly expectations: OscExpectations
  /** What is touched, and by whom. */
  private readonly touches = new Map<OscEntry, OscPeer>()
  /** What the packet in hand may still do. */
  private applicationsLeft = 0
  private requestsLeft = 0

  constructor(context: BridgeContext<OscOptions>, directory: OscDirectory, outbound: OscOutbound, control: OscControl) {
    this.context = context
    this.directory = directory
    this.outbound = outbound
    this.control = control
    this.schedule = new Schedule(context.clock)
    this.expectations = new OscExpectations(context.clock)
  }

  stop(): void {
    this.schedule.stop()
    this.expectations.stop()
  }

  /** The peer is not heard any more: its fingers are gone, too. */
  left(peer: OscPeer): void {
    for (const [touched, by] of this.touches) if (by === peer) this.release(peer, touched)
  }

  receive(peer: OscPeer, packet: OscPacket): void {
    this.applicationsLeft = MAX_APPLICATIONS
    this.requestsLeft = MAX_REQUESTS
    try {
      if (packet.kind === 'bundle') this.bundle(peer, packet)
      else this.message(peer, packet)
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error
      this.drop('size', `${peer.name}: what it sent does not fit into a message of the router`)
    }
  }

  /** Applies each message at an address that it is for. */
  private message(peer: OscPeer, message: OscMessage): void {
    const { address } = message
    if (isControl(address)) {
      this.control.handle(peer, message)
      return
    }
    const known = this.directory.knownOsc(address)
    if (known === undefined && isOscPattern(address)) {
      for (const entry of this.matching(peer, address)) this.apply(peer, entry, message)
      return
    }
    const entry = known ?? this.entryOf(peer, address)
    if (entry !== undefined) this.apply(peer, entry, message)
  }

  private apply(peer: OscPeer, entry: OscEntry, message: OscMessage): void {
    const { router } = this.context
    const { address } = entry
    const { value } = message
    const signal = this.signalOf(entry, message)
    if (signal !== 'event' && this.isEcho(peer, entry, value)) return
    if (signal === 'gesture') this.touch(peer, entry, value)
    else if (signal !== 'param') {
      entry.type = signal
      const payload = message.isImpulse && this.context.options.impulse === 'event' ? NULL : value
      router.publish(address, signal, payload)
      this.outbound.relay(signal, address, payload, peer)
    } else if (entry.gestureValue !== undefined) {
      entry.gestureValue = value
      router.publish(address, 'gesture', value, { phase: 'move', id: 0 })
      this.outbound.relay('gesture', address, value, peer)
    } else {
      this.expectations.add(entry, value, peer)
      router.set(address, value)
    }
  }

  /** TouchOSC's `/z`: 1 is a touch, 0 the release, of which the last value stays. */
  private touch(peer: OscPeer, entry: OscEntry, value: Value): void {
    const { router } = this.context
    const touched = entry.touched === undefined ? undefined : this.directory.entryOfOsc(entry.touched)
    if (touched === undefined) return
    const { address } = touched
    const isStart = value.type === 'bool' ? value.value : 'value' in value && Number(value.value) !== 0
    if (isStart === (touched.gestureValue !== undefined)) return
    if (isStart) {
      touched.gestureValue = touched.value ?? NULL
      this.touches.set(touched, peer)
      router.publish(address, 'gesture', touched.gestureValue, { phase: 'start', id: 0 })
    } else this.release(peer, touched)
  }

  private release(peer: OscPeer, touched: OscEntry): void {
    const { router } = this.context
    const { address } = touched
    this.touches.delete(touched)
    const last = touched.gestureValue ?? NULL
    touched.gestureValue = undefined
    router.publish(address, 'gesture', last, { phase: 'end', id: 0 })
    if (last.type === 'null') return
    this.expectations.add(touched, last, peer)
    router.set(address, last)
  }

  /** All that takes effect at one time is one BUNDLE. Source: bridges.md §3.5. */
  private bundle(peer: OscPeer, bundle: OscBundle): void {
    const batches = new Map<number, Application[]>()
    this.collect(peer, bundle, 0, batches)
    if (this.applicationsLeft < 0) {
      this.drop('size', `${peer.name}: a bundle sets more than ${MAX_APPLICATIONS} values and is dropped`)
      return
    }
    for (const [timeUs, applications] of batches) this.applyBatch(peer, timeUs, applications)
  }

  /** `outerUs`: nothing within a bundle is earlier than it. */
  private collect(peer: OscPeer, bundle: OscBundle, outerUs: number, batches: Map<number, Application[]>): void {
    const timeUs = Math.max(outerUs, bundle.timeUs)
    for (const fault of bundle.faults) this.drop('packet', `${peer.name}: ${fault}; the rest of the bundle counts`)
    for (const element of bundle.elements) {
      if (this.applicationsLeft < 0) return
      if (element.kind === 'bundle') {
        this.collect(peer, element, timeUs, batches)
      } else if (isControl(element.address)) {
        if (this.requestsLeft-- > 0) this.control.handle(peer, element)
        else this.drop('size', `${peer.name}: a bundle has more than ${MAX_REQUESTS} requests`)
      } else {
        const batch = batches.get(timeUs) ?? []
        batches.set(timeUs, batch)
        if (isOscPattern(element.address)) {
          const entries = this.matching(peer, element.address)
          this.applicationsLeft -= entries.length
          if (this.applicationsLeft < 0) return
          for (const entry of entries) batch.push({ entry, message: element })
        } else {
          const entry = this.entryOf(peer, element.address)
          this.applicationsLeft--
          if (entry !== undefined) batch.push({ entry, message: element })
        }
      }
    }
  }

  private applyBatch(peer: OscPeer, timeUs: number, applications: readonly Application[]): void {
    const { router } = this.context
    const aheadUs = timeUs === 0 ? 0 : this.aheadOf(peer, timeUs, applications.length)
    if (aheadUs === undefined) return
    let items: BundleItem[] = []
    let bytes = 0
    const flush = () => {
      if (items.length > 0) router.bundle(items, aheadUs > 0 ? timeUs : undefined)
      items = []
      bytes = 0
    }
    for (const { entry, message } of applications) {
      const signal = this.signalOf(entry, message)
      const { address } = entry
      const value = message.isImpulse && signal === 'event' ? NULL : message.value
      if (signal === 'gesture' || (signal === 'param' && entry.gestureValue !== undefined)) {
        // Phases are not for bundles.
        flush()
        this.apply(peer, entry, message)
        continue
      }
      if (signal === 'param') {
        if (this.isEcho(peer, entry, value)) continue
        this.expectations.add(entry, value, peer, aheadUs / 1000)
      } else {
        entry.type = signal
        this.relayAt(aheadUs, signal, address, value, peer)
      }
      const itemBytes = sizeOf(address, value)
      if (items.length === MAX_ITEMS || bytes + itemBytes > MAX_ITEM_BYTES) flush()
      items.push({ address, value, signal })
      bytes += itemBytes
    }
    flush()
  }

  /** How far away its time is, 0: now; undefined: it is too late for it. */
  private aheadOf(peer: OscPeer, timeUs: number, count: number): number | undefined {
    const { clock, options } = this.context
    const aheadUs = timeUs - clock.wallUs()
    if (aheadUs > options.maxAhead * 1000) {
      const seconds = Math.round(aheadUs / 1_000_000)
      this.context.problem(
        'ahead',
        `${peer.name}: a bundle is for ${seconds} s from now and takes effect at once: set its clock`,
      )
      return 0
    }
    if (aheadUs > 0) return aheadUs
    if (options.late === 'now') return 0
    this.context.counters.inDropped += count
    this.context.problem(
      'late',
      `${peer.name}: a bundle came ${Math.round(-aheadUs / 1000)} ms too late and is dropped`,
    )
    return undefined
  }

  private relayAt(aheadUs: number, signal: 'event' | 'stream', address: string, value: Value, peer: OscPeer): void {
    if (aheadUs === 0) this.outbound.relay(signal, address, value, peer)
    else if (this.schedule.size >= MAX_WAITING) this.context.counters.outDropped++
    else {
      const dueAt = this.context.clock.now() + aheadUs / 1000
      this.schedule.add(dueAt, () => this.outbound.relay(signal, address, value, peer))
    }
  }

  private signalOf(entry: OscEntry, { isImpulse }: OscMessage): OscEntry['signal'] {
    return isImpulse && this.context.options.impulse === 'event' ? 'event' : entry.signal
  }

  private isEcho(peer: OscPeer, entry: OscEntry, value: Value): boolean {
    if (peer.echo === undefined || !peer.echo.takes(entry, value, peer)) return false
    this.context.counters.inDropped++
    return true
  }

  private entryOf(peer: OscPeer, oscAddress: string): OscEntry | undefined {
    const entry = this.directory.entryOfOsc(oscAddress)
    if (entry === undefined) this.drop('address', `${peer.name}: ${show(oscAddress)} is no address for the router`)
    return entry
  }

  private matching(peer: OscPeer, pattern: string): readonly OscEntry[] {
    const entries = this.directory.matching(pattern)
    if (entries === undefined) this.drop('address', `${peer.name}: ${show(pattern)} is no pattern`)
    else if (entries.length === 0) this.context.counters.inDropped++
    return entries ?? []
  }

  private drop(code: string, message: string): void {
    this.context.counters.inDropped++
    this.context.problem(code, message)
  }
}

/** At most so many bytes within a BUNDLE. */
function sizeOf(address: string, value: Value): number {
  return 32 + Buffer.byteLength(address) + valueSize(value)
}

function valueSize(value: Value): number {
  if (value.type === 'string') return 4 + Buffer.byteLength(value.value)
  if (value.type === 'bytes') return 4 + value.value.length
  if (value.type !== 'array') return 16
  return value.value.reduce((sum, item) => sum + valueSize(item), 4)
}

function show(address: string): string {
  return JSON.stringify(address.length > 80 ? `${address.slice(0, 80)}…` : address)
}
