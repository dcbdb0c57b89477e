/** Hot path. */
import { isUtf8 } from 'node:buffer'
import { type IConnectPacket, type Packet, parser } from 'mqtt-packet'

export type ProtocolVersion = 3 | 4 | 5

/** A packet that cannot be read; the text says why. */
export class Malformed {
  readonly reason: string
  /** It is a CONNECT of a version that is not known. */
  readonly isUnknownVersion: boolean

  constructor(reason: string, isUnknownVersion = false) {
    this.reason = reason
    this.isUnknownVersion = isUnknownVersion
  }
}

const CONNECT = 1
const PUBLISH = 3
const PUBACK = 4
const PUBCOMP = 7
const ACKS = ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const
/** Flags that the header of each acknowledgement must have: only PUBREL has one. */
const ACK_FLAGS = [0, 0, 2, 0]
const KNOWN_LEVELS = [3, 4, 5]
const ABOVE_ZERO = ['receiveMaximum', 'maximumPacketSize', 'subscriptionIdentifier']

/**
 * Packets of one client. PUBLISH without properties and short acknowledgements are read here, for they are most of the
 * traffic; the rest by mqtt-packet, which gets one whole packet at a time, because it may read on into the next one.
 * Source: MQTT 5.0 §3.
 */
export class PacketDecoder {
  private readonly parser = parser()
  private version: ProtocolVersion = 4
  private parsed: Packet | undefined
  private problem = ''

  constructor() {
    this.parser.on('packet', (packet) => {
      this.parsed = packet
    })
    this.parser.on('error', (error: Error) => {
      this.problem = error.message
    })
  }

  /** `bytes` is one packet, `bodyAt` where its header ends. */
  decode(bytes: Buffer, bodyAt: number): Packet | Malformed {
    const type = bytes[0] >> 4
    if (type === PUBLISH) return this.publish(bytes, bodyAt)
    if (type >= PUBACK && type <= PUBCOMP && bytes.length === bodyAt + 2) {
      if ((bytes[0] & 0x0f) !== ACK_FLAGS[type - PUBACK]) return new Malformed('header flags')
      const messageId = bytes.readUInt16BE(bodyAt)
      return messageId === 0 ? new Malformed('packet id 0') : { cmd: ACKS[type - PUBACK], messageId, reasonCode: 0 }
    }
    if (type === CONNECT && !hasKnownVersion(bytes, bodyAt)) return new Malformed('protocol version', true)
    const packet = this.parse(bytes)
    if (!(packet instanceof Malformed) && packet.cmd === 'connect') this.version = versionOf(packet)
    return packet
  }

  private publish(bytes: Buffer, bodyAt: number): Packet | Malformed {
    const flags = bytes[0] & 0x0f
    const qos = (flags >> 1) & 3
    if (qos === 3) return new Malformed('QoS 3')
    if (bytes.length < bodyAt + 2) return new Malformed('no topic')
    const topicEnd = bodyAt + 2 + bytes.readUInt16BE(bodyAt)
    let at = topicEnd
    if (bytes.length < at + (qos > 0 ? 2 : 0)) return new Malformed('a topic longer than the packet')
    let messageId: number | undefined
    if (qos > 0) {
      messageId = bytes.readUInt16BE(at)
      if (messageId === 0) return new Malformed('packet id 0')
      at += 2
    }
    const topic = bytes.toString('utf8', bodyAt + 2, topicEnd)
    // The character that stands for wrong bytes may also be meant.
    if (topic.includes('\ufffd') && !isUtf8(bytes.subarray(bodyAt + 2, topicEnd))) {
      return new Malformed('a topic that is not UTF-8')
    }
    if (this.version === 5) {
      if (at >= bytes.length) return new Malformed('no properties')
      if (bytes[at++] !== 0) return this.parse(bytes)
    }
    return {
      cmd: 'publish',
      qos: qos as 0 | 1 | 2,
      dup: (flags & 8) !== 0,
      retain: (flags & 1) !== 0,
      topic,
      messageId,
      payload: bytes.subarray(at),
    }
  }

  private parse(bytes: Buffer): Packet | Malformed {
    this.parsed = undefined
    this.problem = ''
    let rest = 0
    try {
      rest = this.parser.parse(bytes)
    } catch (error) {
      // It reads beyond the end of some packets.
      this.problem = (error as Error).message
    }
    const packet = this.parsed as Packet | undefined
    if (this.problem !== '') return new Malformed(this.problem)
    if (packet === undefined || rest > 0) return new Malformed('it ends too early')
    const will = packet.cmd === 'connect' ? packet.will : undefined
    const properties = 'properties' in packet ? packet.properties : undefined
    const problem = propertiesProblem(properties) ?? propertiesProblem(will?.properties)
    return problem === undefined ? packet : new Malformed(problem)
  }
}

/** mqtt-packet makes null, -1 or nothing of what is cut off, and a list of what may come only once. */
function propertiesProblem(properties: object | undefined): string | undefined {
  if (properties === undefined) return undefined
  for (const [name, value] of Object.entries(properties)) {
    const isUser = name === 'userProperties'
    if (!isUser && Array.isArray(value)) return `${name} comes twice`
    const values: unknown[] = isUser ? Object.values(value).flat() : [value]
    if (values.some((one) => one === null || one === undefined || one === -1)) return `${name} ends too early`
    if (ABOVE_ZERO.includes(name) && value === 0) return `${name} is 0`
  }
  return undefined
}

export function versionOf({ protocolVersion }: Pick<IConnectPacket, 'protocolVersion'>): ProtocolVersion {
  return protocolVersion ?? 4
}

/** Protocol name and level; the highest bit of the level marks bridges. */
function hasKnownVersion(bytes: Buffer, bodyAt: number): boolean {
  if (bytes.length < bodyAt + 2) return true
  const end = bodyAt + 2 + bytes.readUInt16BE(bodyAt)
  if (end >= bytes.length) return true
  const name = bytes.toString('latin1', bodyAt + 2, end)
  const level = bytes[end] & 0x7f
  return (name === 'MQTT' && KNOWN_LEVELS.includes(level)) || (name === 'MQIsdp' && level === 3)
}
