import {
  checkedText,
  duration,
  flag,
  list,
  object,
  optional,
  required,
  text,
  type ValueOf,
  whole,
} from '../../config/fields.ts'
import { secret } from '../../config/secret.ts'
import { defineBridge } from '../bridge.ts'
import { mqttFields, topicFilter } from '../mqtt/mqtt-fields.ts'

const topics = {
  read: list({ description: 'Topics that may be received.', of: topicFilter('Topics.') }),
  write: list({ description: 'Topics that may be published.', of: topicFilter('Topics.') }),
}

const options = object('An MQTT broker.', {
  listen: whole({ description: 'TCP port; 0 = none.', fallback: 1883, min: 0, max: 65_535 }),
  host: optional(text({ description: 'Address to listen on; all when left out.', fallback: '' })),
  tlsListen: whole({
    description: 'TCP port for TLS, usually 8883; 0 = none.',
    fallback: 0,
    min: 0,
    max: 65_535,
  }),
  tlsCert: optional(text({ description: 'PEM file of the certificate, with its chain.', fallback: '' })),
  tlsKey: optional(text({ description: 'PEM file of its key.', fallback: '' })),
  tlsClientCa: optional(
    text({ description: 'PEM file: clients need a certificate of one of these authorities.', fallback: '' }),
  ),
  webPath: checkedText({
    description: "Path for MQTT over WebSocket at the router's own port; empty = none.",
    fallback: '/mqtt',
    expected: 'a path such as /mqtt, or nothing',
    check: (value) =>
      /^(\/[^\s?#]*[^\s?#/])?$/.test(value) ? undefined : 'it starts with a slash and does not end so',
  }),
  anonymous: optional(
    flag({
      description: 'Whether clients without a user name are let in; yes where there are neither users nor tokens.',
      fallback: false,
    }),
  ),
  anonymousRights: optional(
    object('Lets in clients without a user name, with these rights. Left out: they may do everything.', { ...topics }),
  ),
  users: list({
    description: 'Who is let in.',
    of: object('One user.', {
      name: required(text({ description: 'User name.', fallback: '' })),
      password: required(secret({ description: 'Password, plain or as scrypt:<salt>:<key> in hexadecimal.' })),
      ...topics,
    }),
  }),
  tokens: list({
    description: 'Who is let in by a password alone, whatever the user name.',
    of: object('One token.', { token: required(secret({ description: 'The password.' })), ...topics }),
  }),
  ...mqttFields,
  maxClients: whole({ description: 'Connections at a time.', fallback: 1000, min: 1, max: 100_000 }),
  maxPacket: whole({
    description: 'Longer packets end a connection.',
    unit: 'bytes',
    fallback: 262_144,
    min: 1024,
    max: 16_777_216,
  }),
  maxQueued: whole({
    description: 'Messages that wait for one client that is slow or away; beyond, the oldest go.',
    fallback: 1000,
    min: 1,
    max: 100_000,
  }),
  maxSessions: whole({
    description: 'Sessions of clients that are away; beyond, the oldest end.',
    fallback: 1000,
    min: 0,
    max: 100_000,
  }),
  maxSessionExpiry: duration({
    description: 'How long sessions of clients that are away are kept at most.',
    fallback: 86_400_000,
    minMs: 0,
    maxMs: 30 * 86_400_000,
  }),
  maxKeepAlive: duration({
    description: 'Longer than this, or never, a client may not be silent; told to those of version 5.',
    fallback: 3_600_000,
    minMs: 1000,
    maxMs: 65_535_000,
  }),
})

export type MqttBrokerOptions = ValueOf<typeof options>

export const mqttBroker = defineBridge<MqttBrokerOptions>({
  kind: 'mqtt-broker',
  description: 'An MQTT broker, versions 3.1.1 and 5: its topics are addresses.',
  namespace: '/mqtt',
  options,
  check({ listen, tlsListen, tlsCert, tlsKey, webPath, users, tokens }) {
    if (listen === 0 && tlsListen === 0 && webPath === '') return 'listen, tlsListen and webPath are all switched off'
    if (tlsListen !== 0 && (tlsCert === undefined || tlsKey === undefined)) return 'tlsListen needs tlsCert and tlsKey'
    if (tlsListen !== 0 && tlsListen === listen) return 'listen and tlsListen are the same port'
    // As of an empty file: whoever shows an empty password would be let in.
    if (tokens.some(({ token }) => token === '')) return 'a token is empty'
    const bad = users.find(({ password }) => password.startsWith('scrypt:') && !HASHED.test(password))
    return bad === undefined ? undefined : `the password of ${bad.name} is not scrypt:<salt>:<key> in hexadecimal`
  },
  load: () => import('./mqtt-broker-bridge.ts').then(({ openMqttBroker }) => openMqttBroker),
})

/** At least 8 bytes of salt, 16 to 64 of the key. */
const HASHED = /^scrypt:(?:[0-9a-f]{2}){8,}:(?:[0-9a-f]{2}){16,64}$/
