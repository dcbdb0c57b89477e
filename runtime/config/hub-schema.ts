import { patternProblem } from '../../firmware-protocol/wire/address.ts'
import { checkedText, duration, flag, list, object, oneOf, optional, required, text, whole } from './fields.ts'
import { secret } from './secret.ts'

const DAY_MS = 86_400_000
const SCHEMES = /^(wss?|tcp|tls):\/\/[^/\s]/i

const pattern = (description: string) =>
  checkedText({
    description,
    fallback: '/**',
    expected: 'an address pattern such as /stage/**',
    check: patternProblem,
  })

const patterns = (description: string) =>
  list({ description, needsRestart: true, of: pattern('A pattern of addresses.') })

/** The hub above this router, and this router as a hub. */
export const hub = object('Federation: a hub that this router tells its signals, and routers that it is a hub for.', {
  accept: flag({ description: 'Be a hub: accept other routers as leaves.', fallback: false, needsRestart: true }),
  url: optional(
    checkedText({
      description: 'The hub of this router.',
      fallback: '',
      expected: 'a URL such as ws://hub.local:7330 or wss://hub.example.org',
      check: (url) => (SCHEMES.test(url) ? undefined : `"${url}" is no URL of a hub`),
      needsRestart: true,
    }),
  ),
  token: optional(secret({ description: 'Token for the hub.', needsRestart: true })),
  tokenFile: optional(
    text({
      description: 'File with the token; it is read again for every connection.',
      fallback: '',
      needsRestart: true,
    }),
  ),
  ca: optional(
    text({
      description:
        'File with the certificate of an authority (PEM) that the hub is checked with, besides those of the system.',
      fallback: '',
      needsRestart: true,
    }),
  ),
  id: optional(
    text({
      description: 'Name of this router at the hub; made up once and kept when left out.',
      fallback: '',
      needsRestart: true,
    }),
  ),
  namespaces: patterns('The addresses that this router owns: its params and events of these go to the hub.'),
  allowRoot: flag({ description: 'Allow /** as a namespace.', fallback: false, needsRestart: true }),
  subscribe: patterns('Addresses of others that are mirrored here.'),
  writeRemote: patterns('Addresses of others that clients of this router may write.'),
  policies: list({
    description: 'Rules by address; the first match counts.',
    needsRestart: true,
    of: object('A rule.', {
      pattern: required(pattern('The addresses that it is for.')),
      conflict: optional(
        oneOf({
          description:
            'Which value counts when both sides changed while they were apart: the one here (owner; usual in own namespaces), the later one (lww; usual elsewhere), that of the hub (hub), or always the one here, writes at the hub are taken back (owner-strict).',
          fallback: 'owner',
          values: ['owner', 'lww', 'hub', 'owner-strict'],
        }),
      ),
      ttl: duration({
        description: 'Time to live of the param at the hub; 0s = as long as it lives here.',
        fallback: 0,
        minMs: 0,
        maxMs: 3650 * DAY_MS,
      }),
      offline: optional(
        oneOf({
          description:
            'What is kept while the hub is away: the newest (latest; usual for own params), everything (all; events only), or nothing (drop; usual for events). Writes to addresses of others are refused then unless it says latest.',
          fallback: 'latest',
          values: ['latest', 'all', 'drop'],
        }),
      ),
      maxAge: duration({
        description: 'Events older than this are not sent any more.',
        fallback: 60_000,
        minMs: 0,
        maxMs: 30 * DAY_MS,
      }),
    }),
  }),
  rate: whole({
    description: 'Frames per second to the hub; 0 = by the kind of hub. Less when the hub asks for it.',
    fallback: 0,
    min: 0,
    max: 1_000_000,
    needsRestart: true,
  }),
  window: whole({
    description: 'SETs that may be unanswered.',
    fallback: 16,
    min: 1,
    max: 10_000,
    needsRestart: true,
  }),
  heartbeat: duration({
    description: 'Time between signs of life that prove that the hub still sends us everything.',
    fallback: 60_000,
    minMs: 1000,
    maxMs: 140_000,
    needsRestart: true,
  }),
  probeTimeout: duration({
    description: 'A hub that does not answer the declaration for so long does not know federation.',
    fallback: 5000,
    minMs: 100,
    maxMs: 600_000,
    needsRestart: true,
  }),
  answerTimeout: duration({
    description: 'A hub that does not answer for so long is gone.',
    fallback: 10_000,
    minMs: 100,
    maxMs: 600_000,
    needsRestart: true,
  }),
  retry: object('Time between attempts to connect; it doubles up to the longest.', {
    shortest: duration({ description: 'The first.', fallback: 1000, minMs: 10, maxMs: DAY_MS, needsRestart: true }),
    longest: duration({ description: 'The longest.', fallback: 30_000, minMs: 10, maxMs: DAY_MS, needsRestart: true }),
  }),
  verifyInterval: duration({
    description: 'How often all params are compared with the hub.',
    fallback: 300_000,
    minMs: 1000,
    maxMs: DAY_MS,
    needsRestart: true,
  }),
  outbox: object('What waits for the hub.', {
    params: whole({
      description:
        'Changed params that are queued one by one. When more have changed, all are gone through: none is lost.',
      fallback: 10_000,
      min: 1,
      max: 10_000_000,
      needsRestart: true,
    }),
    events: whole({ description: 'Events.', fallback: 1000, min: 0, max: 1_000_000, needsRestart: true }),
    bytes: whole({
      description: 'Bytes of events.',
      unit: 'bytes',
      fallback: 8_388_608,
      min: 0,
      max: 1_073_741_824,
      needsRestart: true,
    }),
  }),
})
