/**
 * Numbers of Leaf Link v1, the protocol between the router (host) and a microcontroller (device).
 * Source: firmware-protocol/README.md, which is exact; all integers are big-endian unless it says otherwise.
 */

export const LINK_VERSION = 1
/** Every implementation takes frames (CTRL … CRC) up to this size. */
export const SMALLEST_MRU = 64
export const LARGEST_MRU = 1024
/** CRC bytes of a serial frame. */
export const CRC_BYTES = 2
/** CTRL and SEQ. */
export const HEAD_BYTES = 2

/** Upper two bits of CTRL. */
export const FrameClass = { unreliable: 0x00, reliable: 0x40, control: 0x80, mask: 0xc0 } as const
/** Other bits of CTRL: the sender holds back what may be lost; the frame is sent again; the subtype of a control frame. */
export const CtrlBit = { notReady: 0x20, again: 0x10, subtype: 0x0f } as const

export const Control = {
  ack: 0,
  nak: 1,
  announce: 2,
  welcome: 3,
  bye: 4,
  ping: 5,
  pong: 6,
  timeRequest: 7,
  timeAnswer: 8,
  baudRequest: 9,
  baudOk: 10,
  baudTest: 11,
  probe: 12,
  log: 13,
  challenge: 14,
} as const

export const ByeReason = {
  normal: 0,
  shutdown: 1,
  protocolError: 2,
  unauthorized: 3,
  replaced: 4,
  version: 5,
  speed: 6,
  sleep: 7,
} as const

/** Upper four bits of a record's first byte. */
export const Op = {
  value: 0,
  extended: 1,
  event: 2,
  stream: 3,
  block: 4,
  gesture: 5,
  time: 6,
  result: 7,
  declare: 8,
  declared: 9,
  get: 10,
  subscribe: 11,
  clasp: 12,
  info: 13,
  configure: 14,
  nothing: 15,
} as const

/** Flags of an extended value. */
export const ExtendedBit = {
  revision: 0x01,
  ttl: 0x02,
  lock: 0x04,
  unlock: 0x08,
  initial: 0x10,
  answer: 0x20,
} as const

/** What the records behind TIME mean: sampled at, to be done at, one bundle, one bundle at a time. */
export const TimeKind = { sampled: 0, at: 1, bundle: 2, bundleAt: 3 } as const

/** Types of values: 0 to 9 are CLASP's own codes. */
export const LinkType = {
  null: 0x0,
  bool: 0x1,
  i8: 0x2,
  i16: 0x3,
  i32: 0x4,
  i64: 0x5,
  f32: 0x6,
  f64: 0x7,
  string: 0x8,
  bytes: 0x9,
  array: 0xa,
  /** 0…1 as one byte, as two bytes. */
  unit8: 0xc,
  unit16: 0xd,
  false: 0xe,
  true: 0xf,
} as const

/** Flags of a declaration. */
export const DeclareBit = { kind: 0x07, publishes: 0x08, writable: 0x10, range: 0x20, unit: 0x40, more: 0x80 } as const
/** Flags of the byte that `more` announces. */
export const MoreBit = { description: 0x01, default: 0x02, maxRate: 0x04, epsilon: 0x08, hold: 0x10 } as const

export const Info = { firmware: 1, hardware: 2, vendor: 3, build: 4, resetReason: 5, serial: 6 } as const

/** Ids from here on are the host's: what a pattern of the device matched. */
export const FIRST_HOST_ID = 16_384
export const LAST_ID = 32_767
/** A descriptor is not larger, or the device is faulty. */
export const MAX_DESCRIPTOR_BYTES = 65_536

export const ANNOUNCE_SLEEPY = 0x01
export const WELCOME_DESCRIPTOR_KNOWN = 0x01
/** Types of the fields that may follow ANNOUNCE. */
export const Field = { nonce: 1, cookie: 2, hostNonce: 3, keyId: 7, token: 8 } as const

/** First byte of a datagram, and bits of the second (its upper half is the version). */
export const DATAGRAM = 0x0c
export const DatagramBit = { signed: 0x01, short: 0x02 } as const
export const MAC_BYTES = 8
export const COOKIE_BYTES = 8
