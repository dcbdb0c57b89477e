import type { ISubscribePacket } from 'mqtt-packet'
import { parseShare } from '../mqtt/topic-filter.ts'
import type { ProtocolVersion } from './packet-decoder.ts'

/** Why a SUBSCRIBE ends its connection; undefined: it does not. Source: MQTT 5.0 §3.8. */
export function subscribeProblem(packet: ISubscribePacket, version: ProtocolVersion): string | undefined {
  const { subscriptions, messageId, properties } = packet
  if (subscriptions.length === 0) return 'SUBSCRIBE without subscriptions'
  if (messageId === 0 || typeof (properties?.subscriptionIdentifier ?? 1) !== 'number') return 'SUBSCRIBE with a bad id'
  // Bridges of mosquitto ask so in version 3.1.1, by a bit of CONNECT.
  const isWrong = version === 5 && subscriptions.some(({ topic, nl }) => nl && parseShare(topic).group !== undefined)
  return isWrong ? 'a shared subscription may not have No Local' : undefined
}
