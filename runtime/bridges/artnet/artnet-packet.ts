/**
 * Packets of Art-Net 4, but for ArtPollReply. All start with `Art-Net\0` and an OpCode, low byte first; most go on with the
 * protocol version, high byte first. Source: bridges.md §6.2–6.4, Art-Net 4 specification.
 */

export const ARTNET_PORT = 6454
export const OP = {
  poll: 0x2000,
  pollReply: 0x2100,
  dmx: 0x5000,
  sync: 0x5200,
  address: 0x6000,
  input: 0x7000,
  timeCode: 0x9700,
  trigger: 0x9900,
  ipProg: 0xf800,
  ipProgReply: 0xf900,
} as const

const ID = Buffer.from('Art-Net\0', 'latin1')
const VERSION = 14
const DMX_HEADER = 18
const MAX_SLOTS = 512
const MAX_TRIGGER_DATA = 512
/** Trigger for nodes of any maker. */
export const ANY_OEM = 0xffff

export interface ArtDmx {
  readonly type: 'dmx'
  /** 1…255; 0: not used. */
  readonly sequence: number
  readonly physical: number
  /** 0…32 767. */
  readonly portAddress: number
  /** A view of 1…512 slots. */
  readonly levels: Uint8Array
}

export interface ArtPoll {
  readonly type: 'poll'
  /** Replies are wanted whenever something changes. */
  readonly wantsChanges: boolean
  /** Only nodes with a Port-Address in this range answer. */
  readonly bottom: number
  readonly top: number
}

export interface ArtTimeCode {
  readonly type: 'timeCode'
  readonly stream: number
  readonly hours: number
  readonly minutes: number
  readonly seconds: number
  readonly frames: number
  /** 0 film 24, 1 EBU 25, 2 drop frame 29.97, 3 SMPTE 30. */
  readonly rate: number
}

export interface ArtTrigger {
  readonly type: 'trigger'
  readonly oem: number
  readonly key: number
  readonly subKey: number
  readonly data: Uint8Array
}

/** A remote change of settings; names are undefined where they stay. */
export interface ArtAddress {
  readonly type: 'address'
  readonly bindIndex: number
  readonly shortName: string | undefined
  readonly longName: string | undefined
  /** Of the first port behind the index, as `ArtSwitch` says. */
  readonly net: ArtSwitch
  readonly sub: ArtSwitch
  readonly input: ArtSwitch
  readonly output: ArtSwitch
  readonly command: number
}

/** A part of a Port-Address; undefined: it stays, `configured`: as at the start. */
export type ArtSwitch = number | 'configured' | undefined

/** Which inputs of a node send. */
export interface ArtInput {
  readonly type: 'input'
  readonly bindIndex: number
  /** Of the first port behind the index. */
  readonly isDisabled: boolean
}

export type ArtPacket =
  | ArtDmx
  | ArtPoll
  | ArtTimeCode
  | ArtTrigger
  | ArtAddress
  | ArtInput
  | { readonly type: 'sync' | 'ipProg' | 'pollReply' | 'other' }

/** A text says what is wrong with the bytes. */
export function decodeArtNet(bytes: Buffer): ArtPacket | string {
  if (bytes.length < 10 || bytes.compare(ID, 0, 8, 0, 8) !== 0) return 'it is no Art-Net packet'
  const op = bytes.readUInt16LE(8)
  if (op === OP.pollReply) return { type: 'pollReply' }
  if (bytes.length < 12) return 'it ends within its header'
  const version = bytes.readUInt16BE(10)
  if (version < VERSION) return `its protocol version is ${version}, not ${VERSION} or later`
  switch (op) {
    case OP.dmx:
      return decodeDmx(bytes)
    case OP.poll:
      return decodePoll(bytes)
    case OP.sync:
      return { type: 'sync' }
    case OP.timeCode:
      return decodeTimeCode(bytes)
    case OP.trigger:
      return decodeTrigger(bytes)
    case OP.address:
      return decodeAddress(bytes)
    case OP.input:
      return decodeInput(bytes)
    case OP.ipProg:
      return { type: 'ipProg' }
    default:
      return { type: 'other' }
  }
}

/**
 * | at | size | |
 * |---|---|---|
 * | 12 | 1 | sequence |
 * | 13 | 1 | physical |
 * | 14 | 1 | low byte of the Port-Address |
 * | 15 | 1 | its upper 7 bits |
 * | 16 | 2 | length, high byte first |
 * | 18 | n | slots |
 */
function decodeDmx(bytes: Buffer): ArtDmx | string {
  const payload = bytes.length - DMX_HEADER
  if (payload < 1) return 'ArtDmx without slots'
  if (payload > MAX_SLOTS) return `ArtDmx with ${payload} slots`
  const length = bytes.readUInt16BE(16)
  // Some senders write the length low byte first.
  const isSwapped = length !== payload && bytes.readUInt16LE(16) === payload
  const count = isSwapped ? payload : Math.min(length, payload)
  if (count < 1) return 'ArtDmx of length 0'
  return {
    type: 'dmx',
    sequence: bytes[12],
    physical: bytes[13],
    portAddress: ((bytes[15] & 0x7f) << 8) | bytes[14],
    levels: bytes.subarray(DMX_HEADER, DMX_HEADER + count),
  }
}

/** Old controllers end it after the flags. */
function decodePoll(bytes: Buffer): ArtPoll | string {
  if (bytes.length < 14) return 'ArtPoll ends within its flags'
  const flags = bytes[12]
  const isTargeted = (flags & 0x20) !== 0 && bytes.length >= 18
  return {
    type: 'poll',
    wantsChanges: (flags & 0x02) !== 0,
    top: isTargeted ? bytes.readUInt16BE(14) : 0x7fff,
    bottom: isTargeted ? bytes.readUInt16BE(16) : 0,
  }
}

function decodeTimeCode(bytes: Buffer): ArtTimeCode | string {
  if (bytes.length < 19) return 'ArtTimeCode is too short'
  const [stream, frames, seconds, minutes, hours, rate] = bytes.subarray(13, 19)
  if (frames > 29 || seconds > 59 || minutes > 59 || hours > 23 || rate > 3) return 'ArtTimeCode is no time'
  return { type: 'timeCode', stream, hours, minutes, seconds, frames, rate }
}

function decodeTrigger(bytes: Buffer): ArtTrigger | string {
  if (bytes.length < 18) return 'ArtTrigger is too short'
  const data = bytes.subarray(18, 18 + MAX_TRIGGER_DATA)
  return { type: 'trigger', oem: bytes.readUInt16BE(14), key: bytes[16], subKey: bytes[17], data }
}

/**
 * 12 NetSwitch, 13 bind index, 14 short name, 32 long name, 96 SwIn, 100 SwOut, 104 SubSwitch, 105 sACN priority,
 * 106 command.
 */
function decodeAddress(bytes: Buffer): ArtAddress | string {
  if (bytes.length < 107) return 'ArtAddress is too short'
  return {
    type: 'address',
    bindIndex: Math.max(1, bytes[13]),
    shortName: paddedText(bytes, 14, 17) || undefined,
    longName: paddedText(bytes, 32, 63) || undefined,
    net: switchOf(bytes[12], 0x7f),
    sub: switchOf(bytes[104], 15),
    input: switchOf(bytes[96], 15),
    output: switchOf(bytes[100], 15),
    command: bytes[106],
  }
}

/** Bit 7: it is set; 0: as it was made; else it stays. */
function switchOf(byte: number, mask: number): ArtSwitch {
  if (byte === 0) return 'configured'
  return (byte & 0x80) === 0 ? undefined : byte & mask
}

/** 13 bind index, 14 number of ports, 16 bit 0 for each port: it is disabled. */
function decodeInput(bytes: Buffer): ArtInput | string {
  if (bytes.length < 17) return 'ArtInput is too short'
  return { type: 'input', bindIndex: Math.max(1, bytes[13]), isDisabled: (bytes[16] & 1) !== 0 }
}

/** A text that ends with a NUL or its field. */
export function paddedText(bytes: Buffer, at: number, size: number): string {
  const end = bytes.indexOf(0, at)
  return bytes.toString('latin1', at, end < 0 || end > at + size ? at + size : end)
}

/** `size` bytes with the common header. */
export function packet(op: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  ID.copy(bytes)
  bytes.writeUInt16LE(op, 8)
  bytes.writeUInt16BE(VERSION, 10)
  return bytes
}

/** A whole universe; sequence and slots are written into it for each frame. */
export function dmxPacket(portAddress: number): Buffer {
  const bytes = packet(OP.dmx, DMX_HEADER + MAX_SLOTS)
  addressDmx(bytes, portAddress)
  bytes.writeUInt16BE(MAX_SLOTS, 16)
  return bytes
}

export function addressDmx(bytes: Buffer, portAddress: number): void {
  bytes[14] = portAddress & 0xff
  bytes[15] = portAddress >> 8
}

export function fillDmx(bytes: Buffer, sequence: number, levels: Uint8Array): void {
  bytes[12] = sequence
  bytes.set(levels, DMX_HEADER)
}

/** Replies are wanted on changes, too; diagnostics are not. */
export function pollPacket(): Buffer {
  const bytes = packet(OP.poll, 22)
  bytes[12] = 0x02
  bytes[13] = 0x10
  return bytes
}

export function syncPacket(): Buffer {
  return packet(OP.sync, 14)
}

export function timeCodePacket({ stream, hours, minutes, seconds, frames, rate }: Omit<ArtTimeCode, 'type'>): Buffer {
  const bytes = packet(OP.timeCode, 19)
  bytes.set([stream, frames, seconds, minutes, hours, rate], 13)
  return bytes
}

export function triggerPacket(key: number, subKey: number, data: Uint8Array): Buffer {
  const bytes = packet(OP.trigger, 18 + MAX_TRIGGER_DATA)
  bytes.writeUInt16BE(ANY_OEM, 14)
  bytes[16] = key
  bytes[17] = subKey
  bytes.set(data.subarray(0, MAX_TRIGGER_DATA), 18)
  return bytes
}
