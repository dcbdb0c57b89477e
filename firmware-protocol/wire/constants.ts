/**
 * Numbers of the CLASP wire protocol. All integers on the wire are big-endian.
 * Source: wire reference §1, §2, §5.1, §6, §11.1, §15.
 */

export const MAGIC = 0x53
export const PROTOCOL_VERSION = 1

export const HEADER_BYTES = 4
export const TIMESTAMP_BYTES = 8
export const MAX_PAYLOAD_BYTES = 65_535
/** Largest legal frame: header, timestamp and a full payload. */
export const MAX_FRAME_BYTES = HEADER_BYTES + TIMESTAMP_BYTES + MAX_PAYLOAD_BYTES

export const DEFAULT_PORT = 7330
export const DISCOVERY_PORT = 7331
export const WEBSOCKET_SUBPROTOCOL = 'clasp'
export const MDNS_SERVICE = 'clasp'

/** Frame flags (byte 1 of a frame). Bits 7:6 hold the QoS. */
export const FrameFlag = { timestamp: 0x20, encrypted: 0x10, compressed: 0x08, versionMask: 0x07 } as const
export const ENCODING_VERSION = 1
export const Qos = { fire: 0, confirm: 1, commit: 2 } as const

/** First byte of a compact payload. */
export const MessageCode = {
  hello: 0x01,
  welcome: 0x02,
  announce: 0x03,
  federationSync: 0x04,
  subscribe: 0x10,
  unsubscribe: 0x11,
  publish: 0x20,
  set: 0x21,
  get: 0x22,
  snapshot: 0x23,
  replay: 0x24,
  bundle: 0x30,
  sync: 0x40,
  ping: 0x41,
  pong: 0x42,
  ack: 0x50,
  error: 0x51,
  query: 0x60,
  result: 0x61,
} as const

export const ValueCode = {
  null: 0x00,
  bool: 0x01,
  i8: 0x02,
  i16: 0x03,
  i32: 0x04,
  i64: 0x05,
  f32: 0x06,
  f64: 0x07,
  string: 0x08,
  bytes: 0x09,
  array: 0x0a,
  map: 0x0b,
} as const

/** Signal codes, as in PUBLISH flags bits 7:5 and ANNOUNCE. */
export const SignalCode = { param: 0, event: 1, stream: 2, gesture: 3, timeline: 4 } as const
/** Type mask of SUBSCRIBE and REPLAY: bit n stands for signal code n. */
export const ALL_SIGNALS_MASK = 0xff
export const ASSIGNED_SIGNALS_MASK = 0x1f

export const PhaseCode = { start: 0, move: 1, end: 2, cancel: 3 } as const

/** Feature bits of HELLO and WELCOME. */
export const FeatureBit = {
  param: 0x80,
  event: 0x40,
  stream: 0x20,
  gesture: 0x10,
  timeline: 0x08,
  federation: 0x04,
} as const

export const SetFlag = { revision: 0x80, lock: 0x40, unlock: 0x20, ttl: 0x10, typeMask: 0x0f } as const
/** TTL field of SET: 0 is "never"; this bit makes the low 31 bits absolute instead of sliding seconds. */
export const TTL_ABSOLUTE_BIT = 0x8000_0000
export const PublishFlag = { timestamp: 0x10, id: 0x08, phaseMask: 0x07 } as const
export const PublishIndicator = { nothing: 0, value: 1, samples: 2 } as const
export const SubscribeOption = { maxRate: 0x01, epsilon: 0x02, history: 0x04, window: 0x08 } as const

export const ErrorCode = {
  invalidFrame: 100,
  invalidMessage: 101,
  unsupportedVersion: 102,
  invalidAddress: 200,
  addressNotFound: 201,
  invalidPattern: 202,
  unauthorized: 300,
  forbidden: 301,
  tokenExpired: 302,
  refused: 400,
  lockHeld: 401,
  invalidValue: 402,
  rejected: 403,
  notFound: 404,
  tooMany: 429,
  internal: 500,
  unavailable: 501,
  timeout: 502,
  overflow: 503,
} as const

/** Containers inside containers deeper than this are refused (upstream overflows its stack). Wire reference §9.3. */
export const MAX_VALUE_DEPTH = 64
export const MAX_BUNDLE_DEPTH = 8
/** Longest address or pattern, in bytes and in segments, that SET, PUBLISH and SUBSCRIBE may use. */
export const MAX_ADDRESS_BYTES = 1024
export const MAX_ADDRESS_SEGMENTS = 64
