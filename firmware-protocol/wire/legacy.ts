import { PHASES, SIGNALS } from './codes.ts'
import { MAX_BUNDLE_DEPTH, MAX_VALUE_DEPTH } from './constants.ts'
import { DecodeError } from './errors.ts'
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
import type { Value } from './value.ts'

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

/** The first thing that is wrong; what is read after it means nothing. */
class Problems {
  first: DecodeError | undefined

  add(reason: string, at: number): void {
    this.first ??= new DecodeError('message', reason, at)
  }
}

const U16 = 0xffff
const U32 = 0xffff_ffff
const EASINGS: readonly Easing[] = ['linear', 'ease-in', 'ease-out', 'ease-in-out', 'step', 'cubic-bezier']
const OPS: Record<string, FederationOp> = {
  DeclareNamespaces: 'declare_namespaces',
  RequestSync: 'request_sync',
  RevisionVector: 'revision_vector',
  SyncComplete: 'sync_complete',
}

/** The fields of one map. Unknown keys are ignored; nil counts as absent only where a field is optional. */
class Fields {
  readonly problems: Problems
  readonly at: number
  private readonly items = new Map<string, Item>()

  constructor(item: Item, problems: Problems) {
    this.problems = problems
    this.at = item.at
    if (item.kind !== 'map') {
      problems.add(`expected a map, got ${item.kind}`, item.at)
      return
    }
    for (const [key, value] of item.value) {
      if (key.kind !== 'string') continue
      if (key.value === 'type' && this.items.has('type')) problems.add('type is given twice', key.at)
      this.items.set(key.value, value)
    }
  }

  has(name: string): boolean {
    return this.items.has(name)
  }

  optional<T>(name: string, read: (item: Item, name: string) => T): T | undefined {
    const item = this.items.get(name)
    return item === undefined || item.kind === 'nil' ? undefined : read(item, name)
  }

  /** Absent means the default; nil is an error. */
  defaulted<T>(name: string, fallback: T, read: (item: Item, name: string) => T): T {
    const item = this.items.get(name)
    return item === undefined ? fallback : read(item, name)
  }

  required<T>(name: string, fallback: T, read: (item: Item, name: string) => T): T {
    const item = this.items.get(name)
    if (item !== undefined) return read(item, name)
    this.problems.add(`${name} is missing`, this.at)
    return fallback
  }

  readonly string = (item: Item, name: string): string => {
    if (item.kind === 'string') return item.value
    this.problems.add(`${name} must be a string, got ${item.kind}`, item.at)
    return ''
  }

  readonly bool = (item: Item, name: string): boolean => {
    if (item.kind === 'bool') return item.value
    this.problems.add(`${name} must be a boolean, got ${item.kind}`, item.at)
    return false
  }

  readonly float = (item: Item, name: string): number => {
    if (item.kind === 'float' || item.kind === 'int') return Number(item.value)
    this.problems.add(`${name} must be a number, got ${item.kind}`, item.at)
    return 0
  }

  readonly u64 = (item: Item, name: string): number | bigint => {
    if (item.kind === 'int' && item.value >= 0) return item.value
    this.problems.add(`${name} must be an unsigned integer`, item.at)
    return 0
  }

  readonly u32 = (item: Item, name: string): number => this.integer(item, name, U32)
  readonly u16 = (item: Item, name: string): number => this.integer(item, name, U16)

  readonly value = (item: Item): Value => readValue(item, this.problems, 0)

  list<T>(read: (item: Item) => T): (item: Item, name: string) => T[] {
    return (item, name) => {
      if (item.kind === 'array') return item.value.map(read)
      this.problems.add(`${name} must be an array, got ${item.kind}`, item.at)
      return []
    }
  }

  oneOf<T extends string>(names: readonly T[]): (item: Item, name: string) => T {
    return (item, name) => {
      const found = names.find((allowed) => item.kind === 'string' && item.value === allowed)
      if (found === undefined) this.problems.add(`${name} must be one of ${names.join(', ')}`, item.at)
      return found ?? names[0]
    }
  }

  inner<T>(read: (fields: Fields) => T): (item: Item) => T {
    return (item) => read(new Fields(item, this.problems))
  }

  private integer(item: Item, name: string, max: number): number {
    if (item.kind === 'int' && item.value >= 0 && item.value <= max) return Number(item.value)
    this.problems.add(`${name} must be an integer from 0 to ${max}`, item.at)
    return 0
  }
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
        version: f.required('version', 0, (item, name) => f.u16(item, name) & 0xff),
        name: f.required('name', '', f.string),
        features: f.defaulted('features', [], strings),
        capabilities: f.optional('capabilities', f.inner(readCapabilities)),
        token: f.optional('token', f.string),
      }
    case 'WELCOME':
      return {
        type,
        version: f.required('version', 0, (item, name) => f.u16(item, name) & 0xff),
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
      f.problems.add(`unknown message type ${JSON.stringify(type)}`, f.at)
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

function readValue(item: Item, problems: Problems, depth: number): Value {
  if (depth > MAX_VALUE_DEPTH) problems.add(`values are nested deeper than ${MAX_VALUE_DEPTH}`, item.at)
  switch (item.kind) {
    case 'nil':
      return { type: 'null' }
    case 'bool':
      return { type: 'bool', value: item.value }
    case 'int':
      // An unsigned integer that i64 cannot hold becomes a float.
      return item.value > 0x7fff_ffff_ffff_ffffn
        ? { type: 'f64', value: Number(item.value) }
        : { type: 'i64', value: item.value }
    case 'float':
      return { type: 'f64', value: item.value }
    case 'string':
      return { type: 'string', value: item.value }
    case 'bin':
      return readBin(item.value)
    case 'array':
      return { type: 'array', value: item.value.map((element) => readValue(element, problems, depth + 1)) }
    case 'map':
      return {
        type: 'map',
        value: item.value.map(([key, element]): [string, Value] => {
          if (key.kind !== 'string') problems.add(`map keys must be strings, got ${key.kind}`, key.at)
          return [key.kind === 'string' ? key.value : '', readValue(element, problems, depth + 1)]
        }),
      }
  }
}

/** Upstream reads bytes that are valid UTF-8 as a string; others it refuses, which loses nothing by being taken as bytes. */
function readBin(bytes: Uint8Array): Value {
  try {
    return { type: 'string', value: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { type: 'bytes', value: bytes }
  }
}
