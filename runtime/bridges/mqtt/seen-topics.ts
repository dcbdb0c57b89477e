import type { SignalDefinition } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { BridgeSession } from '../bridge.ts'

/** An announcement is one frame: at most so many topics, and so many bytes of addresses. */
const MAX_TOPICS = 256
const MAX_BYTES = 32_768
const ANNOUNCE_AFTER_MS = 1000

const DATATYPES: Partial<Record<Value['type'], string>> = {
  bool: 'bool',
  i8: 'i64',
  i16: 'i64',
  i32: 'i64',
  i64: 'i64',
  f32: 'f64',
  f64: 'f64',
  string: 'string',
  bytes: 'bytes',
  array: 'array',
  map: 'map',
}

/** Announces the whole namespace, and the topics that were heard of with the type of their first value. */
export class SeenTopics {
  private readonly router: BridgeSession
  private readonly namespace: string
  private readonly clock: Clock
  private readonly seen = new Map<string, SignalDefinition>()
  private bytes = 0
  private timer: Timer | null = null

  constructor(router: BridgeSession, namespace: string, clock: Clock) {
    this.router = router
    this.namespace = namespace
    this.clock = clock
    this.announce()
  }

  note(address: string, { type }: Value): void {
    if (this.seen.has(address) || this.seen.size >= MAX_TOPICS || this.bytes >= MAX_BYTES) return
    this.bytes += Buffer.byteLength(address)
    this.seen.set(address, { address, type: 'param', datatype: DATATYPES[type], access: 'rw' })
    this.timer ??= this.clock.timer(ANNOUNCE_AFTER_MS, () => this.announce())
  }

  stop(): void {
    this.timer?.cancel()
  }

  private announce(): void {
    this.timer = null
    const family: SignalDefinition = { address: `${this.namespace}/**`, type: 'param', access: 'rw' }
    this.router.announce(this.namespace, [family, ...this.seen.values()])
  }
}
