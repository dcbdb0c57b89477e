import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { BridgeContext, Update } from '../bridge.ts'
import type { OscDirectory } from './osc-directory.ts'
import { type OscBytes, OscEncoder, type OscFormat } from './osc-encoder.ts'
import type { OscOptions } from './osc-kind.ts'
import { OscPace } from './osc-pace.ts'
import type { OscPeer, Telling } from './osc-peer.ts'

const ONE: Value = { type: 'i64', value: 1 }
const ZERO: Value = { type: 'i64', value: 0 }

/** Hot path: values of the router on their way to peers. Encoded once for all that understand the same. */
export class OscOutbound {
  readonly encoder = new OscEncoder()
  private readonly context: BridgeContext<OscOptions>
  private readonly directory: OscDirectory
  private readonly pace: OscPace<Telling>
  /** The namespace itself has no name in OSC. */
  private readonly roots: readonly string[]
  private listening: readonly OscPeer[] = []
  private encoded: { telling: Telling; format: OscFormat; packets: readonly OscBytes[] } | undefined

  constructor(context: BridgeContext<OscOptions>, directory: OscDirectory) {
    this.context = context
    this.directory = directory
    this.roots = [context.namespace, `${context.namespace}/`]
    this.pace = new OscPace(context.options.minInterval, context.clock, (telling) => this.offer(telling))
  }

  /** Who is to hear anything. */
  setListening(peers: readonly OscPeer[]): void {
    this.listening = peers
  }

  /** A value from the router. */
  onUpdate(update: Update): void {
    const { signal, address, value } = update
    if (this.roots.includes(address)) return
    const entry = this.directory.entryOf(address)
    if (signal !== 'param') {
      entry.type ??= signal
      this.send({ ...update, oscAddress: entry.oscAddress, key: entry, origin: undefined })
      return
    }
    const { origin, isNews } = entry.take(value, this.context.clock.now())
    if (update.isInitial) {
      for (const peer of this.listening) peer.refreshAll([address])
    } else if (isNews && this.listening.length > 0) {
      // The text of the entry: maps know it, while that of the update is compared letter by letter.
      const { address, oscAddress } = entry
      this.pace.offer(address, { signal, address, value, isInitial: false, oscAddress, key: entry, origin })
    }
  }

  /** What a peer published, for the others: the router does not return it to the session that it came from. */
  relay(signal: 'event' | 'stream' | 'gesture', address: string, value: Value, origin: OscPeer): void {
    if (this.listening.length === 0) return
    const key = this.directory.entryOf(address)
    this.send({ signal, address, value, isInitial: false, oscAddress: key.oscAddress, key, origin })
  }

  /** The value that a param has now. */
  current(address: string): Telling | undefined {
    const entry = this.directory.known(address)
    if (entry?.value === undefined) return undefined
    const { value, oscAddress } = entry
    return { signal: 'param', address, value, isInitial: true, oscAddress, key: entry, origin: undefined }
  }

  /** Writes a value to a peer's link. */
  tell(peer: OscPeer, telling: Telling): void {
    const { format } = peer
    if (this.encoded?.telling !== telling || this.encoded.format !== format) {
      this.encoded = { telling, format, packets: this.encode(telling, format) }
    }
    for (const packet of this.encoded.packets) peer.link.send(packet)
    peer.echo?.remember(telling.key, telling.value, telling.origin)
  }

  /** A message that is no value of the router. */
  answer(peer: OscPeer, oscAddress: string, value: Value, format = peer.format): void {
    if (peer.link.isFull) this.context.counters.outDropped++
    else peer.link.send(this.encoder.message(oscAddress, value, format))
  }

  stop(): void {
    this.pace.stop()
    this.listening = []
  }

  private send(telling: Telling): void {
    if (telling.signal === 'stream') {
      this.pace.offer(telling.address, telling)
      return
    }
    // What came before it is sent before it.
    this.pace.flush()
    this.offer(telling)
  }

  private offer(telling: Telling): void {
    for (const peer of this.listening) peer.offer(telling)
  }

  private encode({ signal, oscAddress, address, value, phase, samples }: Telling, format: OscFormat): OscBytes[] {
    const { encoder } = this
    if (samples !== undefined) {
      const list: Value = { type: 'array', value: samples.map((sample) => ({ type: 'f32', value: sample })) }
      return [encoder.message(oscAddress, list, format)]
    }
    const isEmpty = signal === 'event' && value.type === 'null'
    if (signal !== 'gesture') return [encoder.message(oscAddress, isEmpty ? undefined : value, format)]
    const { touch } = this.directory.entryOf(address)
    const packets = value.type === 'null' ? [] : [encoder.message(oscAddress, value, format)]
    if (touch !== undefined && phase === 'start') packets.unshift(encoder.message(touch, ONE, format))
    if (touch !== undefined && (phase === 'end' || phase === 'cancel'))
      packets.push(encoder.message(touch, ZERO, format))
    return packets
  }
}
