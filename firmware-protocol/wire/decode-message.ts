import { FEATURES, FEDERATION_OPS, PHASES, SIGNALS } from './codes.ts'
import {
  ALL_SIGNALS_MASK,
  FeatureBit,
  MAX_BUNDLE_DEPTH,
  MessageCode,
  PublishFlag,
  PublishIndicator,
  SetFlag,
  SubscribeOption,
  TTL_ABSOLUTE_BIT,
} from './constants.ts'
import { DecodeError } from './errors.ts'
import { decodeLegacy, isLegacy } from './legacy.ts'
import type {
  Ack,
  ErrorMessage,
  Feature,
  Message,
  Publish,
  SetParam,
  Signal,
  SignalDefinition,
  SnapshotParam,
  SubscribeOptions,
  Ttl,
} from './message.ts'
import { Reader } from './reader.ts'
import { readTyped, readValue } from './value-codec.ts'

/**
 * Decodes the payload `bytes[start, end)` of a frame, in the compact or the legacy form, told apart by the first byte.
 * Layouts: wire reference §6; what is refused and what is tolerated: §9.
 */
export function decodeMessage(bytes: Uint8Array, start = 0, end = bytes.length): Message | DecodeError {
  if (start >= end) return new DecodeError('message', 'empty message', start)
  if (isLegacy(bytes[start])) return decodeLegacy(bytes, start, end)
  const r = new Reader(bytes, start, end)
  const message = readMessage(r, 0)
  return r.failure ?? message
}

/** Reads one compact message, to the end of the reader. When the reader has failed the result means nothing. */
function readMessage(r: Reader, depth: number): Message {
  const code = r.u8('message type')
  switch (code) {
    case MessageCode.hello:
      return readHello(r)
    case MessageCode.welcome:
      return {
        type: 'WELCOME',
        version: r.u8('version'),
        features: featuresOf(r.u8('features') & ~FeatureBit.federation),
        time: r.u64('time'),
        session: r.string('session'),
        name: r.string('name'),
        token: r.string('token') || undefined,
      }
    case MessageCode.announce:
      return {
        type: 'ANNOUNCE',
        namespace: r.string('namespace'),
        signals: list(r, 'signals', () => readSignal(r, true)),
      }
    case MessageCode.federationSync:
      return readFederationSync(r)
    case MessageCode.subscribe:
      return readSubscribe(r)
    case MessageCode.unsubscribe:
      return { type: 'UNSUBSCRIBE', id: r.u32('id') }
    case MessageCode.publish:
      return readPublish(r)
    case MessageCode.set:
      return readSet(r)
    case MessageCode.get:
      return { type: 'GET', address: r.address() }
    case MessageCode.snapshot:
      return { type: 'SNAPSHOT', params: list(r, 'params', () => readParam(r)) }
    case MessageCode.replay:
      return readReplay(r)
    case MessageCode.bundle:
      return readBundle(r, depth)
    case MessageCode.sync: {
      const flags = r.u8('flags')
      const t1 = r.u64('t1')
      const t2 = (flags & 0x01) !== 0 ? r.u64('t2') : undefined
      return { type: 'SYNC', t1, t2, t3: (flags & 0x02) !== 0 ? r.u64('t3') : undefined }
    }
    case MessageCode.ping:
      return { type: 'PING' }
    case MessageCode.pong:
      return { type: 'PONG' }
    case MessageCode.ack:
      return readAck(r)
    case MessageCode.error:
      return readError(r)
    case MessageCode.query:
      return { type: 'QUERY', pattern: r.string('pattern') }
    case MessageCode.result:
      return { type: 'RESULT', signals: list(r, 'signals', () => readSignal(r, false)) }
    default:
      r.fail(`unknown message type 0x${code.toString(16).padStart(2, '0')}`, r.offset - 1)
      return { type: 'PING' }
  }
}

function list<T>(r: Reader, field: string, read: () => T): T[] {
  const count = r.u16(`count of ${field}`)
  const items: T[] = []
  for (let i = 0; i < count && r.failure === undefined; i++) items.push(read())
  return items
}

function featuresOf(bits: number): Feature[] {
  return FEATURES.filter((feature) => (bits & FeatureBit[feature]) !== 0)
}

function signalOf(code: number): Signal {
  return SIGNALS[code] ?? 'event'
}

/** A mask without an assigned bit means all, as does ff; both are the empty list. */
function typesOf(mask: number): Signal[] {
  return mask === ALL_SIGNALS_MASK ? [] : SIGNALS.filter((_, code) => (mask & (1 << code)) !== 0)
}

function readHello(r: Reader): Message {
  return {
    type: 'HELLO',
    version: r.u8('version'),
    features: featuresOf(r.u8('features')),
    name: r.string('name'),
    token: r.string('token') || undefined,
  }
}

function readSignal(r: Reader, hasMeta: boolean): SignalDefinition {
  const signal: SignalDefinition = { address: r.address(), type: signalOf(r.u8('signal type')) }
  const opt = r.u8('signal options')
  if ((opt & 0x01) !== 0) signal.datatype = r.string('datatype')
  if ((opt & 0x02) !== 0) signal.access = r.string('access')
  if (!hasMeta || (opt & 0x04) === 0) return signal
  const flags = r.u8('meta flags')
  signal.meta = {}
  if ((flags & 0x01) !== 0) signal.meta.unit = r.string('unit')
  if ((flags & 0x02) !== 0) signal.meta.range = [r.f64('range minimum'), r.f64('range maximum')]
  if ((flags & 0x04) !== 0) signal.meta.default = readTyped(r)
  if ((flags & 0x08) !== 0) signal.meta.description = r.string('description')
  return signal
}

function readFederationSync(r: Reader): Message {
  const opAt = r.offset
  const op = FEDERATION_OPS[r.u8('op') - 1]
  if (op === undefined) r.fail('unknown federation operation', opAt)
  const patterns = list(r, 'patterns', () => r.string('pattern'))
  const revisions = list(r, 'revisions', (): [string, number | bigint] => [r.address(), r.u64('revision')])
  const flags = r.u8('flags')
  const sinceRevision = (flags & 0x80) !== 0 ? r.u64('since revision') : undefined
  const origin = (flags & 0x40) !== 0 ? r.string('origin') : undefined
  return { type: 'FEDERATION_SYNC', op, patterns, revisions, sinceRevision, origin }
}

function readSubscribe(r: Reader): Message {
  const id = r.u32('id')
  const pattern = r.string('pattern')
  const types = typesOf(r.u8('type mask'))
  const opt = r.u8('options')
  if (opt === 0) return { type: 'SUBSCRIBE', id, pattern, types }
  const options: SubscribeOptions = {}
  if ((opt & SubscribeOption.maxRate) !== 0) options.maxRate = r.u32('max rate')
  if ((opt & SubscribeOption.epsilon) !== 0) options.epsilon = r.f64('epsilon')
  if ((opt & SubscribeOption.history) !== 0) options.history = r.u32('history')
  if ((opt & SubscribeOption.window) !== 0) options.window = r.u32('window')
  return { type: 'SUBSCRIBE', id, pattern, types, options }
}

function readPublish(r: Reader): Message {
  const flags = r.u8('flags')
  const message: Publish = {
    type: 'PUBLISH',
    address: r.address(),
    signal: signalOf(flags >>> 5),
    phase: PHASES[flags & PublishFlag.phaseMask] ?? 'start',
  }
  const indicator = r.u8('value indicator')
  if (indicator === PublishIndicator.value) message.value = readTyped(r)
  else if (indicator === PublishIndicator.samples) message.samples = list(r, 'samples', () => r.f64('sample'))
  if ((flags & PublishFlag.timestamp) !== 0) message.timestamp = r.u64('timestamp')
  if ((flags & PublishFlag.id) !== 0) message.id = r.u32('id')
  // The rate has no flag: four bytes that are left are it.
  if (r.left >= 4) message.rate = r.u32('rate')
  return message
}

function readSet(r: Reader): Message {
  const flags = r.u8('flags')
  const message: SetParam = { type: 'SET', address: r.address(), value: { type: 'null' } }
  if (r.failure === undefined) message.value = readValue(r, flags & SetFlag.typeMask)
  if ((flags & SetFlag.revision) !== 0) message.revision = r.u64('revision')
  if ((flags & SetFlag.lock) !== 0) message.lock = true
  if ((flags & SetFlag.unlock) !== 0) message.unlock = true
  if ((flags & SetFlag.ttl) !== 0) message.ttl = ttlOf(r.u32('ttl'))
  return message
}

function ttlOf(raw: number): Ttl {
  if (raw === 0) return { mode: 'never' }
  if (raw >= TTL_ABSOLUTE_BIT) return { mode: 'absolute', seconds: raw - TTL_ABSOLUTE_BIT }
  return { mode: 'sliding', seconds: raw }
}

function readParam(r: Reader): SnapshotParam {
  const param: SnapshotParam = { address: r.address(), value: readTyped(r), revision: r.u64('revision') }
  const opt = r.u8('param options')
  if ((opt & 0x01) !== 0) param.writer = r.string('writer')
  if ((opt & 0x02) !== 0) param.timestamp = r.u64('timestamp')
  return param
}

function readReplay(r: Reader): Message {
  const flags = r.u8('flags')
  const pattern = r.string('pattern')
  const from = (flags & 0x80) !== 0 ? r.u64('from') : undefined
  const to = (flags & 0x40) !== 0 ? r.u64('to') : undefined
  const limit = (flags & 0x20) !== 0 ? r.u32('limit') : undefined
  return { type: 'REPLAY', pattern, from, to, limit, types: typesOf(r.u8('type mask')) }
}

function readBundle(r: Reader, depth: number): Message {
  const flags = r.u8('flags')
  const count = r.u16('count of messages')
  const timestamp = (flags & 0x80) !== 0 ? r.u64('timestamp') : undefined
  const messages: Message[] = []
  if (depth >= MAX_BUNDLE_DEPTH) r.fail(`bundles are nested deeper than ${MAX_BUNDLE_DEPTH}`)
  for (let i = 0; i < count && r.failure === undefined; i++) {
    const length = r.u16('length of message')
    if (r.failure === undefined && (length === 0 || length > r.left)) {
      r.fail(length === 0 ? 'empty message in bundle' : `message needs ${length} bytes, ${r.left} are left`)
      break
    }
    const inner = new Reader(r.bytes, r.offset, r.offset + length)
    const message = readMessage(inner, depth + 1)
    if (inner.failure !== undefined) r.failure = inner.failure
    else messages.push(message)
    r.offset += length
  }
  return { type: 'BUNDLE', timestamp, messages }
}

function readAck(r: Reader): Message {
  const flags = r.u8('flags')
  const message: Ack = { type: 'ACK' }
  if ((flags & 0x01) !== 0) message.address = r.address()
  if ((flags & 0x02) !== 0) message.revision = r.u64('revision')
  if ((flags & 0x04) !== 0) message.locked = r.u8('locked') !== 0
  if ((flags & 0x08) !== 0) message.holder = r.string('holder')
  if ((flags & 0x10) !== 0) message.correlationId = r.u32('correlation id')
  return message
}

function readError(r: Reader): Message {
  const message: ErrorMessage = { type: 'ERROR', code: r.u16('code'), message: r.string('message') }
  const flags = r.u8('flags')
  if ((flags & 0x01) !== 0) message.address = r.address()
  if ((flags & 0x02) !== 0) message.correlationId = r.u32('correlation id')
  return message
}
