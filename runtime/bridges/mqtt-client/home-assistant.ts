import type { SignalDefinition } from '../../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { Timer } from '../../router/clock.ts'
import type { BridgeContext } from '../bridge.ts'
import type { MqttClientOptions } from './mqtt-client-kind.ts'
import type { OutgoingMessage } from './outbox.ts'
import { TopicExposure } from './topic-exposure.ts'

/** Announcements are looked through again so often. */
const LOOK_AGAIN_MS = 30_000
const MAX_ENTITIES = 1000

/** Home Assistant's names of units, and what they measure. */
const UNITS: Readonly<Record<string, { unit: string; deviceClass?: string }>> = {
  Cel: { unit: '°C', deviceClass: 'temperature' },
  '%': { unit: '%' },
  hPa: { unit: 'hPa', deviceClass: 'pressure' },
  lx: { unit: 'lx', deviceClass: 'illuminance' },
  V: { unit: 'V', deviceClass: 'voltage' },
  A: { unit: 'A', deviceClass: 'current' },
  W: { unit: 'W', deviceClass: 'power' },
  Hz: { unit: 'Hz', deviceClass: 'frequency' },
  deg: { unit: '°' },
  m: { unit: 'm', deviceClass: 'distance' },
  s: { unit: 's', deviceClass: 'duration' },
}
/** Where no unit was announced, the name says what a number means. */
const NAMED_UNITS: Readonly<Record<string, string>> = {
  temperature: 'Cel',
  humidity: '%',
  pressure: 'hPa',
  illuminance: 'lx',
  voltage: 'V',
  current: 'A',
  power: 'W',
  frequency: 'Hz',
  level: 'normalized',
  brightness: 'normalized',
}
/** Units that say how a number is scaled, with its range. */
const RANGES: Readonly<Record<string, readonly [number, number, number]>> = {
  normalized: [0, 1, 0.01],
  dmx: [0, 255, 1],
  midi7: [0, 127, 1],
  midi14: [0, 16_383, 1],
}
const WHOLE = ['i64', 'i32', 'i16', 'i8', 'int']
const FRACTIONAL = ['f64', 'f32', 'float']

export interface DiscoveryOptions {
  readonly statusTopic: string
  send(message: OutgoingMessage): void
}

/**
 * Tells Home Assistant of announced signals, by retained messages at `<prefix>/<component>/<node>/<object>/config`:
 *
 * | signal | component |
 * |---|---|
 * | bool r, bool rw | binary_sensor, switch |
 * | number r | sensor |
 * | number rw | number |
 * | string r, string rw | sensor, text |
 *
 * Source: MQTT discovery of Home Assistant; bridges.md §9.7.
 */
export class HomeAssistant {
  /** Home Assistant says online when it has started. */
  readonly statusTopic: string
  private readonly context: BridgeContext<MqttClientOptions>
  private readonly discovery: DiscoveryOptions
  private readonly exposure: TopicExposure
  /** Payloads by topic. */
  private told = new Map<string, string>()
  private timer: Timer | null = null
  private isStopped = false

  constructor(context: BridgeContext<MqttClientOptions>, discovery: DiscoveryOptions) {
    const { options, namespace } = context
    this.context = context
    this.discovery = discovery
    this.exposure = new TopicExposure({ namespace, ...options })
    this.statusTopic = `${options.homeAssistantPrefix}/status`
  }

  /** Tells all, now and when something changes. */
  begin(): void {
    this.told = new Map()
    this.look()
  }

  stop(): void {
    this.isStopped = true
    this.timer?.cancel()
  }

  /** Whether the message was for this. */
  onMessage(topic: string, payload: Buffer): boolean {
    if (topic !== this.statusTopic) return false
    if (payload.toString('latin1') === 'online') this.begin()
    return true
  }

  private look(): void {
    this.timer?.cancel()
    if (this.isStopped) return
    const { namespace, options, clock } = this.context
    const wanted = new Map<string, string>()
    for (const text of [`${namespace}/**`, ...options.expose]) {
      const pattern = Pattern.parse(text)
      if (!(pattern instanceof Pattern)) continue
      for (const definition of this.context.announced(pattern)) {
        const entity = this.entityOf(definition)
        if (entity !== undefined && wanted.size < MAX_ENTITIES) wanted.set(entity.topic, JSON.stringify(entity.config))
      }
    }
    for (const [topic, text] of wanted) if (this.told.get(topic) !== text) this.tell(topic, text)
    // An empty one removes it.
    for (const topic of this.told.keys()) if (!wanted.has(topic)) this.tell(topic, '')
    this.told = wanted
    this.timer = clock.timer(LOOK_AGAIN_MS, () => this.look())
  }

  private tell(topic: string, text: string): void {
    const payload = Buffer.from(text)
    this.discovery.send({ topic, payload, qos: 1, isRetained: true, isState: true, properties: undefined })
  }

  private entityOf({ address, type, datatype = '', access = 'r', meta }: SignalDefinition) {
    if (type !== 'param' || address.includes('*')) return undefined
    const stateTopic = this.exposure.topicOf(address)
    if (stateTopic === undefined) return undefined
    const isSettable = access.includes('w')
    const name = address.slice(address.lastIndexOf('/') + 1)
    const kind = componentOf(datatype, isSettable, meta?.unit ?? NAMED_UNITS[name] ?? '', meta?.range)
    if (kind === undefined) return undefined
    const node = slug(`clasp_${this.context.id}`)
    const object = slug(address.slice(1))
    return {
      topic: `${this.context.options.homeAssistantPrefix}/${kind.component}/${node}/${object}/config`,
      config: {
        name: meta?.description ?? address.slice(1).split('/').slice(-2).join(' '),
        unique_id: `${node}_${object}`,
        state_topic: stateTopic,
        ...(isSettable ? { command_topic: this.exposure.commandTopicOf(address) } : {}),
        ...kind.more,
        availability_topic: this.discovery.statusTopic,
        device: { identifiers: [node], name: `CLASP ${this.context.id}`, manufacturer: 'clasp-edge' },
        origin: { name: 'clasp-edge' },
      },
    }
  }
}

function componentOf(
  datatype: string,
  isSettable: boolean,
  unit: string,
  range: readonly [number, number] | undefined,
): { component: string; more: Record<string, unknown> } | undefined {
  if (datatype === 'bool') {
    return { component: isSettable ? 'switch' : 'binary_sensor', more: { payload_on: 'true', payload_off: 'false' } }
  }
  if (datatype === 'string') return { component: isSettable ? 'text' : 'sensor', more: {} }
  const isWhole = WHOLE.includes(datatype)
  if (!isWhole && !FRACTIONAL.includes(datatype)) return undefined
  const known = UNITS[unit]
  const measure = {
    ...(known === undefined ? {} : { unit_of_measurement: known.unit }),
    ...(known?.deviceClass === undefined ? {} : { device_class: known.deviceClass }),
  }
  if (!isSettable) return { component: 'sensor', more: { ...measure, state_class: 'measurement' } }
  const [lowest, highest, step] = RANGES[unit] ?? [-1e6, 1e6, isWhole ? 1 : 0.01]
  const isRange = range !== undefined && range[0] < range[1] && range.every(Number.isFinite)
  const [min, max] = isRange ? range : [lowest, highest]
  return { component: 'number', more: { ...measure, min, max, step } }
}

/** Home Assistant takes letters, digits, _ and - only. */
function slug(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_')
}
