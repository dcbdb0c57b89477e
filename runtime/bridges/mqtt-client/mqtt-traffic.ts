import type { IPublishPacket } from 'mqtt'
import type { Ttl } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Client } from '../../client/client.ts'
import type { Timer } from '../../router/clock.ts'
import type { BridgeContext, Update } from '../bridge.ts'
import { NULL } from '../json-value.ts'
import { fitsFrame } from '../mqtt/frame-fit.ts'
import { payloadFromValue, valueFromPayload } from '../mqtt/payload.ts'
import { SeenTopics } from '../mqtt/seen-topics.ts'
import { matchesFilter, parseShare, topicProblem } from '../mqtt/topic-filter.ts'
import { TopicRules } from '../mqtt/topic-rules.ts'
import type { BrokerLink, LinkHandlers, WantedTopic } from './broker-link.ts'
import type { HomeAssistant } from './home-assistant.ts'
import { propertiesOf } from './message-properties.ts'
import type { MqttClientOptions } from './mqtt-client-kind.ts'
import type { OutgoingMessage } from './outbox.ts'
import { Outlet } from './outlet.ts'
import { Repeats } from './repeats.ts'
import { SentValues } from './sent-values.ts'
import { TopicExposure } from './topic-exposure.ts'

type Properties = NonNullable<IPublishPacket['properties']>

/** What was in the router before the broker has told what it retains waits so long, and loses. */
const INITIAL_AFTER_MS = 1000
const MAX_INITIAL = 10_000
/** MQTT service levels of signals; bridges.md §2.10. */
const QOS = { param: 1, event: 1, stream: 0, gesture: 0, timeline: 2 } as const
const DELETED: Ttl = { mode: 'absolute', seconds: 1 }
const FOR_EVER: Ttl = { mode: 'never' }

export interface TrafficOptions {
  readonly statusTopic: string
  /** Marks our own messages, in version 5. */
  readonly origin: string
}

/** Messages of the broker become signals, and signals messages. Source: bridges.md §9. */
export class MqttTraffic implements LinkHandlers {
  private readonly context: BridgeContext<MqttClientOptions>
  private readonly client: Client
  private readonly traffic: TrafficOptions
  private readonly rules: TopicRules
  private readonly exposure: TopicExposure
  private readonly seen: SeenTopics
  private readonly outlet: Outlet
  private readonly sent = new SentValues()
  private readonly repeats: Repeats
  private readonly wanted: readonly string[]
  /** Null when it has been sent. */
  private initial: Map<string, Update> | null = new Map()
  private initialTimer: Timer | null = null
  private link: BrokerLink | null = null
  private homeAssistant: HomeAssistant | null = null
  private isSubscribed = false
  private isStopped = false

  constructor(context: BridgeContext<MqttClientOptions>, client: Client, traffic: TrafficOptions) {
    const { options, namespace, clock, router } = context
    this.context = context
    this.client = client
    this.traffic = traffic
    this.rules = new TopicRules(namespace, options)
    this.exposure = new TopicExposure({ namespace, ...options })
    this.seen = new SeenTopics(router, namespace, clock)
    this.outlet = new Outlet(context)
    this.repeats = new Repeats(clock, (topic) =>
      context.problem('loop', `values go round in circles at ${topic.slice(0, 80)}: is there a second bridge?`),
    )
    this.wanted = options.subscribe.map((text) => parseShare(text).filter)
  }

  /** The broker has answered for the first time; resolves when it has answered our subscriptions, too. */
  async begin(link: BrokerLink, homeAssistant: HomeAssistant | null): Promise<void> {
    this.link = link
    this.outlet.open(link)
    this.homeAssistant = homeAssistant
    const { router, namespace } = this.context
    router.subscribe(`${namespace}/**`, (update) => this.onUpdate(update))
    for (const [index, pattern] of this.exposure.patterns.entries()) {
      // Of patterns that overlap the first one counts.
      router.subscribe(pattern, (update) => {
        if (this.exposure.patternIndex(update.address) === index) this.onUpdate(update)
      })
    }
    if (link.isConnected) await this.greet(link.isSessionPresent)
  }

  stop(): void {
    this.isStopped = true
    this.initialTimer?.cancel()
    this.seen.stop()
    this.outlet.stop(this.statusMessage('offline'))
  }

  /** Sends it when there is room. */
  send(message: OutgoingMessage): void {
    this.outlet.send(message)
  }

  onConnected(isSessionPresent: boolean): void {
    void this.greet(isSessionPresent)
  }

  onDisconnected(error: Error): void {
    this.context.setPeers(0)
    this.context.problem('disconnected', error.message)
    this.context.tell('degraded', error.message)
  }

  whenTaken(done: () => void): void {
    this.context.clock.afterTurn(done)
  }

  onMessage(topic: string, payload: Buffer, packet: IPublishPacket): void {
    const { options, counters } = this.context
    if (this.homeAssistant?.onMessage(topic, payload) === true) return
    const { properties } = packet
    if (properties?.userProperties?.['clasp-origin'] === this.traffic.origin) return
    if (payload.length > options.maxPacket) {
      counters.inDropped++
      this.context.problem('size', `${topic.slice(0, 80)}: ${payload.length} bytes are more than maxPacket`)
      return
    }
    if (this.outlet.isEcho(topic, payload)) return
    const command = this.exposure.commandAddress(topic)
    if (command !== undefined) this.onCommand(command, topic, payload, properties)
    else if (this.wanted.some((filter) => matchesFilter(filter, topic))) this.onValue(topic, payload, packet)
  }

  private async greet(isSessionPresent: boolean): Promise<void> {
    const { context } = this
    context.tell('running')
    context.setPeers(1)
    this.send(this.statusMessage('online'))
    this.homeAssistant?.begin()
    if (isSessionPresent && this.isSubscribed) return
    // A broker that lost our session may have lost what it retained; what it has counts more.
    if (this.initial === null && !isSessionPresent && context.options.retain) this.initial = this.sent.takeOwn()
    await this.subscribe()
    if (this.initial === null || this.isStopped) return
    this.initialTimer?.cancel()
    this.initialTimer = context.clock.timer(INITIAL_AFTER_MS, () => this.sendInitial())
  }

  private onValue(topic: string, payload: Buffer, { retain, properties }: IPublishPacket): void {
    const { options, counters, router } = this.context
    const route = this.rules.route(topic)
    if (route === undefined) {
      counters.inDropped++
      this.context.problem('topic', `${topic.slice(0, 80)} does not fit into an address: at most 1024 bytes, 32 levels`)
      return
    }
    this.initial?.delete(topic)
    if (payload.length === 0 && properties?.responseTopic !== undefined) {
      void this.answer(route.address, properties)
      return
    }
    const named = properties?.userProperties?.['clasp-sig']
    const signal = this.rules.signal(route, retain, typeof named === 'string' ? named : undefined)
    if (signal === 'param' && retain && payload.length === 0) {
      router.set(route.address, NULL, DELETED)
      return
    }
    const value = valueFromPayload(payload, route.payload, options.numericWords)
    if (value === undefined) {
      counters.inDropped++
      this.context.problem('payload', `what came at ${topic.slice(0, 80)} is not JSON`)
    } else if (!fitsFrame(route.address, value, payload.length)) {
      this.refuseSize(topic)
    } else if (signal === 'param' && !this.repeats.allows(topic, payload)) {
      counters.inDropped++
    } else if (signal === 'param') {
      this.sent.replace(topic, payload)
      this.seen.note(route.address, value)
      router.set(route.address, value, ttlOf(retain, properties))
    } else {
      router.publish(route.address, signal, value)
    }
  }

  private refuseSize(topic: string): void {
    this.context.counters.inDropped++
    this.context.problem('size', `${topic.slice(0, 80)}: what came does not fit into a frame of the router, 64 KiB`)
  }

  /** An exposed address is set, or asked for. */
  private onCommand(address: string, topic: string, payload: Buffer, properties: IPublishPacket['properties']): void {
    const { options, router, counters } = this.context
    if (payload.length === 0 && properties?.responseTopic !== undefined) {
      void this.answer(address, properties)
      return
    }
    const value = valueFromPayload(payload, options.payload, options.numericWords)
    if (value === undefined || this.exposure.patternIndex(address) < 0) {
      counters.inDropped++
      this.context.problem('command', `${topic.slice(0, 80)} sets nothing that is exposed`)
      return
    }
    if (!fitsFrame(address, value, payload.length)) {
      this.refuseSize(topic)
      return
    }
    router.set(address, value)
    // The bridge does not hear of its own values; who asked for it sees that it was taken.
    this.onUpdate({ signal: 'param', address, value, isInitial: false })
  }

  /** Response topic and correlation data are a GET. */
  private async answer(address: string, { responseTopic, correlationData }: Properties): Promise<void> {
    // The library lets pass what was cut off, or came twice.
    if (typeof responseTopic !== 'string' || topicProblem(responseTopic) !== undefined) return
    if (correlationData !== undefined && !Buffer.isBuffer(correlationData)) return
    try {
      const param = await this.client.get(address)
      const payload = param === undefined ? Buffer.alloc(0) : this.payloadOf(param.value)
      const properties = correlationData === undefined ? undefined : { correlationData }
      this.send({ topic: responseTopic, payload, qos: 1, isRetained: false, isState: false, properties })
    } catch (error) {
      this.context.problem('request', `${address}: ${(error as Error).message}`)
    }
  }

  private async subscribe(): Promise<void> {
    const { options } = this.context
    const filters = [...options.subscribe]
    const { commandFilter } = this.exposure
    if (commandFilter !== undefined) filters.push(commandFilter)
    if (this.homeAssistant !== null) filters.push(this.homeAssistant.statusTopic)
    const topics = filters.map(
      (topic): WantedTopic => ({
        topic,
        qos: options.subscribeQos as 0 | 1 | 2,
        // Not allowed together with a shared subscription.
        isNoLocal: parseShare(topic).group === undefined,
        retainHandling: this.isSubscribed ? 1 : 0,
      }),
    )
    const refused = await this.link?.subscribe(topics)
    this.isSubscribed = refused !== undefined
    if (refused === undefined || refused.length === 0 || this.isStopped || this.link?.isConnected !== true) return
    const list = refused.map(({ topic, reason }) => `${topic} (${reason})`).join(', ')
    this.context.problem('subscribe', `the broker refuses ${list}: check the topics, and the rights of the user`)
    this.context.tell('degraded', `the broker refuses ${list}`)
  }

  private onUpdate(update: Update): void {
    const topic = this.exposure.topicOf(update.address)
    if (topic === undefined) return
    if (topicProblem(topic) !== undefined) {
      this.context.counters.outDropped++
      return
    }
    if (!update.isInitial || this.initial === null || this.exposure.isExposed(topic)) this.sendUpdate(topic, update)
    else if (this.initial.size < MAX_INITIAL) this.initial.set(topic, update)
    else this.context.counters.outDropped++
  }

  private sendInitial(): void {
    const initial = this.initial ?? []
    this.initial = null
    for (const [topic, update] of initial) this.sendUpdate(topic, update)
  }

  private sendUpdate(topic: string, update: Update): void {
    const { options, counters, clock } = this.context
    const { signal, value, samples } = update
    this.initial?.delete(topic)
    const payload = samples === undefined ? this.payloadOf(value) : Buffer.from(JSON.stringify(samples))
    if (payload.length > options.maxPacket) {
      counters.outDropped++
      this.context.problem('size', `${topic.slice(0, 80)}: ${payload.length} bytes are more than maxPacket`)
      return
    }
    const isState = signal === 'param'
    if (isState && !this.sent.isNew(topic, payload, update)) return
    const qos = Math.min(QOS[signal], options.maxQos) as 0 | 1 | 2
    const isRetained = isState && options.retain
    const properties = propertiesOf(signal, value, this.traffic.origin, clock.wallUs())
    this.send({ topic, payload, qos, isRetained, isState, properties })
  }

  private payloadOf(value: Value): Buffer {
    return payloadFromValue(value, this.context.options.quoteStrings)
  }

  private statusMessage(text: string): OutgoingMessage {
    const { statusTopic } = this.traffic
    const payload = Buffer.from(text)
    return { topic: statusTopic, payload, qos: 1, isRetained: true, isState: true, properties: undefined }
  }
}

function ttlOf(isRetained: boolean, properties: IPublishPacket['properties']): Ttl | undefined {
  const seconds = properties?.messageExpiryInterval
  if (typeof seconds === 'number') return { mode: 'absolute', seconds: Math.min(Math.max(1, seconds), 0x7fff_ffff) }
  return isRetained ? FOR_EVER : undefined
}
