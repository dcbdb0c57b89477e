import { FEATURES, FEDERATION_OPS } from './codes.ts'
import {
  ALL_SIGNALS_MASK,
  FeatureBit,
  MAX_BUNDLE_DEPTH,
  MAX_PAYLOAD_BYTES,
  MessageCode,
  PhaseCode,
  PublishFlag,
  PublishIndicator,
  SetFlag,
  SignalCode,
  SubscribeOption,
  TTL_ABSOLUTE_BIT,
  ValueCode,
} from './constants.ts'
import { EncodeError } from './errors.ts'
import type {
  Bundle,
  FederationSync,
  Message,
  Publish,
  SetParam,
  Signal,
  SignalDefinition,
  SnapshotParam,
  Subscribe,
  Ttl,
} from './message.ts'
import { writeTyped, writeValue } from './value-codec.ts'
import { Writer } from './writer.ts'

/** One for all: encoding is never interrupted by another, and a new one would cost more than most messages. */
const writer = new Writer()

/**
 * The compact payload of a message, at most 65 535 bytes. Throws an EncodeError when it is larger or a field is out of
 * range. Layouts: wire reference §6.
 */
export function encodeMessage(message: Message): Uint8Array {
  const w = writer
  w.reset()
  writeMessage(w, message, 0)
  if (w.length > MAX_PAYLOAD_BYTES) {
    throw new EncodeError(`${message.type} takes ${w.length} bytes, a frame holds ${MAX_PAYLOAD_BYTES}`)
  }
  return w.finish()
}

/** `depth` counts the bundles around the message. */
function writeMessage(w: Writer, m: Message, depth: number): void {
  switch (m.type) {
    case 'HELLO':
    case 'WELCOME':
      w.u8(m.type === 'HELLO' ? MessageCode.hello : MessageCode.welcome, 'type')
      w.u8(m.version, 'version')
      w.u8(featureBits(m.features), 'features')
      if (m.type === 'WELCOME') {
        w.u64(m.time, 'time')
        w.string(m.session, 'session')
      }
      w.string(m.name, 'name')
      w.string(m.token ?? '', 'token')
      return
    case 'ANNOUNCE':
      w.u8(MessageCode.announce, 'type')
      w.string(m.namespace, 'namespace')
      writeSignals(w, m.signals, true)
      return
    case 'FEDERATION_SYNC':
      writeFederationSync(w, m)
      return
    case 'SUBSCRIBE':
      writeSubscribe(w, m)
      return
    case 'UNSUBSCRIBE':
      w.u8(MessageCode.unsubscribe, 'type')
      w.u32(m.id, 'id')
      return
    case 'PUBLISH':
      writePublish(w, m)
      return
    case 'SET':
      writeSet(w, m)
      return
    case 'GET':
      w.u8(MessageCode.get, 'type')
      w.string(m.address, 'address')
      return
    case 'SNAPSHOT':
      w.u8(MessageCode.snapshot, 'type')
      w.u16(m.params.length, 'count of params')
      for (const param of m.params) writeParam(w, param)
      return
    case 'REPLAY':
      w.u8(MessageCode.replay, 'type')
      w.u8(bit(m.from, 0x80) | bit(m.to, 0x40) | bit(m.limit, 0x20), 'flags')
      w.string(m.pattern, 'pattern')
      if (m.from !== undefined) w.u64(m.from, 'from')
      if (m.to !== undefined) w.u64(m.to, 'to')
      if (m.limit !== undefined) w.u32(m.limit, 'limit')
      w.u8(maskOf(m.types), 'type mask')
      return
    case 'BUNDLE':
      writeBundle(w, m, depth)
      return
    case 'SYNC':
      w.u8(MessageCode.sync, 'type')
      w.u8(bit(m.t2, 0x01) | bit(m.t3, 0x02), 'flags')
      w.u64(m.t1, 't1')
      if (m.t2 !== undefined) w.u64(m.t2, 't2')
      if (m.t3 !== undefined) w.u64(m.t3, 't3')
      return
    case 'PING':
      w.u8(MessageCode.ping, 'type')
      return
    case 'PONG':
      w.u8(MessageCode.pong, 'type')
      return
    case 'ACK':
      w.u8(MessageCode.ack, 'type')
      w.u8(
        bit(m.address, 0x01) |
          bit(m.revision, 0x02) |
          bit(m.locked, 0x04) |
          bit(m.holder, 0x08) |
          bit(m.correlationId, 0x10),
        'flags',
      )
      if (m.address !== undefined) w.string(m.address, 'address')
      if (m.revision !== undefined) w.u64(m.revision, 'revision')
      if (m.locked !== undefined) w.u8(m.locked ? 1 : 0, 'locked')
      if (m.holder !== undefined) w.string(m.holder, 'holder')
      if (m.correlationId !== undefined) w.u32(m.correlationId, 'correlation id')
      return
    case 'ERROR':
      w.u8(MessageCode.error, 'type')
      w.u16(m.code, 'code')
      w.string(m.message, 'message')
      w.u8(bit(m.address, 0x01) | bit(m.correlationId, 0x02), 'flags')
      if (m.address !== undefined) w.string(m.address, 'address')
      if (m.correlationId !== undefined) w.u32(m.correlationId, 'correlation id')
      return
    case 'QUERY':
      w.u8(MessageCode.query, 'type')
      w.string(m.pattern, 'pattern')
      return
    case 'RESULT':
      w.u8(MessageCode.result, 'type')
      writeSignals(w, m.signals, false)
      return
  }
}

/** The flag of an optional field that is present. */
function bit(field: unknown, flag: number): number {
  return field === undefined ? 0 : flag
}

function featureBits(features: readonly string[]): number {
  return FEATURES.reduce((bits, feature) => bits | (features.includes(feature) ? FeatureBit[feature] : 0), 0)
}

function maskOf(types: readonly Signal[]): number {
  return types.length === 0 ? ALL_SIGNALS_MASK : types.reduce((mask, type) => mask | (1 << SignalCode[type]), 0)
}

function writeSignals(w: Writer, signals: readonly SignalDefinition[], withMeta: boolean): void {
  w.u16(signals.length, 'count of signals')
  for (const { address, type, datatype, access, meta } of signals) {
    w.string(address, 'address')
    w.u8(SignalCode[type], 'signal type')
    w.u8(bit(datatype, 0x01) | bit(access, 0x02) | (withMeta ? bit(meta, 0x04) : 0), 'signal options')
    if (datatype !== undefined) w.string(datatype, 'datatype')
    if (access !== undefined) w.string(access, 'access')
    if (!withMeta || meta === undefined) continue
    const { unit, range, default: value, description } = meta
    w.u8(bit(unit, 0x01) | bit(range, 0x02) | bit(value, 0x04) | bit(description, 0x08), 'meta flags')
    if (unit !== undefined) w.string(unit, 'unit')
    if (range !== undefined) {
      w.f64(range[0])
      w.f64(range[1])
    }
    if (value !== undefined) writeTyped(w, value)
    if (description !== undefined) w.string(description, 'description')
  }
}

function writeFederationSync(w: Writer, m: FederationSync): void {
  w.u8(MessageCode.federationSync, 'type')
  w.u8(FEDERATION_OPS.indexOf(m.op) + 1, 'op')
  w.u16(m.patterns.length, 'count of patterns')
  for (const pattern of m.patterns) w.string(pattern, 'pattern')
  w.u16(m.revisions.length, 'count of revisions')
  for (const [address, revision] of m.revisions) {
    w.string(address, 'address')
    w.u64(revision, 'revision')
  }
  w.u8(bit(m.sinceRevision, 0x80) | bit(m.origin, 0x40), 'flags')
  if (m.sinceRevision !== undefined) w.u64(m.sinceRevision, 'since revision')
  if (m.origin !== undefined) w.string(m.origin, 'origin')
}

function writeSubscribe(w: Writer, { id, pattern, types, options }: Subscribe): void {
  w.u8(MessageCode.subscribe, 'type')
  w.u32(id, 'id')
  w.string(pattern, 'pattern')
  w.u8(maskOf(types), 'type mask')
  const { maxRate, epsilon, history, window } = options ?? {}
  w.u8(
    bit(maxRate, SubscribeOption.maxRate) |
      bit(epsilon, SubscribeOption.epsilon) |
      bit(history, SubscribeOption.history) |
      bit(window, SubscribeOption.window),
    'options',
  )
  if (maxRate !== undefined) w.u32(maxRate, 'max rate')
  if (epsilon !== undefined) w.f64(epsilon)
  if (history !== undefined) w.u32(history, 'history')
  if (window !== undefined) w.u32(window, 'window')
}

/** Keyframes have no place in this layout: see timeline.ts for the value that carries them. */
function writePublish(w: Writer, m: Publish): void {
  const phase = m.phase === undefined ? 0 : PhaseCode[m.phase]
  const value = m.value ?? m.payload
  w.u8(MessageCode.publish, 'type')
  w.u8(
    (SignalCode[m.signal ?? 'event'] << 5) |
      bit(m.timestamp, PublishFlag.timestamp) |
      bit(m.id, PublishFlag.id) |
      phase,
    'flags',
  )
  w.string(m.address, 'address')
  if (value !== undefined) {
    w.u8(PublishIndicator.value, 'indicator')
    writeTyped(w, value)
  } else if (m.samples !== undefined) {
    w.u8(PublishIndicator.samples, 'indicator')
    w.u16(m.samples.length, 'count of samples')
    for (const sample of m.samples) w.f64(sample)
  } else {
    w.u8(PublishIndicator.nothing, 'indicator')
  }
  if (m.timestamp !== undefined) w.u64(m.timestamp, 'timestamp')
  if (m.id !== undefined) w.u32(m.id, 'id')
  if (m.rate !== undefined) w.u32(m.rate, 'rate')
}

function writeSet(w: Writer, m: SetParam): void {
  w.u8(MessageCode.set, 'type')
  w.u8(
    bit(m.revision, SetFlag.revision) |
      (m.lock ? SetFlag.lock : 0) |
      (m.unlock ? SetFlag.unlock : 0) |
      bit(m.ttl, SetFlag.ttl) |
      ValueCode[m.value.type],
    'flags',
  )
  w.string(m.address, 'address')
  writeValue(w, m.value)
  if (m.revision !== undefined) w.u64(m.revision, 'revision')
  if (m.ttl !== undefined) w.u32(rawTtl(m.ttl), 'ttl')
}

function rawTtl(ttl: Ttl): number {
  if (ttl.mode === 'never') return 0
  if (ttl.seconds >= TTL_ABSOLUTE_BIT) throw new EncodeError(`ttl must be below 2^31 seconds, got ${ttl.seconds}`)
  return ttl.mode === 'absolute' ? TTL_ABSOLUTE_BIT + ttl.seconds : ttl.seconds
}

function writeParam(w: Writer, { address, value, revision, writer, timestamp }: SnapshotParam): void {
  w.string(address, 'address')
  writeTyped(w, value)
  w.u64(revision, 'revision')
  w.u8(bit(writer, 0x01) | bit(timestamp, 0x02), 'param options')
  if (writer !== undefined) w.string(writer, 'writer')
  if (timestamp !== undefined) w.u64(timestamp, 'timestamp')
}

function writeBundle(w: Writer, { messages, timestamp }: Bundle, depth: number): void {
  if (depth >= MAX_BUNDLE_DEPTH) throw new EncodeError(`bundles are nested deeper than ${MAX_BUNDLE_DEPTH}`)
  w.u8(MessageCode.bundle, 'type')
  w.u8(bit(timestamp, 0x80), 'flags')
  w.u16(messages.length, 'count of messages')
  if (timestamp !== undefined) w.u64(timestamp, 'timestamp')
  for (const message of messages) {
    const at = w.length
    w.u16(0, 'length of message')
    writeMessage(w, message, depth + 1)
    w.patchU16(at, w.length - at - 2, 'length of message')
  }
}
