import { PHASES, SIGNALS } from './codes.ts'
import { MAX_BUNDLE_DEPTH } from './constants.ts'
import { DecodeError } from './errors.ts'
import { Fields, Problems } from './legacy-fields.ts'
import type {
  Easing,
  FederationOp,
  Keyframe,
  Message,
  SignalDefinition,
  SnapshotParam,
  SubscribeOptions,
  Timeline,
  Ttl,
} from './message.ts'
import { decodeMessagePack, type Item } from './messagepack.ts'

/**
 * The legacy payload: one MessagePack map with `type` and snake_case fields, as the Python client still sends it.
 * Source: wire reference §8.
 */
export function isLegacy(firstByte: number): boolean {
  return (firstByte >= 0x80 && firstByte <= 0x8f) || firstByte === 0xde || firstByte === 0xdf
}

export function decodeLegacy(bytes: Uint8Array, start: number, end: number): Message | DecodeError {
  const item = decodeMessagePack(bytes, start, end)
  if (item instanceof DecodeError) return item
  const problems = new Problems()
  const message = readMessage(new Fields(item, problems), 0)
  return problems.first ?? message
}

const EASINGS: readonly Easing[] = ['linear', 'ease-in', 'ease-out', 'ease-in-out', 'step', 'cubic-bezier']
const OPS: Record<string, FederationOp> = {
  DeclareNamespaces: 'declare_namespaces',
  RequestSync: 'request_sync',
  RevisionVector: 'revision_vector',
  SyncComplete: 'sync_complete',
}

function readMessage(f: Fields, depth: number): Message {
  const strings = f.list((item) => f.string(item, 'item'))
  const types = f.list((item) => f.oneOf(SIGNALS)(item, 'signal type'))
  const signals = f.list(f.inner(readSignal))
  const type = f.required('type', '', f.string)
  switch (type) {
    case 'HELLO':
      return {
        type,
        version: f.required('version', 0, f.u8),
        name: f.required('name', '', f.string),
        features: f.defaulted('features', [], strings),
        capabilities: f.optional('capabilities', f.inner(readCapabilities)),
        token: f.optional('token', f.string),
      }
    case 'WELCOME':
      return {
        type,
        version: f.required('version', 0, f.u8),
        session: f.required('session', '', f.string),
        name: f.required('name', '', f.string),
        features: f.defaulted('features', [], strings),
        time: f.required('time', 0, f.u64),
        token: f.optional('token', f.string),
      }
    case 'ANNOUNCE':
      return {
        type,
        namespace: f.required('namespace', '', f.string),
        signals: f.defaulted('signals', [], signals),
        meta: f.optional('meta', (item) => {
          const value = f.value(item)
          return value.type === 'map' ? [...value.value] : []
        }),
      }
    case 'SUBSCRIBE':
      return {
        type,
        id: f.required('id', 0, f.u32),
        pattern: f.required('pattern', '', f.string),
        types: f.defaulted('types', [], types),
        options: f.optional('options', f.inner(readSubscribeOptions)),
      }
    case 'UNSUBSCRIBE':
      return { type, id: f.required('id', 0, f.u32) }
    case 'PUBLISH':
      return {
        type,
        address: f.required('address', '', f.string),
        signal: f.optional('signal', f.oneOf(SIGNALS)),
        value: f.optional('value', f.value),
        payload: f.optional('payload', f.value),
        samples: f.optional(
          'samples',
          f.list((item) => f.float(item, 'sample')),
        ),
        rate: f.optional('rate', f.u32),
        id: f.optional('id', f.u32),
        phase: f.optional('phase', f.oneOf(PHASES)),
        timestamp: f.optional('timestamp', f.u64),
        timeline: f.optional('timeline', f.inner(readTimeline)),
      }
    case 'SET':
      return {
        type,
        address: f.required('address', '', f.string),
        value: f.required('value', { type: 'null' }, f.value),
        revision: f.optional('revision', f.u64),
        lock: f.defaulted('lock', false, f.bool) || undefined,
        unlock: f.defaulted('unlock', false, f.bool) || undefined,
        ttl: f.optional('ttl', (item) => readTtl(f, item)),
      }
    case 'GET':
      return { type, address: f.required('address', '', f.string) }
    case 'SNAPSHOT':
      return { type, params: f.required('params', [], f.list(f.inner(readParam))) }
    case 'REPLAY':
      return {
        type,
        pattern: f.required('pattern', '', f.string),
        from: f.optional('from', f.u64),
        to: f.optional('to', f.u64),
        limit: f.optional('limit', f.u32),
        types: f.defaulted('types', [], types),
      }
    case 'FEDERATION_SYNC':
      return {
        type,
        op: OPS[f.required('op', 'SyncComplete', f.oneOf(Object.keys(OPS)))],
        patterns: f.defaulted('patterns', [], strings),
        revisions: f.defaulted('revisions', [], (item) => readRevisions(f, item)),
        sinceRevision: f.optional('since_revision', f.u64),
        origin: f.optional('origin', f.string),
      }
    case 'BUNDLE':
      if (depth >= MAX_BUNDLE_DEPTH) f.problems.add(`bundles are nested deeper than ${MAX_BUNDLE_DEPTH}`, f.at)
      return {
        type,
        timestamp: f.optional('timestamp', f.u64),
        messages:
          f.problems.first === undefined
            ? f.required('messages', [], f.list(f.inner((fields) => readMessage(fields, depth + 1))))
            : [],
      }
    case 'SYNC':
      return { type, t1: f.required('t1', 0, f.u64), t2: f.optional('t2', f.u64), t3: f.optional('t3', f.u64) }
    case 'PING':
    case 'PONG':
      return { type }
    case 'ACK':
      return {
        type,
        address: f.optional('address', f.string),
        revision: f.optional('revision', f.u64),
        locked: f.optional('locked', f.bool),
        holder: f.optional('holder', f.string),
        correlationId: f.optional('correlation_id', f.u32),
      }
    case 'ERROR':
      return {
        type,
        code: f.required('code', 0, f.u16),
        message: f.required('message', '', f.string),
        address: f.optional('address', f.string),
        correlationId: f.optional('correlation_id', f.u32),
      }
    case 'QUERY':
      return { type, pattern: f.required('pattern', '', f.string) }
    case 'RESULT':
      return { type, signals: f.required('signals', [], signals) }
    default:
      f.problems.add(`unknown message type ${JSON.stringify(type.slice(0, 40))}`, f.at)
      return { type: 'PING' }
  }
}

function readCapabilities(f: Fields): { encryption: boolean; compression?: string } {
  return { encryption: f.defaulted('encryption', false, f.bool), compression: f.optional('compression', f.string) }
}

function readSubscribeOptions(f: Fields): SubscribeOptions {
  return {
    maxRate: f.optional('max_rate', f.u32),
    epsilon: f.optional('epsilon', f.float),
    history: f.optional('history', f.u32),
    window: f.optional('window', f.u32),
  }
}

function readSignal(f: Fields): SignalDefinition {
  return {
    address: f.required('address', '', f.string),
    type: f.required('type', 'event', f.oneOf(SIGNALS)),
    datatype: f.optional('datatype', f.string),
    access: f.optional('access', f.string),
    meta: f.optional('meta', f.inner(readMeta)),
  }
}

function readMeta(f: Fields): NonNullable<SignalDefinition['meta']> {
  return {
    unit: f.optional('unit', f.string),
    range: f.optional('range', (item, name): [number, number] => {
      const range = f.list((end) => f.float(end, name))(item, name)
      if (range.length !== 2) f.problems.add('range must have two numbers', item.at)
      return [range[0] ?? 0, range[1] ?? 0]
    }),
    default: f.optional('default', f.value),
    description: f.optional('description', f.string),
  }
}

function readParam(f: Fields): SnapshotParam {
  return {
    address: f.required('address', '', f.string),
    value: f.required('value', { type: 'null' }, f.value),
    revision: f.required('revision', 0, f.u64),
    writer: f.optional('writer', f.string),
    timestamp: f.optional('timestamp', f.u64),
  }
}

function readTimeline(f: Fields): Timeline {
  return {
    keyframes: f.required('keyframes', [], f.list(f.inner(readKeyframe))),
    // Upstream's name for the field, trailing underscore included.
    loop: f.defaulted('loop_', false, f.bool),
    startTime: f.optional('start_time', f.u64),
    duration: f.optional('duration', f.u64),
  }
}

function readKeyframe(f: Fields): Keyframe {
  return {
    time: Number(f.required('time', 0, f.u64)),
    value: f.required('value', { type: 'null' }, f.value),
    easing: f.defaulted('easing', 'linear', f.oneOf(EASINGS)),
    bezier: f.optional('bezier', (item, name): [number, number, number, number] => {
      const points = f.list((point) => f.float(point, name))(item, name)
      if (points.length !== 4) f.problems.add('bezier must have four numbers', item.at)
      return [points[0] ?? 0, points[1] ?? 0, points[2] ?? 0, points[3] ?? 0]
    }),
  }
}

/** "Never", {"Sliding": seconds} or {"Absolute": seconds}. */
function readTtl(f: Fields, item: Item): Ttl {
  if (item.kind === 'string' && item.value === 'Never') return { mode: 'never' }
  if (item.kind === 'map' && item.value.length === 1) {
    const [key, seconds] = item.value[0]
    const mode = key.kind === 'string' ? key.value : ''
    if (mode === 'Sliding') return { mode: 'sliding', seconds: f.u32(seconds, 'ttl seconds') }
    if (mode === 'Absolute') return { mode: 'absolute', seconds: f.u32(seconds, 'ttl seconds') }
  }
  f.problems.add('ttl must be "Never", {"Sliding": seconds} or {"Absolute": seconds}', item.at)
  return { mode: 'never' }
}

function readRevisions(f: Fields, item: Item): [string, number | bigint][] {
  if (item.kind !== 'map') {
    f.problems.add(`revisions must be a map, got ${item.kind}`, item.at)
    return []
  }
  return item.value.map(([key, revision]) => [f.string(key, 'address'), f.u64(revision, 'revision')])
}
