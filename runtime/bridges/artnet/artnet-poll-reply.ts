import { ARTNET_PORT, OP, packet, paddedText } from './artnet-packet.ts'

/** How a node describes itself: ArtPollReply. Source: bridges.md §6.3, Art-Net 4 specification. */

const SIZE = 239
/** What Art-Net 3 ended with: later fields may be missing. */
const MIN_SIZE = 207
const REFRESH_HZ = 44

/** One of the up to four ports of a reply. */
export interface NodePort {
  readonly portAddress: number
  /** It puts out what comes by Art-Net, or puts onto Art-Net what comes in. */
  readonly direction: 'output' | 'input'
}

export interface PollReply {
  readonly ip: string
  readonly bindIndex: number
  readonly shortName: string
  readonly longName: string
  readonly style: number
  readonly ports: readonly NodePort[]
}

/** Of our own reply; one port each, as Art-Net 4 prefers it. */
export interface OwnReply {
  readonly ip: string
  readonly mac: string
  readonly port: number
  readonly version: number
  readonly oem: number
  readonly esta: number
  readonly shortName: string
  readonly longName: string
  /** ASCII. */
  readonly report: string
  readonly style: number
  /** 0b11 normal, 0b10 mute, 0b01 locate. */
  readonly indicators: number
  readonly bindIndex: number
  /** None: a node without ports. */
  readonly nodePort: NodePort | null
  readonly isActive: boolean
  readonly isMerging: boolean
  readonly isLtp: boolean
  readonly isDisabled: boolean
  /** What an output shows without a signal; null: it is none. */
  readonly failSafe: 'hold' | 'zero' | 'full' | 'scene' | null
}

/** Of Status3: bits 7 and 6, and 5 that it can be chosen. */
const FAIL_SAFE = { hold: 0x20, zero: 0x60, full: 0xa0, scene: 0xe0 } as const

export function encodePollReply(own: OwnReply): Buffer {
  const bytes = packet(OP.pollReply, SIZE)
  bytes.set(ipBytes(own.ip), 10)
  bytes.writeUInt16LE(own.port, 14)
  bytes.writeUInt16BE(own.version, 16)
  bytes.writeUInt16BE(own.oem, 20)
  // Indicators, and addresses that the network has set.
  bytes[23] = (own.indicators << 6) | 0x20
  bytes.writeUInt16LE(own.esta, 24)
  writeText(bytes, own.shortName, 26, 18)
  writeText(bytes, own.longName, 44, 64)
  writeText(bytes, own.report, 108, 64)
  if (own.nodePort !== null) writePort(bytes, own, own.nodePort)
  bytes[194] = 100
  bytes[200] = own.style
  bytes.set(macBytes(own.mac), 201)
  bytes.set(ipBytes(own.ip), 207)
  bytes[211] = own.bindIndex
  // 15-bit addresses, and DHCP would be possible.
  bytes[212] = 0x0c
  // Without RDM.
  bytes[213] = 0x80
  if (own.failSafe !== null) bytes[217] = FAIL_SAFE[own.failSafe]
  bytes.writeUInt16BE(REFRESH_HZ, 226)
  return bytes
}

function writePort(
  bytes: Buffer,
  { isActive, isMerging, isLtp, isDisabled }: OwnReply,
  { portAddress, direction }: NodePort,
): void {
  bytes[18] = portAddress >> 8
  bytes[19] = (portAddress >> 4) & 15
  bytes.writeUInt16BE(1, 172)
  if (direction === 'output') {
    bytes[174] = 0x80
    bytes[182] = (isActive ? 0x80 : 0) | (isMerging ? 0x08 : 0) | (isLtp ? 0x02 : 0)
    bytes[190] = portAddress & 15
  } else {
    bytes[174] = 0x40
    bytes[178] = (isActive ? 0x80 : 0) | (isDisabled ? 0x08 : 0)
    bytes[186] = portAddress & 15
  }
}

/** Undefined when it is too short. `from`: the sender, for nodes that do not know their address. */
export function decodePollReply(bytes: Buffer, from: string): PollReply | undefined {
  if (bytes.length < MIN_SIZE) return undefined
  const base = ((bytes[18] & 0x7f) << 8) | ((bytes[19] & 15) << 4)
  const count = Math.min(4, bytes.readUInt16BE(172))
  const ports: NodePort[] = []
  for (let i = 0; i < count; i++) {
    const type = bytes[174 + i]
    if (type & 0x80) ports.push({ portAddress: base | (bytes[190 + i] & 15), direction: 'output' })
    if (type & 0x40) ports.push({ portAddress: base | (bytes[186 + i] & 15), direction: 'input' })
  }
  const ip = [...bytes.subarray(10, 14)].join('.')
  return {
    ip: ip === '0.0.0.0' ? from : ip,
    bindIndex: bytes.length > 211 ? Math.max(1, bytes[211]) : 1,
    shortName: paddedText(bytes, 26, 18),
    longName: paddedText(bytes, 44, 64),
    style: bytes[200],
    ports,
  }
}

/** The answer to ArtIpProg: addresses as they are, for they are never changed this way. */
export function ipProgReply(ip: string, netmask: string): Buffer {
  const bytes = packet(OP.ipProgReply, 34)
  bytes.set(ipBytes(ip), 16)
  bytes.set(ipBytes(netmask), 20)
  bytes.writeUInt16BE(ARTNET_PORT, 24)
  return bytes
}

/** The last byte of the field stays NUL. */
function writeText(bytes: Buffer, text: string, at: number, size: number): void {
  bytes.write(text.replace(/[^\x20-\x7e]/g, '?'), at, size - 1, 'latin1')
}

function ipBytes(ip: string): number[] {
  return ip.split('.').map(Number)
}

function macBytes(mac: string): number[] {
  return mac.split(':').map((pair) => Number.parseInt(pair, 16))
}
