/** Hot path. */
import { generate, type IPublishPacket } from 'mqtt-packet'
import type { ProtocolVersion } from './packet-decoder.ts'

export type Qos = 0 | 1 | 2
export type PublishProperties = NonNullable<IPublishPacket['properties']>

export interface OutgoingParts {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: Qos
  /** As its publisher flagged it; for subscribers that want to know. */
  readonly isRetained: boolean
  /** A newer one of the same topic takes its place while it waits. */
  readonly isState: boolean
  readonly properties: PublishProperties | undefined
  /** Client that published it; '': a client of the router. */
  readonly origin: string
  /** Monotonic ms; Infinity: never. */
  readonly expiresAtMs: number
}

export interface Envelope {
  readonly version: ProtocolVersion
  readonly qos: Qos
  readonly isRetained: boolean
  readonly isDuplicate: boolean
  /** Where QoS is not 0. */
  readonly messageId: number
  readonly subscriptionIds: readonly number[]
  readonly nowMs: number
}

/** One message on its way to any number of subscribers; with QoS 0 they get the same bytes, which are written once. */
export class Outgoing {
  readonly parts: OutgoingParts
  /** By version 5 or not, and retain flag. */
  private readonly plain: (Buffer | undefined)[] = [undefined, undefined, undefined, undefined]

  constructor(parts: OutgoingParts) {
    this.parts = parts
  }

  /** As QoS 0, without subscription identifiers. */
  bytes(version: ProtocolVersion, isRetained: boolean, nowMs: number): Buffer {
    const at = (version === 5 ? 2 : 0) + (isRetained ? 1 : 0)
    const known = this.plain[at]
    if (known !== undefined) return known
    const bytes = this.encode({
      version,
      qos: 0,
      isRetained,
      isDuplicate: false,
      messageId: 0,
      subscriptionIds: [],
      nowMs,
    })
    // What expires says how long it has left.
    if (this.parts.expiresAtMs === Number.POSITIVE_INFINITY) this.plain[at] = bytes
    return bytes
  }

  encode({ version, qos, isRetained, isDuplicate, messageId, subscriptionIds, nowMs }: Envelope): Buffer {
    const { topic, payload, properties, expiresAtMs } = this.parts
    const isPlain = properties === undefined && subscriptionIds.length === 0 && expiresAtMs === Number.POSITIVE_INFINITY
    if (version !== 5 || isPlain) return encodePublish(this.parts, version, qos, isRetained, isDuplicate, messageId)
    const leftMs = Math.max(0, expiresAtMs - nowMs)
    return generate(
      {
        cmd: 'publish',
        topic,
        payload,
        qos,
        retain: isRetained,
        dup: isDuplicate,
        messageId,
        properties: {
          ...properties,
          ...(subscriptionIds.length > 0 ? { subscriptionIdentifier: [...subscriptionIds] } : {}),
          ...(Number.isFinite(leftMs) ? { messageExpiryInterval: Math.ceil(leftMs / 1000) } : {}),
        },
      },
      { protocolVersion: 5 },
    )
  }
}

/**
 * PUBLISH: 3 << 4 | dup << 3 | qos << 1 | retain, remaining length, topic (u16 length), [packet id u16], in version 5 the
 * length of its properties, which is 0 here, payload. Source: MQTT 5.0 §3.3.
 */
function encodePublish(
  { topic, payload }: OutgoingParts,
  version: ProtocolVersion,
  qos: Qos,
  isRetained: boolean,
  isDuplicate: boolean,
  messageId: number,
): Buffer {
  const topicBytes = Buffer.byteLength(topic)
  const length = 2 + topicBytes + (qos > 0 ? 2 : 0) + (version === 5 ? 1 : 0) + payload.length
  const lengthBytes = length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4
  const bytes = Buffer.allocUnsafe(1 + lengthBytes + length)
  bytes[0] = 0x30 | (isDuplicate ? 8 : 0) | (qos << 1) | (isRetained ? 1 : 0)
  let at = 1
  for (let left = length; ; ) {
    const low = left & 0x7f
    left >>>= 7
    bytes[at++] = left > 0 ? low | 0x80 : low
    if (left === 0) break
  }
  at = bytes.writeUInt16BE(topicBytes, at)
  at += bytes.write(topic, at)
  if (qos > 0) at = bytes.writeUInt16BE(messageId, at)
  if (version === 5) bytes[at++] = 0
  payload.copy(bytes, at)
  return bytes
}

const ACK_TYPES = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const

/** An acknowledgement; `reason` is told in version 5 where it is not 0. */
export function encodeAck(
  cmd: keyof typeof ACK_TYPES,
  messageId: number,
  version: ProtocolVersion,
  reason = 0,
): Buffer {
  const hasReason = version === 5 && reason !== 0
  const bytes = Buffer.allocUnsafe(hasReason ? 5 : 4)
  bytes[0] = ACK_TYPES[cmd]
  bytes[1] = hasReason ? 3 : 2
  bytes[2] = messageId >> 8
  bytes[3] = messageId & 0xff
  if (hasReason) bytes[4] = reason
  return bytes
}
