import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Client } from '../../client/client.ts'
import type { Clock } from '../../router/clock.ts'
import { isSameValue } from '../../routes/value-text.ts'
import { foreignOf } from '../foreign-address.ts'
import { payloadFromValue } from '../mqtt/payload.ts'
import { patternOfFilter } from '../mqtt/topic-address.ts'
import { matchesFilter, topicProblem } from '../mqtt/topic-filter.ts'
import { Outgoing } from './outgoing.ts'

/** Messages of which the bytes are kept beside the param in the router; of others they are made anew. */
const MAX_KEPT = 4096
const MAX_KEPT_BYTES = 8 * 1024 * 1024

export interface RetainedOptions {
  readonly client: Client
  readonly namespace: string
  readonly quotesStrings: boolean
  readonly clock: Clock
}

interface Kept {
  value: Value
  message: Outgoing
}

/** The params of the router are the retained messages; of those that clients published, the very bytes are known here. */
export class RetainedMessages {
  private readonly options: RetainedOptions
  private readonly kept = new Map<string, Kept>()
  private keptBytes = 0
  /** Messages that the router has no room for, such as lists of all devices. */
  private readonly large = new Map<string, Outgoing>()
  private largeBytes = 0
  /** Addresses that changed while the router was asked. */
  private readonly asking = new Set<Set<string>>()

  constructor(options: RetainedOptions) {
    this.options = options
  }

  keep(address: string, value: Value, message: Outgoing): void {
    const known = this.large.size > 0 ? undefined : this.kept.get(address)
    if (known === undefined) {
      this.forget(address)
      this.kept.set(address, { value, message })
    } else {
      // In its place: to move it to the end makes garbage of the whole map from time to time.
      this.keptBytes -= known.message.parts.payload.length
      known.value = value
      known.message = message
    }
    this.keptBytes += message.parts.payload.length
    while (this.kept.size > MAX_KEPT || this.keptBytes > MAX_KEPT_BYTES) {
      this.forget(this.kept.keys().next().value as string)
    }
  }

  /** The oldest go when there are too many bytes. */
  keepLarge(address: string, message: Outgoing): void {
    this.forget(address)
    this.large.set(address, message)
    this.largeBytes += message.parts.payload.length
    while (this.largeBytes > MAX_KEPT_BYTES) this.forget(this.large.keys().next().value as string)
  }

  forget(address: string): void {
    const large = this.large.get(address)
    if (large !== undefined && this.large.delete(address)) this.largeBytes -= large.parts.payload.length
    const known = this.kept.get(address)
    if (known === undefined) return
    this.kept.delete(address)
    this.keptBytes -= known.message.parts.payload.length
  }

  /** A newer value is on its way to all subscribers. */
  changed(address: string): void {
    for (const changed of this.asking) changed.add(address)
    if (this.large.has(address)) this.forget(address)
  }

  /**
   * Hands over what there is at a filter; what changes meanwhile, subscribers hear of anyway. `take` says when it wants
   * the next one; false: no more.
   */
  async read(filter: string, take: (message: Outgoing) => boolean | Promise<boolean>): Promise<void> {
    const { client, namespace, clock } = this.options
    const changed = new Set<string>()
    this.asking.add(changed)
    try {
      for (const message of this.large.values()) {
        const { topic, expiresAtMs } = message.parts
        if (expiresAtMs <= clock.now() || !matchesFilter(filter, topic)) continue
        const isMore = take(message)
        if (isMore !== true && !(await isMore)) return
      }
      for (const { address, value } of await client.snapshot(patternOfFilter(namespace, filter))) {
        const topic = foreignOf(namespace, address)
        if (topic === undefined || value.type === 'null' || changed.has(address)) continue
        if (this.large.has(address) || !matchesFilter(filter, topic) || topicProblem(topic) !== undefined) continue
        const isMore = take(this.messageOf(address, topic, value))
        if (isMore !== true && !(await isMore)) return
      }
    } finally {
      this.asking.delete(changed)
    }
  }

  private messageOf(address: string, topic: string, value: Value): Outgoing {
    const known = this.kept.get(address)
    if (known !== undefined && isSameValue(known.value, value)) return known.message
    return new Outgoing({
      topic,
      payload: payloadFromValue(value, this.options.quotesStrings),
      qos: 1,
      isRetained: true,
      isState: true,
      properties: undefined,
      origin: '',
      expiresAtMs: Number.POSITIVE_INFINITY,
    })
  }
}
