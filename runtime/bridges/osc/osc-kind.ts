import { patternProblem } from '../../../firmware-protocol/wire/address.ts'
import {
  checkedText,
  duration,
  flag,
  list,
  object,
  oneOf,
  optional,
  required,
  text,
  type ValueOf,
  whole,
} from '../../config/fields.ts'
import { networkProblem } from '../../config/network.ts'
import { secret } from '../../config/secret.ts'
import { defineBridge } from '../bridge.ts'

/** Hosts that are this one. */
const HERE = ['localhost', '127.0.0.1', '::1']

const port = (description: string, fallback: number, min: number) => whole({ description, fallback, min, max: 65_535 })

const pattern = (description: string, example: string) =>
  checkedText({
    description,
    fallback: '',
    expected: `a pattern such as ${example}`,
    check: patternProblem,
  })

const numbers = oneOf({
  description:
    'f32: whole numbers as i (or h), others as f; f64: others as d; int-as-float: all as f, for consoles that take nothing else.',
  fallback: 'f32',
  values: ['f32', 'f64', 'int-as-float'],
})
const nil = oneOf({ description: 'Null as N, or as no argument.', fallback: 'N', values: ['N', 'none'] })
const bool = oneOf({ description: 'Truth as T and F, or as 1 and 0.', fallback: 'TF', values: ['TF', 'i', 'f'] })
const nestedArrays = oneOf({
  description: 'Lists within lists as arguments in a row, or in brackets.',
  fallback: 'flatten',
  values: ['flatten', 'brackets'],
})
const framing = oneOf({
  description: 'Packets over TCP: a length in front (OSC 1.0), or SLIP (OSC 1.1).',
  fallback: 'len32',
  values: ['len32', 'slip'],
})

const target = object('A program or device that values are sent to.', {
  host: required(text({ description: 'Name or address; names are looked up again from time to time.', fallback: '' })),
  port: required(port('Its port.', 9000, 1)),
  protocol: oneOf({ description: 'How to reach it.', fallback: 'udp', values: ['udp', 'tcp'] }),
  framing,
  autoSubscribe: flag({
    description: 'It gets all values; false: those that it asks for by /clasp/subscribe.',
    fallback: true,
  }),
  filter: list({
    description: 'It gets only what matches one of these patterns; none = all.',
    of: pattern('A pattern of whole addresses.', '/osc/1/**'),
  }),
  hearsItself: flag({
    description: 'It gets what other ports of its host sent; false: its host sends and hears as one, from any port.',
    fallback: true,
  }),
  bundle: flag({ description: 'Values that change together are sent as one OSC bundle.', fallback: false }),
  latency: duration({
    description:
      'Its bundles are for so much later than they are sent: with clocks that agree, delays of the network do not show. 0 = immediately.',
    fallback: 0,
    minMs: 0,
    maxMs: 10_000,
  }),
  numbers: optional(numbers),
  nil: optional(nil),
  bool: optional(bool),
  nestedArrays: optional(nestedArrays),
})

const options = object('Open Sound Control 1.0 and 1.1 over UDP and TCP.', {
  listen: port('UDP port, in and out; 0 = any free one.', 8000, 0),
  host: optional(text({ description: 'Address to listen on; all when left out.', fallback: '' })),
  tcp: object('OSC over TCP.', {
    listen: port('Port; 0 = off.', 0, 0),
    framing,
    maxClients: whole({ description: 'Connections at a time.', fallback: 32, min: 1, max: 1024 }),
  }),
  targets: list({ description: 'Where values are sent.', of: target }),
  alsoSend: list({
    description: 'Addresses outside of the namespace that are sent, too, as whole addresses.',
    of: pattern('A pattern of whole addresses.', '/sensors/**'),
  }),
  autoSubscribe: flag({
    description: 'Whoever sends here gets all values for a while, without asking for them.',
    fallback: false,
  }),
  peerTimeout: duration({
    description: 'A sender over UDP that is silent for so long is forgotten.',
    fallback: 30_000,
    minMs: 1000,
    maxMs: 86_400_000,
  }),
  maxPeers: whole({ description: 'Senders over UDP that are remembered.', fallback: 64, min: 1, max: 4096 }),
  allow: list({
    description: 'Networks or addresses that may send; none = all.',
    of: checkedText({
      description: 'A network or an address.',
      fallback: '',
      expected: 'for example 192.168.1.0/24',
      check: networkProblem,
    }),
  }),
  token: optional(secret({ description: 'What senders that are no targets have to show by /clasp/auth.' })),
  mustProve: oneOf({
    description:
      'Addresses of UDP senders can be forged. Until they answer /clasp/challenge, these get at most three times the bytes that they send. strangers: those outside of private and own networks, unless allow or token is set.',
    fallback: 'strangers',
    values: ['strangers', 'everyone', 'nobody'],
  }),
  signals: list({
    description: 'What arrives is a param, unless the first rule that matches says otherwise.',
    of: object('A rule.', {
      match: required(pattern('A pattern of OSC addresses.', '/cue/**')),
      signal: oneOf({
        description: 'gesture: 1 and 0 at the last part (TouchOSC /z) are touch and release of the address before it.',
        fallback: 'event',
        values: ['param', 'event', 'stream', 'gesture'],
      }),
    }),
  }),
  impulse: oneOf({
    description: 'The argument I: infinity as a number, or an event without value.',
    fallback: 'inf',
    values: ['inf', 'event'],
  }),
  roundF32: flag({
    description: 'Float32 as the shortest decimal: 0.1 instead of 0.10000000149011612.',
    fallback: false,
  }),
  legacyUntyped: flag({
    description: 'Take messages of old senders without type tags, their arguments as bytes.',
    fallback: false,
  }),
  late: oneOf({
    description: 'Bundles whose time has passed take effect at once, or are dropped.',
    fallback: 'now',
    values: ['now', 'drop'],
  }),
  maxAhead: duration({
    description: 'Bundles further in the future take effect at once: the clock of the sender is wrong.',
    fallback: 10_000,
    minMs: 0,
    maxMs: 3_600_000,
  }),
  echoWindow: duration({
    description: 'A value that comes back within this time from a host that was sent it is dropped once; 0 = never.',
    fallback: 50,
    minMs: 0,
    maxMs: 10_000,
  }),
  minInterval: duration({
    description: 'An address is sent no more often; the last value is always sent. 0 = every change.',
    fallback: 5,
    minMs: 0,
    maxMs: 10_000,
  }),
  lookupEvery: duration({
    description: 'How often names of targets are looked up again.',
    fallback: 60_000,
    minMs: 1000,
    maxMs: 86_400_000,
  }),
  numbers,
  nil,
  bool,
  nestedArrays,
})

export type OscOptions = ValueOf<typeof options>
export type OscTargetOptions = ValueOf<typeof target>

export const osc = defineBridge<OscOptions>({
  kind: 'osc',
  description: 'Open Sound Control 1.0 and 1.1 over UDP and TCP.',
  namespace: '/osc',
  options,
  check: ({ listen, host, tcp, targets }) => {
    const isHere = (target: OscTargetOptions) =>
      host === undefined ? HERE.includes(target.host) : target.host === host
    const own = targets.find(
      (target) => target.port === (target.protocol === 'tcp' ? tcp.listen : listen) && isHere(target),
    )
    if (own !== undefined) return `the target ${own.host}:${own.port} is this bridge itself`
    const late = targets.find(({ latency, bundle }) => latency > 0 && !bundle)
    return late && `the target ${late.host}:${late.port} has a latency, which is for bundles: set bundle: true`
  },
  load: () => import('./osc-bridge.ts').then(({ openOsc }) => openOsc),
})
