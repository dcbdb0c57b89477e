import type { DeviceEntry } from '../../devices/device-entry.ts'
import { patternProblem } from '../../firmware-protocol/wire/address.ts'
import { DEFAULT_PORT, DISCOVERY_PORT } from '../../firmware-protocol/wire/constants.ts'
import type { BridgeEntry } from '../bridges/bridge-entry.ts'
import { defaultRouterOptions as router } from '../router/options.ts'
import { failSafe } from './fail-safe-schema.ts'
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
} from './fields.ts'
import { firmware } from './firmware-schema.ts'
import { hub } from './hub-schema.ts'
import { journal } from './journal-schema.ts'
import { lazyList } from './lazy-list.ts'
import { networkProblem } from './network.ts'
import { secret } from './secret.ts'

const DAY_MS = 86_400_000

const pattern = (description: string) =>
  checkedText({
    description,
    fallback: '/**',
    expected: 'an address pattern such as /lights/** or /sensors/*/temperature',
    check: patternProblem,
  })

/** Everything that can be configured, with its unit, its default and its limits. */
/** Lists that are described by drivers and bridges, by their keys. */
export const lazyLists = {
  devices: lazyList<DeviceEntry>({
    description: 'Devices that are wired to this board.',
    needsRestart: true,
    load: async () => (await import('./device-schema.ts')).devices,
  }),
  bridges: lazyList<BridgeEntry>({
    description: 'Foreign protocols that read and write signals.',
    needsRestart: false,
    load: async () => (await import('./bridge-schema.ts')).bridges,
  }),
  routes: lazyList<unknown>({
    description: 'Rules that write the values of some addresses to others, changed on the way.',
    needsRestart: false,
    load: async () => (await import('./routes-schema.ts')).routes,
  }),
}

export const schema = object('clasp-edge: configuration of one router.', {
  name: text({
    description: 'Name of this router, as clients and discovery show it.',
    fallback: router.name,
    needsRestart: true,
  }),
  listen: object('Where clients connect. WebSocket, TCP, HTTP and TLS share one port.', {
    host: optional(
      text({
        description: 'Address to listen on; all addresses (IPv4 and IPv6) when left out.',
        fallback: '',
        needsRestart: true,
      }),
    ),
    port: whole({
      description: 'TCP port for WebSocket, CLASP over TCP, HTTP and TLS. 0 takes any free one.',
      fallback: DEFAULT_PORT,
      min: 0,
      max: 65_535,
      needsRestart: true,
    }),
    udp: flag({
      description: 'Accept CLASP datagrams on the same port number and on the discovery port.',
      fallback: true,
      needsRestart: true,
    }),
    udpImplicit: list({
      description:
        'Networks (such as 192.168.4.0/24) whose datagrams are accepted without HELLO, for the simplest sensors.',
      needsRestart: true,
      of: checkedText({
        description: 'A network in CIDR notation, or one address.',
        fallback: '',
        expected: 'a network such as 192.168.4.0/24 or 2001:db8::/32, or one address',
        check: networkProblem,
      }),
    }),
    tls: optional(
      object('TLS (wss:// and CLASP over TLS) on the same port.', {
        cert: required(
          text({ description: 'File with the certificate chain, PEM.', fallback: '', needsRestart: true }),
        ),
        key: required(text({ description: 'File with the private key, PEM.', fallback: '', needsRestart: true })),
        passphrase: optional(secret({ description: 'Passphrase of an encrypted private key.', needsRestart: true })),
      }),
    ),
    maxConnections: whole({
      description: 'Connections at a time; 0 = no limit.',
      fallback: 0,
      min: 0,
      max: 1_000_000,
      needsRestart: true,
    }),
    handshakeTimeout: duration({
      description: 'Time for a new connection to say HELLO.',
      fallback: router.handshakeTimeoutMs,
      minMs: 100,
      maxMs: 600_000,
      needsRestart: true,
    }),
    idleTimeout: duration({
      description: 'A connection that brings nothing for so long is closed; 0s = never.',
      fallback: 300_000,
      minMs: 0,
      maxMs: DAY_MS,
      needsRestart: true,
    }),
    pingInterval: duration({
      description: 'Time between WebSocket pings; 0s = none.',
      fallback: 30_000,
      minMs: 0,
      maxMs: DAY_MS,
      needsRestart: true,
    }),
  }),
  discovery: object('How others find this router.', {
    mdns: flag({ description: 'Announce _clasp._tcp by mDNS (Bonjour, Avahi).', fallback: true, needsRestart: true }),
    broadcast: flag({
      description: `Answer broadcast probes on UDP ${DISCOVERY_PORT}; needs listen.udp.`,
      fallback: true,
      needsRestart: true,
    }),
  }),
  limits: object('What clients may use.', {
    sessions: whole({
      description: 'Clients at a time; 0 = no limit.',
      fallback: router.maxSessions,
      min: 0,
      max: 1_000_000,
    }),
    subscriptionsPerSession: whole({
      description: 'Subscriptions of one client.',
      fallback: router.maxSubscriptionsPerSession,
      min: 1,
      max: 1_000_000,
    }),
    messagesPerSecond: whole({
      description:
        'Messages per second of one client, with a burst of one second; 0 = no limit. Counts for clients that connect after a change.',
      fallback: router.maxMessagesPerSecond,
      min: 0,
      max: 1_000_000_000,
    }),
    params: whole({ description: 'Stored params.', fallback: router.maxParams, min: 1, max: 10_000_000 }),
    eviction: oneOf({
      description:
        'What gives way when all params are taken: the longest unwritten one (lru, oldest), or the new one (reject).',
      fallback: router.eviction,
      values: ['lru', 'oldest', 'reject'],
    }),
    signals: whole({ description: 'Announced signals.', fallback: router.maxSignals, min: 0, max: 10_000_000 }),
  }),
  state: object('Stored params.', {
    paramTtl: duration({
      description: 'A param without a time to live of its own is forgotten so long after its last write; 0s = never.',
      fallback: router.paramTtlSeconds * 1000,
      minMs: 0,
      maxMs: 3650 * DAY_MS,
    }),
    signalTtl: duration({
      description: 'Announced signals are forgotten so long after their last ANNOUNCE; 0s = never.',
      fallback: router.signalTtlSeconds * 1000,
      minMs: 0,
      maxMs: 3650 * DAY_MS,
    }),
    selfInterval: duration({
      description: 'How often the router publishes its own state below /_clasp; 0s = not at all.',
      fallback: 5000,
      minMs: 0,
      maxMs: DAY_MS,
      needsRestart: true,
    }),
    policies: list({
      description: 'Rules for params by address; the first match counts.',
      of: object('A rule.', {
        pattern: required(pattern('The addresses that it is for.')),
        conflict: oneOf({
          description:
            'Which write wins: the last (lww), the highest (max) or lowest (min) number, only that of the lock holder (lock), or the union of map keys (merge).',
          fallback: 'lww',
          values: ['lww', 'max', 'min', 'lock', 'merge'],
        }),
        ttl: optional(
          duration({
            description: 'Time to live since the last write; 0s = never expires.',
            fallback: 0,
            minMs: 0,
            maxMs: 3650 * DAY_MS,
          }),
        ),
      }),
    }),
  }),
  gestures: object('Touch and drag input.', {
    coalesce: flag({
      description: 'Pass on at most one move per interval, always the newest.',
      fallback: router.gestures.coalesce,
    }),
    interval: duration({
      description: 'That interval.',
      fallback: router.gestures.intervalMs,
      minMs: 0,
      maxMs: 10_000,
    }),
    timeout: duration({
      description: 'A gesture that is silent for so long is cancelled.',
      fallback: router.gestures.timeoutSeconds * 1000,
      minMs: 1000,
      maxMs: DAY_MS,
    }),
  }),
  bundles: object('Bundled messages.', {
    maxMessages: whole({
      description: 'Messages in one bundle.',
      fallback: router.bundles.maxMessages,
      min: 1,
      max: 65_535,
    }),
    maxScheduled: whole({
      description: 'Bundles that wait for their time.',
      fallback: router.bundles.maxScheduled,
      min: 0,
      max: 1_000_000,
    }),
    horizon: duration({
      description: 'How far ahead a bundle may be scheduled.',
      fallback: router.bundles.horizonSeconds * 1000,
      minMs: 0,
      maxMs: 30 * DAY_MS,
    }),
  }),
  history: object('Recent messages, for subscriptions that ask for history or a window.', {
    bytes: whole({
      description: 'Memory for them; 0 = none.',
      unit: 'bytes',
      fallback: router.historyBytes,
      min: 0,
      max: 1_073_741_824,
      needsRestart: true,
    }),
  }),
  queue: object('What is held for clients that do not keep up.', {
    highWater: whole({
      description: 'Unsent bytes from which on updates are coalesced.',
      unit: 'bytes',
      fallback: router.queue.highWaterBytes,
      min: 4096,
      max: 1_073_741_824,
    }),
    maxMessages: whole({
      description: 'Messages held for one client.',
      fallback: router.queue.maxMessages,
      min: 10,
      max: 10_000_000,
    }),
    maxBytes: whole({
      description: 'Bytes held for one client.',
      unit: 'bytes',
      fallback: router.queue.maxBytes,
      min: 65_536,
      max: 1_073_741_824,
    }),
    stuckTimeout: duration({
      description: 'A client that takes nothing for so long is closed.',
      fallback: router.queue.stuckTimeoutMs,
      minMs: 1000,
      maxMs: DAY_MS,
    }),
  }),
  journal,
  hub,
  firmware,
  devices: lazyLists.devices,
  failSafe,
  bridges: lazyLists.bridges,
  routes: lazyLists.routes,
  simulate: oneOf({
    description:
      'The simulated board with its signals below /sim, and devices that are made up: auto = on machines without a device tree, such as laptops.',
    fallback: 'auto',
    values: ['auto', true, false],
    needsRestart: true,
  }),
  http: object('What the port answers to a browser or a monitoring system.', {
    status: flag({ description: 'JSON at /status.', fallback: true, needsRestart: true }),
    metrics: flag({ description: 'Prometheus text at /metrics.', fallback: true, needsRestart: true }),
  }),
  log: object('Log lines on standard error.', {
    level: oneOf({
      description: 'The least important lines that are written.',
      fallback: 'info',
      values: ['debug', 'info', 'warn', 'error'],
      needsRestart: true,
    }),
    format: oneOf({
      description: 'auto = for journald under systemd, else text.',
      fallback: 'auto',
      values: ['auto', 'text', 'json'],
      needsRestart: true,
    }),
  }),
})

export type Config = ValueOf<typeof schema>

export const defaultConfig: Config = schema.fallback
