/**
 * Packets of sACN (ANSI E1.31), all numbers high byte first. Source: bridges.md §7.2–7.4, E1.31 §4–8.
 *
 * | at | size | root layer, of all packets |
 * |---|---|---|
 * | 0 | 4 | preamble and postamble size: 16, 0 |
 * | 4 | 12 | `ASC-E1.17` and NULs |
 * | 16 | 2 | 7 and the length from here |
 * | 18 | 4 | vector: 4 data, 8 extended |
 * | 22 | 16 | CID |
 * | 38 | 2 | framing layer: 7 and the length from here |
 * | 40 | 4 | vector: 2 data; extended: 1 synchronization, 2 discovery |
 */

export const SACN_PORT = 5568
export const DISCOVERY_UNIVERSE = 64_214
export const MAX_UNIVERSE = 63_999
export const MAX_PRIORITY = 200
export const OPTION = { preview: 0x80, terminated: 0x40, forceSync: 0x20 } as const
/** Levels, and priorities of single slots (an extension that is not in E1.31). */
export const START = { levels: 0x00, priorities: 0xdd } as const
export const PAGE_UNIVERSES = 512

const PREAMBLE = Buffer.from('\0\x10\0\0ASC-E1.17\0\0\0', 'latin1')
const ROOT_DATA = 4
const ROOT_EXTENDED = 8
const FRAMING_DATA = 2
const FRAMING_SYNC = 1
const FRAMING_DISCOVERY = 2
const SLOTS_AT = 126
const MAX_SLOTS = 512
const NAME_BYTES = 64

export interface SacnData {
  readonly type: 'data'
  /** 16 characters, one for each byte. */
  readonly cid: string
  readonly priority: number
  /** 0: frames take effect at once. */
  readonly syncAddress: number
  readonly sequence: number
  /** Bits of `OPTION`. */
  readonly options: number
  readonly universe: number
  readonly startCode: number
  /** A view of 0…512 slots. */
  readonly slots: Uint8Array
}

export interface SacnSync {
  readonly type: 'sync'
  readonly cid: string
  readonly sequence: number
  readonly syncAddress: number
}

export interface SacnDiscovery {
  readonly type: 'discovery'
  readonly cid: string
  readonly name: string
  readonly page: number
  readonly lastPage: number
  readonly universes: readonly number[]
}

export type SacnPacket = SacnData | SacnSync | SacnDiscovery | { readonly type: 'other' }

/** A text says what is wrong with the bytes. */
export function decodeSacn(bytes: Buffer): SacnPacket | string {
  if (bytes.length < 44 || bytes.compare(PREAMBLE, 0, 16, 0, 16) !== 0) return 'it is no sACN packet'
  const end = layerEnd(bytes, 16)
  if (end === undefined) return 'the length of its root layer is wrong'
  const framingEnd = layerEnd(bytes, 38)
  if (framingEnd === undefined || framingEnd > end) return 'the length of its framing layer is wrong'
  const root = bytes.readUInt32BE(18)
  const framing = bytes.readUInt32BE(40)
  if (root === ROOT_DATA && framing === FRAMING_DATA) return decodeData(bytes, framingEnd)
  if (root !== ROOT_EXTENDED) return { type: 'other' }
  if (framing === FRAMING_SYNC) return decodeSync(bytes, framingEnd)
  return framing === FRAMING_DISCOVERY ? decodeDiscovery(bytes, framingEnd) : { type: 'other' }
}

/** Where a layer that begins at `at` ends; undefined: behind the packet. */
function layerEnd(bytes: Buffer, at: number): number | undefined {
  const word = bytes.readUInt16BE(at)
  const end = at + (word & 0x0fff)
  return word >> 12 === 7 && end <= bytes.length ? end : undefined
}

/** 44 name, 108 priority, 109 synchronization, 111 sequence, 112 options, 113 universe, 115 DMP layer, 125 start code. */
function decodeData(bytes: Buffer, end: number): SacnData | string {
  if (end < SLOTS_AT) return 'its data end before the start code'
  const dmpEnd = layerEnd(bytes, 115)
  if (dmpEnd === undefined || dmpEnd > end) return 'the length of its DMP layer is wrong'
  if (bytes[117] !== 2 || bytes[118] !== 0xa1 || bytes.readUInt32BE(119) !== 1)
    return 'its DMP layer is not that of DMX'
  const count = bytes.readUInt16BE(123) - 1
  if (count < 0 || count > MAX_SLOTS || SLOTS_AT + count > dmpEnd) return `${count} slots do not fit into it`
  const priority = bytes[108]
  if (priority > MAX_PRIORITY) return `its priority is ${priority}`
  const universe = bytes.readUInt16BE(113)
  if (universe < 1 || universe > MAX_UNIVERSE) return `there is no universe ${universe}`
  return {
    type: 'data',
    cid: cidKey(bytes),
    priority,
    syncAddress: bytes.readUInt16BE(109),
    sequence: bytes[111],
    options: bytes[112],
    universe,
    startCode: bytes[125],
    slots: bytes.subarray(SLOTS_AT, SLOTS_AT + count),
  }
}

/** UTF-8, of a data or discovery packet. */
export function sourceName(bytes: Buffer): string {
  const end = bytes.indexOf(0, 44)
  const last = 44 + NAME_BYTES
  return bytes.toString('utf8', 44, end < 0 || end > last ? last : end)
}

function decodeSync(bytes: Buffer, end: number): SacnSync | string {
  if (end < 49) return 'synchronization ends too early'
  return { type: 'sync', cid: cidKey(bytes), sequence: bytes[44], syncAddress: bytes.readUInt16BE(45) }
}

function decodeDiscovery(bytes: Buffer, end: number): SacnDiscovery | string {
  if (end < 120) return 'discovery ends too early'
  const listEnd = layerEnd(bytes, 112)
  if (listEnd === undefined || listEnd > end || bytes.readUInt32BE(114) !== 1)
    return 'the list of its universes is wrong'
  const [page, lastPage] = [bytes[118], bytes[119]]
  if (page > lastPage) return `page ${page} of ${lastPage}`
  const universes: number[] = []
  for (let at = 120; at + 1 < listEnd && universes.length < PAGE_UNIVERSES; at += 2) {
    universes.push(bytes.readUInt16BE(at))
  }
  return { type: 'discovery', cid: cidKey(bytes), name: sourceName(bytes), page, lastPage, universes }
}

/** A text that is made quickly, for each packet. */
function cidKey(bytes: Buffer): string {
  return bytes.toString('latin1', 22, 38)
}

/** `6e1b0f3c-…`. */
export function cidText(cid: string): string {
  const hex = Buffer.from(cid, 'latin1').toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** Of a UUID as text; the key by which packets name it. */
export function cidFromText(text: string): string {
  return Buffer.from(text.replaceAll('-', ''), 'hex').toString('latin1')
}

export interface DataPacketOptions {
  readonly cid: string
  readonly name: string
  readonly priority: number
  readonly syncAddress: number
  readonly options: number
  readonly universe: number
  readonly startCode: number
}

/** 638 bytes for 512 slots; sequence and slots are written into it for each frame. */
export function dataPacket(parts: DataPacketOptions): Buffer {
  const bytes = frame(SLOTS_AT + MAX_SLOTS, ROOT_DATA, FRAMING_DATA, parts.cid)
  writeName(bytes, parts.name)
  bytes[108] = parts.priority
  bytes.writeUInt16BE(parts.syncAddress, 109)
  bytes[112] = parts.options
  bytes.writeUInt16BE(parts.universe, 113)
  writeLength(bytes, 115)
  bytes[117] = 2
  bytes[118] = 0xa1
  bytes.writeUInt16BE(1, 121)
  bytes.writeUInt16BE(1 + MAX_SLOTS, 123)
  bytes[125] = parts.startCode
  return bytes
}

export function fillData(bytes: Buffer, sequence: number, slots: Uint8Array): void {
  bytes[111] = sequence
  bytes.set(slots, SLOTS_AT)
}

/** The same frame as a goodbye. */
export function terminatedPacket(data: Buffer, sequence: number): Buffer {
  const bytes = Buffer.from(data)
  bytes[111] = sequence
  bytes[112] |= OPTION.terminated
  return bytes
}

export function syncPacket(cid: string, sequence: number, syncAddress: number): Buffer {
  const bytes = frame(49, ROOT_EXTENDED, FRAMING_SYNC, cid)
  bytes[44] = sequence
  bytes.writeUInt16BE(syncAddress, 45)
  return bytes
}

/** One or more pages of sorted universes. */
export function discoveryPackets(cid: string, name: string, universes: readonly number[]): Buffer[] {
  const sorted = [...universes].sort((a, b) => a - b)
  const pages = Math.max(1, Math.ceil(sorted.length / PAGE_UNIVERSES))
  return Array.from({ length: pages }, (_, page) => {
    const part = sorted.slice(page * PAGE_UNIVERSES, (page + 1) * PAGE_UNIVERSES)
    const bytes = frame(120 + 2 * part.length, ROOT_EXTENDED, FRAMING_DISCOVERY, cid)
    writeName(bytes, name)
    writeLength(bytes, 112)
    bytes.writeUInt32BE(1, 114)
    bytes[118] = page
    bytes[119] = pages - 1
    for (const [at, universe] of part.entries()) bytes.writeUInt16BE(universe, 120 + 2 * at)
    return bytes
  })
}

function frame(size: number, root: number, framing: number, cid: string): Buffer {
  const bytes = Buffer.alloc(size)
  PREAMBLE.copy(bytes)
  writeLength(bytes, 16)
  bytes.writeUInt32BE(root, 18)
  bytes.write(cid, 22, 16, 'latin1')
  writeLength(bytes, 38)
  bytes.writeUInt32BE(framing, 40)
  return bytes
}

function writeLength(bytes: Buffer, at: number): void {
  bytes.writeUInt16BE(0x7000 | (bytes.length - at), at)
}

/** Characters that do not fit are left out whole; the last byte stays NUL. */
function writeName(bytes: Buffer, name: string): void {
  bytes.write(name, 44, NAME_BYTES - 1, 'utf8')
}

/** The group of a universe: 239.255.<high>.<low>, or ff18::83:00:<high>:<low>. Source: E1.31 §9.3. */
export function groupOf(universe: number, family: 'IPv4' | 'IPv6'): string {
  const [high, low] = [universe >> 8, universe & 255]
  return family === 'IPv4' ? `239.255.${high}.${low}` : `ff18::83:0:${high.toString(16)}:${low.toString(16)}`
}
