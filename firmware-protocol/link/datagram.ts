import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { DATAGRAM, DatagramBit, LINK_VERSION, MAC_BYTES } from './constants.ts'

/** The head of a link datagram: 0C, version and flags, then token u32 and counter u32 unless it is short. */
export interface DatagramHead {
  isSigned: boolean
  /** The carrier knows its peer (Bluetooth LE, TCP): no token and no counter. */
  isShort: boolean
  token: number
  counter: number
  /** Where CTRL starts, and where the frame ends (the MAC follows, if there is one). */
  start: number
  end: number
}

const VERSION_AND_FLAGS = LINK_VERSION << 4
const LONG_HEAD = 10
const SHORT_HEAD = 2

/** Null: not a datagram of this link, or too short for what its flags say. */
export function readDatagramHead(bytes: Uint8Array): DatagramHead | null {
  if (bytes.length < SHORT_HEAD + 2 || bytes[0] !== DATAGRAM || bytes[1] >>> 4 !== LINK_VERSION) return null
  const isSigned = (bytes[1] & DatagramBit.signed) !== 0
  const isShort = (bytes[1] & DatagramBit.short) !== 0
  if ((bytes[1] & 0x0f & ~(DatagramBit.signed | DatagramBit.short)) !== 0) return null
  const start = isShort ? SHORT_HEAD : LONG_HEAD
  const end = bytes.length - (isSigned ? MAC_BYTES : 0)
  if (end - start < 2) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const token = isShort ? 0 : view.getUint32(2)
  const counter = isShort ? 0 : view.getUint32(6)
  return { isSigned, isShort, token, counter, start, end }
}

/** The datagram of a frame (CTRL SEQ BODY). With a key it is signed. */
export function encodeDatagram(
  frame: Uint8Array,
  length: number,
  head: { isShort: boolean; token: number; counter: number },
  key: KeyObject | null,
): Uint8Array {
  const start = head.isShort ? SHORT_HEAD : LONG_HEAD
  const bytes = new Uint8Array(start + length + (key === null ? 0 : MAC_BYTES))
  bytes[0] = DATAGRAM
  bytes[1] = VERSION_AND_FLAGS | (key === null ? 0 : DatagramBit.signed) | (head.isShort ? DatagramBit.short : 0)
  if (!head.isShort) {
    const view = new DataView(bytes.buffer)
    view.setUint32(2, head.token)
    view.setUint32(6, head.counter)
  }
  bytes.set(frame.subarray(0, length), start)
  if (key !== null) bytes.set(mac(bytes, start + length, key), start + length)
  return bytes
}

/** The MAC behind `bytes[0, end)` is the right one. Takes the same time whatever is wrong. */
export function isAuthentic(bytes: Uint8Array, end: number, key: KeyObject): boolean {
  return bytes.length === end + MAC_BYTES && timingSafeEqual(mac(bytes, end, key), bytes.subarray(end))
}

function mac(bytes: Uint8Array, end: number, key: KeyObject): Uint8Array {
  return createHmac('sha256', key).update(bytes.subarray(0, end)).digest().subarray(0, MAC_BYTES)
}

/** The keys of one session, one for each direction. KeyObjects: signing with plain bytes costs several times as much. */
export interface SessionKeys {
  toHost: KeyObject
  toDevice: KeyObject
}

/** From the device's secret (32 bytes), both nonces (8 bytes each) and its uid (16 hexadecimal digits). */
export function sessionKeys(
  secret: Uint8Array,
  deviceNonce: Uint8Array,
  hostNonce: Uint8Array,
  uid: string,
): SessionKeys {
  const session = createHmac('sha256', secret)
    .update('LL1 session')
    .update(deviceNonce)
    .update(hostNonce)
    .update(Buffer.from(uid, 'hex'))
    .digest()
  const direction = (label: string) => createSecretKey(createHmac('sha256', session).update(label).digest())
  return { toHost: direction('d2h'), toDevice: direction('h2d') }
}
