import { patternProblem } from '../../../firmware-protocol/wire/address.ts'
import {
  checkedText,
  duration,
  flag,
  list,
  object,
  oneOf,
  optional,
  text,
  type ValueOf,
  whole,
} from '../../config/fields.ts'
import { secret } from '../../config/secret.ts'
import { defineBridge } from '../bridge.ts'
import { mqttFields, topicFilter, topicName } from '../mqtt/mqtt-fields.ts'

const URL_FORM = /^(?:(?:mqtts?|wss?):\/\/[^\s/]+\S*|mqtt\+unix:\/\/\/\S+)$/

const pemFile = (description: string) => optional(text({ description, fallback: '' }))

const options = object('A client of an MQTT broker.', {
  url: checkedText({
    description: 'The broker.',
    fallback: 'mqtt://localhost:1883',
    expected: 'mqtt:// or mqtts://host:port, ws:// or wss://host:port/path, mqtt+unix:///path/of/socket',
    check: (value) => (URL_FORM.test(value) ? undefined : `"${value}" is not the URL of a broker`),
  }),
  version: oneOf({
    description: 'Version of MQTT; auto = 5, or 3.1.1 where the broker does not know that.',
    fallback: 'auto',
    values: ['auto', '5', '3.1.1'],
  }),
  clientId: optional(
    text({ description: 'Name at the broker; made up once and kept when it is left out.', fallback: '' }),
  ),
  username: optional(text({ description: 'User name.', fallback: '' })),
  password: optional(secret({ description: 'Password.' })),
  tlsCa: pemFile('PEM file: authorities to trust instead of those of the system.'),
  tlsCert: pemFile('PEM file of a certificate of our own.'),
  tlsKey: pemFile('PEM file of its key.'),
  tlsAlpn: optional(text({ description: 'Protocol to ask for in TLS (ALPN).', fallback: '' })),
  tlsVerify: flag({ description: "Whether the broker's certificate has to be right.", fallback: true }),
  subscribe: list({
    description: 'Topics that come in; $share/<group>/<filter> shares them with others.',
    of: topicFilter('Topics.'),
  }),
  subscribeQos: whole({ description: 'QoS to subscribe with.', fallback: 1, min: 0, max: 2 }),
  publish: list({
    description: 'Topics that go out; all below the namespace when there are none.',
    of: topicFilter('Topics.'),
  }),
  expose: list({
    description: 'Patterns of other addresses that go out, below exposePrefix; <topic>/set sets them.',
    of: checkedText({
      description: 'A pattern.',
      fallback: '/**',
      expected: 'a pattern such as /dev/**',
      check: patternProblem,
    }),
  }),
  exposePrefix: topicName('First part of the topics of exposed addresses.', 'clasp'),
  retain: flag({ description: 'Whether params are retained by the broker.', fallback: true }),
  maxQos: whole({ description: 'No message goes out with a higher QoS.', fallback: 1, min: 0, max: 2 }),
  ...mqttFields,
  keepAlive: duration({ description: 'Longest silence.', fallback: 60_000, minMs: 1000, maxMs: 65_535_000 }),
  sessionExpiry: duration({
    description: 'How long the broker keeps what came while we were away.',
    fallback: 3_600_000,
    minMs: 0,
    maxMs: 30 * 86_400_000,
  }),
  connectTimeout: duration({
    description: 'How long to wait for the broker.',
    fallback: 10_000,
    minMs: 500,
    maxMs: 60_000,
  }),
  statusTopic: optional(
    topicName('Says online, and by our will offline; clasp/<id>/status when it is left out.', 'clasp/mqtt/status'),
  ),
  willDelay: duration({
    description: 'How long the broker waits before it says offline.',
    fallback: 5000,
    minMs: 0,
    maxMs: 3_600_000,
  }),
  eventAge: duration({
    description: 'Events that could not be sent for so long are dropped.',
    fallback: 60_000,
    minMs: 0,
    maxMs: 86_400_000,
  }),
  maxQueued: whole({
    description: 'Messages that wait for the broker; beyond, the oldest events go.',
    fallback: 1024,
    min: 1,
    max: 100_000,
  }),
  maxPacket: whole({
    description: 'Longer messages are dropped, in both directions.',
    unit: 'bytes',
    fallback: 262_144,
    min: 1024,
    max: 16_777_216,
  }),
  echoWindow: duration({
    description: 'With 3.1.1: what comes back within this time is our own.',
    fallback: 2000,
    minMs: 0,
    maxMs: 60_000,
  }),
  homeAssistant: flag({ description: 'Tells Home Assistant of our announced signals.', fallback: false }),
  homeAssistantPrefix: topicName('Where Home Assistant looks for them.', 'homeassistant'),
})

export type MqttClientOptions = ValueOf<typeof options>

export const mqttClient = defineBridge<MqttClientOptions>({
  kind: 'mqtt',
  description: 'A client of an MQTT broker, versions 3.1.1 and 5.',
  namespace: '/mqtt',
  options,
  check({ tlsCert, tlsKey, username, password }) {
    if ((tlsCert === undefined) !== (tlsKey === undefined)) return 'tlsCert and tlsKey belong together'
    return password !== undefined && username === undefined ? 'password needs a username' : undefined
  },
  load: () => import('./mqtt-client-bridge.ts').then(({ openMqttClient }) => openMqttClient),
})
