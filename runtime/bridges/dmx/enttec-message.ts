/**
 * Messages of the ENTTEC DMX USB Pro, both ways: 7E, label u8, length of the data u16, data (0…600 bytes), E7.
 * Little-endian. Source: bridges.md §8.3, "DMX USB Pro Widget API Specification" 1.44.
 *
 * | label | to the widget | from it |
 * |---|---|---|
 * | 3 | size of user data u16 | firmware u16, break u8, mark after break u8, rate u8, user data |
 * | 4 | size of user data u16, break, mark, rate, user data | |
 * | 5 | | status u8 (1 queue overflowed, 2 overrun), start code, slots |
 * | 6 | start code, 24…512 slots | |
 * | 8 | u8: 0 all frames, 1 changes only | |
 * | 9 | | first slot / 8, 5 bytes with a bit for each slot that changed, their levels |
 * | 10 | | serial number, 4 bytes BCD, the last digits first |
 * | 13 | key of the maker, 4 bytes: opens what widgets with several ports (Mk2) have besides | |
 * | 77, 78 | | manufacturer, device: id u16, name |
 *
 * The second port of a Mk2 has labels of its own, which belong to the key, as has the assignment of ports: u8 for each, 1
 * is DMX512.
 *
 * Break and mark: units of 10.67 µs, 9…127 and 1…127. Rate: 1…40 Hz, 0 as fast as possible.
 */
const START = 0x7e
const END = 0xe7
const HEADER_BYTES = 4
const MAX_DATA = 600

export const Label = {
  parameters: 3,
  setParameters: 4,
  received: 5,
  send: 6,
  receiveMode: 8,
  changes: 9,
  serialNumber: 10,
  key: 13,
  manufacturer: 77,
  device: 78,
} as const

export function encodeEnttec(label: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + data.length + 1)
  bytes[0] = START
  bytes[1] = label
  bytes[2] = data.length & 0xff
  bytes[3] = data.length >> 8
  bytes.set(data, HEADER_BYTES)
  bytes[bytes.length - 1] = END
  return bytes
}

/** Cuts a stream of bytes into messages. What is none is skipped up to the next 7E, and counted. */
export class EnttecReader {
  /** Bytes that belonged to no message. */
  skipped = 0
  private readonly onMessage: (label: number, data: Uint8Array) => void
  private readonly bytes = new Uint8Array(2 * (HEADER_BYTES + MAX_DATA + 1))
  private length = 0

  /** The data belong to the callee only during the call. */
  constructor(onMessage: (label: number, data: Uint8Array) => void) {
    this.onMessage = onMessage
  }

  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const count = Math.min(chunk.length - at, this.bytes.length - this.length)
      this.bytes.set(chunk.subarray(at, at + count), this.length)
      this.length += count
      at += count
      this.take()
    }
  }

  /** Leaves at most the beginning of one message. */
  private take(): void {
    const { bytes, length } = this
    let at = 0
    while (at < length) {
      const size = bytes[at] === START ? this.sizeAt(at) : 0
      if (at + size > length) break
      if (size === 0 || bytes[at + size - 1] !== END) {
        this.skipped++
        at++
        continue
      }
      this.onMessage(bytes[at + 1], bytes.subarray(at + HEADER_BYTES, at + size - 1))
      at += size
    }
    bytes.copyWithin(0, at, length)
    this.length = length - at
  }

  /** Of the whole message; more than there is where that is not known yet; 0: it is none. */
  private sizeAt(at: number): number {
    if (this.length - at < HEADER_BYTES) return HEADER_BYTES + 1
    const size = this.bytes[at + 2] + this.bytes[at + 3] * 256
    return size > MAX_DATA ? 0 : HEADER_BYTES + size + 1
  }
}

export interface WidgetParameters {
  /** High and low byte as one: 1.44 is 0x012c. */
  readonly firmware: number
  /** Units of 10.67 µs. */
  readonly breakTime: number
  readonly markTime: number
  /** Hz; 0: as fast as possible. */
  readonly rate: number
}

/** Undefined: too short. */
export function decodeParameters(data: Uint8Array): WidgetParameters | undefined {
  if (data.length < 5) return undefined
  return { firmware: data[0] + data[1] * 256, breakTime: data[2], markTime: data[3], rate: data[4] }
}

/** Data of label 4, without user data. */
export function encodeParameters({ breakTime, markTime, rate }: Omit<WidgetParameters, 'firmware'>): Uint8Array {
  return Uint8Array.of(0, 0, breakTime, markTime, rate)
}

/** Digits; '' where the widget has none. */
export function decodeSerialNumber(data: Uint8Array): string {
  if (data.length < 4 || data.every((byte) => byte === 0xff)) return ''
  return Buffer.from(data.subarray(0, 4)).reverse().toString('hex')
}

/** Of labels 77 and 78: the name without its end. */
export function decodeName(data: Uint8Array): string {
  return Buffer.from(data.subarray(2))
    .toString('latin1')
    .replace(/[^\x20-\x7e].*$/s, '')
    .trim()
}

/**
 * Puts the changes of label 9 into `frame`, start code and 512 slots; false: the message is malformed, and what it said
 * before that has been put in.
 */
export function applyChanges(data: Uint8Array, frame: Uint8Array): boolean {
  if (data.length < 6) return false
  let from = 6
  for (let bit = 0; bit < 40; bit++) {
    if ((data[1 + (bit >> 3)] & (1 << (bit & 7))) === 0) continue
    const slot = data[0] * 8 + bit
    if (from >= data.length || slot >= frame.length) return false
    frame[slot] = data[from++]
  }
  return true
}
