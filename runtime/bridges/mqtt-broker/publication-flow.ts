/** Hot path. */
import type { Ttl } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { isSameValue } from '../../routes/value-text.ts'
import type { BridgeContext, Update } from '../bridge.ts'
import { foreignOf } from '../foreign-address.ts'
import { NULL } from '../json-value.ts'
import { fitsFrame } from '../mqtt/frame-fit.ts'
import { payloadFromValue, valueFromPayload } from '../mqtt/payload.ts'
import type { SeenTopics } from '../mqtt/seen-topics.ts'
import { topicProblem } from '../mqtt/topic-filter.ts'
import { type TopicRoute, TopicRules } from '../mqtt/topic-rules.ts'
import type { MqttBrokerOptions } from './mqtt-broker-kind.ts'
import { Outgoing, type PublishProperties, type Qos } from './outgoing.ts'
import { PublishReason, refusalReason } from './reason-codes.ts'
import type { RetainedMessages } from './retained-messages.ts'

/** A message of a client, or of its will. */
export interface Publication {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: Qos
  readonly isRetained: boolean
  readonly properties: PublishProperties | undefined
  /** Client id. */
  readonly origin: string
  /** The router has refused it. */
  refusal?: PublishReason
}

/** On its way through the router; an event that came behind a param of its address has no value. */
interface Pending {
  readonly value: Value | undefined
  readonly message: Outgoing
  readonly publication: Publication
}

const FOR_EVER: Ttl = { mode: 'never' }
/** The router has no way to delete: a null that goes soon. */
const DELETED: Ttl = { mode: 'absolute', seconds: 1 }
/** MQTT service levels of what comes from the router; bridges.md §2.10. */
const QOS = { param: 1, event: 1, stream: 0, gesture: 0, timeline: 2 } as const
const MAX_EXPIRY_S = 0x7fff_ffff

/** Of one address, in their order; those before `next` are settled. */
interface Waiting {
  readonly all: Pending[]
  next: number
}

/**
 * Messages go into the router, and what it hands on is what subscribers get, so that they and clients of the router see
 * one order. Where it hands on what was published, it goes out byte by byte as it came, with its properties.
 */
export class PublicationFlow {
  private readonly context: BridgeContext<MqttBrokerOptions>
  private readonly rules: TopicRules
  private readonly retained: RetainedMessages
  private readonly seen: SeenTopics
  private readonly fanOut: (message: Outgoing) => void
  private readonly pending = new Map<string, Waiting>()
  private readonly afterwards: (() => void)[] = []
  private isSettling = false

  constructor(
    context: BridgeContext<MqttBrokerOptions>,
    parts: { retained: RetainedMessages; seen: SeenTopics; fanOut: (message: Outgoing) => void },
  ) {
    this.context = context
    this.rules = new TopicRules(context.namespace, context.options)
    this.retained = parts.retained
    this.seen = parts.seen
    this.fanOut = parts.fanOut
    context.router.subscribe(`${context.namespace}/**`, (update) => this.onUpdate(update), {
      includesOwn: true,
      onRefused: (address, code, text) => this.onRefused(address, refusalReason(code, text)),
    })
  }

  /** Takes a message in; returns what to tell its publisher of it. */
  publish(publication: Publication): PublishReason {
    const { topic, payload, isRetained, properties } = publication
    const { counters, options } = this.context
    const route = this.rules.route(topic)
    if (route === undefined) {
      counters.inDropped++
      this.context.problem('topic', `${topic.slice(0, 80)} does not fit into an address: at most 1024 bytes, 32 levels`)
      return PublishReason.topicNameInvalid
    }
    const signal = this.rules.signal(route, isRetained, signalNamed(properties))
    if (signal === 'param' && isRetained && payload.length === 0) {
      this.delete(route, publication)
      this.settleSoon()
      return PublishReason.success
    }
    const value = valueFromPayload(payload, route.payload, options.numericWords)
    if (value === undefined) {
      counters.inDropped++
      this.context.problem('payload', `what came at ${topic.slice(0, 80)} is not JSON`)
      return PublishReason.payloadFormatInvalid
    }
    const message = this.messageOf(publication, signal === 'param')
    const { address } = route
    if (!fitsFrame(address, value, payload.length)) {
      this.context.problem('size', `${topic.slice(0, 80)}: too long for the router, only clients of MQTT get it`)
      if (signal === 'param' && isRetained) this.retained.keepLarge(address, message)
      this.fanOut(message)
      return PublishReason.success
    }
    if (signal === 'param') {
      this.seen.note(address, value)
      this.await(address, { value, message, publication })
      this.retained.keep(address, value, message)
      this.context.router.set(address, value, ttlOf(publication))
    } else {
      this.context.router.publish(address, signal, value)
      // The router does not tell its publisher of events: they go out here, behind params of the same address.
      if (this.pending.has(address)) this.await(address, { value: undefined, message, publication })
      else this.fanOut(message)
    }
    this.settleSoon()
    return PublishReason.success
  }

  /** Calls back when the router has taken what was published in this turn, and handed it on. */
  whenTaken(callback: () => void): void {
    if (this.isSettling) this.afterwards.push(callback)
    else callback()
  }

  private delete({ address }: TopicRoute, publication: Publication): void {
    this.retained.forget(address)
    this.await(address, { value: NULL, message: this.messageOf(publication, true), publication })
    this.context.router.set(address, NULL, DELETED)
  }

  private messageOf({ topic, payload, qos, isRetained, properties, origin }: Publication, isState: boolean): Outgoing {
    const expiry = properties?.messageExpiryInterval
    return new Outgoing({
      topic,
      // The bytes of the socket are a view of many messages, of which one would keep all.
      payload: Buffer.from(payload),
      qos,
      isRetained,
      isState,
      properties: forwarded(properties),
      origin,
      expiresAtMs: expiry === undefined ? Number.POSITIVE_INFINITY : this.context.clock.now() + expiry * 1000,
    })
  }

  private await(address: string, pending: Pending): void {
    const waiting = this.pending.get(address)
    if (waiting === undefined) this.pending.set(address, { all: [pending], next: 0 })
    else waiting.all.push(pending)
  }

  private onUpdate(update: Update): void {
    const { address, value, signal, isInitial, samples } = update
    // Late joiners are told by `RetainedMessages`.
    if (isInitial) return
    if (signal === 'param') {
      this.retained.changed(address)
      const own = this.takePending(address, value)
      if (own !== undefined) {
        this.fanOut(own)
        this.release(address)
        return
      }
    }
    const topic = foreignOf(this.context.namespace, address)
    if (topic === undefined) return
    // Addresses may have what topics may not: `+` and `#`.
    if (topicProblem(topic) !== undefined) {
      this.context.counters.outDropped++
      return
    }
    const payload =
      samples === undefined
        ? payloadFromValue(value, this.context.options.quoteStrings)
        : Buffer.from(JSON.stringify(samples))
    const isState = signal === 'param'
    const expiresAtMs = Number.POSITIVE_INFINITY
    const qos = QOS[signal]
    const isRetained = isState
    this.fanOut(
      new Outgoing({ topic, payload, qos, isRetained, isState, properties: undefined, origin: '', expiresAtMs }),
    )
  }

  /** The message whose value this is; what was published before it at the same address was replaced or refused. */
  private takePending(address: string, value: Value): Outgoing | undefined {
    const waiting = this.pending.get(address)
    if (waiting === undefined) return undefined
    const { all } = waiting
    for (let at = waiting.next; at < all.length; at++) {
      const { value: wanted, message } = all[at]
      if (wanted === undefined || !isSameValue(wanted, value)) continue
      for (let before = waiting.next; before < at; before++) {
        if (all[before].value === undefined) this.fanOut(all[before].message)
      }
      waiting.next = at + 1
      return message
    }
    return undefined
  }

  /** The router answers in order: it is the first one that it has not handed on. */
  private onRefused(address: string, reason: PublishReason): void {
    this.release(address)
    const waiting = this.pending.get(address)
    if (waiting === undefined) return
    waiting.all[waiting.next++].publication.refusal = reason
    this.release(address)
  }

  /** Events that waited for the param before them. */
  private release(address: string): void {
    const waiting = this.pending.get(address)
    if (waiting === undefined) return
    const { all } = waiting
    while (waiting.next < all.length && all[waiting.next].value === undefined) this.fanOut(all[waiting.next++].message)
    if (waiting.next === all.length) this.pending.delete(address)
  }

  /** To be called once the router has been told: it hands on at the end of the turn, and this comes behind it. */
  private settleSoon(): void {
    if (this.isSettling) return
    this.isSettling = true
    this.context.clock.afterTurn(() => this.settle())
  }

  private settle(): void {
    this.isSettling = false
    // What is still there was refused, or a rule led it elsewhere.
    for (const { all, next } of this.pending.values()) {
      for (let at = next; at < all.length; at++) if (all[at].value === undefined) this.fanOut(all[at].message)
    }
    this.pending.clear()
    for (const callback of this.afterwards.splice(0)) callback()
  }
}

function ttlOf({ isRetained, properties }: Publication): Ttl | undefined {
  const seconds = properties?.messageExpiryInterval
  if (seconds !== undefined) return { mode: 'absolute', seconds: Math.min(Math.max(1, seconds), MAX_EXPIRY_S) }
  return isRetained ? FOR_EVER : undefined
}

function signalNamed(properties: PublishProperties | undefined): string | undefined {
  const named = properties?.userProperties?.['clasp-sig']
  return typeof named === 'string' ? named : undefined
}

/** What subscribers get of a publisher's properties. */
function forwarded(properties: PublishProperties | undefined): PublishProperties | undefined {
  if (properties === undefined) return undefined
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } = properties
  const kept: PublishProperties = {}
  if (payloadFormatIndicator !== undefined) kept.payloadFormatIndicator = payloadFormatIndicator
  if (contentType !== undefined) kept.contentType = contentType
  if (responseTopic !== undefined) kept.responseTopic = responseTopic
  if (correlationData !== undefined) kept.correlationData = correlationData
  if (userProperties !== undefined) kept.userProperties = userProperties
  return Object.keys(kept).length > 0 ? kept : undefined
}
