import type { Signal } from '../../../firmware-protocol/wire/message.ts'
import { addressOf } from '../foreign-address.ts'
import type { PayloadMode } from './payload.ts'
import { matchesFilter, topicProblem } from './topic-filter.ts'

export type SignalMode = 'param' | 'retain'

export interface TopicRule {
  readonly topic: string
  readonly signal?: 'param' | 'event' | 'stream'
  readonly payload?: PayloadMode
}

export interface TopicOptions {
  readonly signalMode: SignalMode
  readonly payload: PayloadMode
  readonly topicRules: readonly TopicRule[]
}

/** Where a topic leads to, and how its payload is read. */
export interface TopicRoute {
  readonly address: string
  readonly payload: PayloadMode
  /** Undefined: it depends on the retain flag. */
  readonly signal: Signal | undefined
}

/** No address is longer. */
const MAX_TOPIC_BYTES = 1024
/** Topics that are remembered; beyond that, all are worked out anew. */
const MAX_KNOWN = 4096

/** The first rule that matches a topic counts; source: bridges.md §9.4. */
export class TopicRules {
  private readonly namespace: string
  private readonly options: TopicOptions
  private readonly known = new Map<string, TopicRoute | undefined>()

  constructor(namespace: string, options: TopicOptions) {
    this.namespace = namespace
    this.options = options
  }

  /** Undefined: there is no address for such a topic. */
  route(topic: string): TopicRoute | undefined {
    if (topic.length > MAX_TOPIC_BYTES) return undefined
    if (this.known.has(topic)) return this.known.get(topic)
    const route = this.find(topic)
    if (this.known.size >= MAX_KNOWN) this.known.clear()
    this.known.set(topic, route)
    return route
  }

  /** What a message becomes; `named` is what its sender says of it. */
  signal({ signal }: TopicRoute, isRetained: boolean, named?: string): Signal {
    if (named === 'param' || named === 'event' || named === 'stream' || named === 'gesture') return named
    return signal ?? (isRetained ? 'param' : 'event')
  }

  private find(topic: string): TopicRoute | undefined {
    const { signalMode, payload, topicRules } = this.options
    const address = topicProblem(topic) === undefined ? addressOf(this.namespace, topic) : undefined
    if (address === undefined) return undefined
    const rule = topicRules.find((one) => matchesFilter(one.topic, topic))
    return {
      address,
      payload: rule?.payload ?? payload,
      signal: rule?.signal ?? (signalMode === 'param' ? 'param' : undefined),
    }
  }
}
