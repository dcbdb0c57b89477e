import { ANNOUNCE_SLEEPY, Field, LINK_VERSION, SMALLEST_MRU, WELCOME_DESCRIPTOR_KNOWN } from './constants.ts'

/** What a device says of itself. Body of ANNOUNCE: see `decodeAnnounce`. */
export interface Announce {
  /** Sleeps for minutes at a time and keeps its session meanwhile. */
  isSleepy: boolean
  /** Largest frame (CTRL … CRC) that it takes. */
  mru: number
  /** Reliable frames that it takes ahead of its acknowledgement: 1 to 8. */
  window: number
  /** Unique to the chip, 16 hexadecimal digits. */
  uid: string
  /** New at every boot. */
  bootNonce: number
  descriptorHash: number
  /** 0: it cannot change its speed. */
  maxBaud: number
  name: string
  /** Of the datagram form. */
  nonce?: Uint8Array
  cookie?: Uint8Array
  hostNonce?: Uint8Array
  keyId?: number
  /** A CLASP token, on open links. */
  token?: string
}

/**
 * ANNOUNCE: version u8, flags u8 (01 sleepy), MRU u16, window u8, uid 8 bytes, boot nonce u32, descriptor hash u32,
 * largest baud u32, name (length u8, UTF-8), then fields of type u8, length u8, value.
 * Returns a reason where it is none, or of a version that we do not speak.
 */
export function decodeAnnounce(bytes: Uint8Array, start: number, end: number): Announce | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start)
  if (view.byteLength < 26) return `an ANNOUNCE of ${view.byteLength} bytes: at least 26 were expected`
  if (view.getUint8(0) !== LINK_VERSION)
    return `link version ${view.getUint8(0)}: this router speaks version ${LINK_VERSION}`
  const nameEnd = 26 + view.getUint8(25)
  if (nameEnd > view.byteLength) return 'an ANNOUNCE whose name is longer than the frame'
  const at = (from: number, to: number) => bytes.subarray(start + from, start + to)
  const announce: Announce = {
    isSleepy: (view.getUint8(1) & ANNOUNCE_SLEEPY) !== 0,
    mru: Math.max(SMALLEST_MRU, view.getUint16(2)),
    window: wholeWindow(view.getUint8(4)),
    uid: Buffer.from(at(5, 13)).toString('hex'),
    bootNonce: view.getUint32(13),
    descriptorHash: view.getUint32(17),
    maxBaud: view.getUint32(21),
    name: plainName(new TextDecoder().decode(at(26, nameEnd))),
  }
  let next = nameEnd
  while (next + 2 <= view.byteLength) {
    const type = view.getUint8(next)
    const stop = next + 2 + view.getUint8(next + 1)
    if (stop > view.byteLength) break
    const value = at(next + 2, stop).slice()
    if (type === Field.nonce) announce.nonce = value
    else if (type === Field.cookie) announce.cookie = value
    else if (type === Field.hostNonce) announce.hostNonce = value
    else if (type === Field.keyId && value.length === 2) announce.keyId = value[0] * 256 + value[1]
    else if (type === Field.token) announce.token = new TextDecoder().decode(value)
    next = stop
  }
  return announce
}

/** Numbers are modulo 16: only windows that divide it keep their places. Others count as the next smaller one. */
function wholeWindow(announced: number): number {
  return announced >= 8 ? 8 : announced >= 4 ? 4 : announced >= 2 ? 2 : 1
}

const LONGEST_NAME = 64

/** A name becomes one segment of addresses: what would not be one there, or not be seen, is replaced. */
function plainName(text: string): string {
  const name = text.replace(/[\p{C}\ufffd/*#+\s]+/gu, '-').replace(/^-+|-+$/g, '')
  return name === '' ? 'device' : [...name].slice(0, LONGEST_NAME).join('')
}

export interface Welcome {
  /** The descriptor with the announced hash is here already. */
  isDescriptorKnown: boolean
  /** Seed of the CRC of this session's data frames. */
  session: number
  mru: number
  window: number
  keepaliveMs: number
  bootNonce: number
  /** Unix time, µs. */
  timeUs: number
}

/** WELCOME: version u8, flags u8, session u16, MRU u16, window u8, keep-alive u16 ms, boot nonce u32, time u64 µs. */
export function encodeWelcome(welcome: Welcome): Uint8Array {
  const bytes = new Uint8Array(21)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, LINK_VERSION)
  view.setUint8(1, welcome.isDescriptorKnown ? WELCOME_DESCRIPTOR_KNOWN : 0)
  view.setUint16(2, welcome.session)
  view.setUint16(4, welcome.mru)
  view.setUint8(6, welcome.window)
  view.setUint16(7, welcome.keepaliveMs)
  view.setUint32(9, welcome.bootNonce)
  view.setBigUint64(13, BigInt(welcome.timeUs))
  return bytes
}
