import type { IConnackPacket, IConnectPacket } from 'mqtt-packet'
import { topicProblem } from '../mqtt/topic-filter.ts'
import type { MqttBrokerOptions } from './mqtt-broker-kind.ts'
import { type ProtocolVersion, versionOf } from './packet-decoder.ts'
import { ConnectReason, RETURN_CODES } from './reason-codes.ts'

/** Topic aliases that a client may use, and messages of QoS 1 and 2 that it may have on their way. */
export const TOPIC_ALIASES = 16
export const RECEIVE_MAXIMUM = 256
const FOR_EVER_S = 0xffff_ffff

/** Why a CONNECT is refused whoever sent it; undefined: it is not. Source: MQTT 5.0 §3.1. */
export function connectProblem(packet: IConnectPacket): ConnectReason | undefined {
  const { clientId, properties, will } = packet
  if (properties?.authenticationMethod !== undefined) return ConnectReason.badAuthenticationMethod
  // In version 5 the client is told the id that it got.
  if (clientId === '' && versionOf(packet) !== 5 && packet.clean !== true) return ConnectReason.clientIdInvalid
  if (clientId.includes('\u0000')) return ConnectReason.clientIdInvalid
  return will !== undefined && topicProblem(will.topic) !== undefined ? ConnectReason.topicNameInvalid : undefined
}

/** How long the session is kept after the connection, in seconds. */
export function sessionExpiry(packet: IConnectPacket, options: MqttBrokerOptions): number {
  const isKept = versionOf(packet) !== 5 && packet.clean !== true
  return limitExpiry(packet.properties?.sessionExpiryInterval ?? (isKept ? FOR_EVER_S : 0), options)
}

export function limitExpiry(seconds: number, { maxSessionExpiry }: MqttBrokerOptions): number {
  return Math.min(seconds, Math.floor(maxSessionExpiry / 1000))
}

/** CONNACK that says why not. Who speaks an unknown version understands that of 3.1.1 best. */
export function refusalOf(version: ProtocolVersion, reason: ConnectReason): IConnackPacket {
  return version === 5
    ? { cmd: 'connack', sessionPresent: false, reasonCode: reason }
    : { cmd: 'connack', sessionPresent: false, returnCode: RETURN_CODES[reason] }
}

/** CONNACK that lets a client in; in version 5 with what differs from what it asked for. */
export function connackOf(
  packet: IConnectPacket,
  session: { clientId: string; expirySeconds: number; isPresent: boolean },
  options: MqttBrokerOptions,
): IConnackPacket {
  const { clientId, expirySeconds, isPresent: sessionPresent } = session
  if (versionOf(packet) !== 5) return { cmd: 'connack', sessionPresent, returnCode: 0 }
  const properties: NonNullable<IConnackPacket['properties']> = {
    receiveMaximum: RECEIVE_MAXIMUM,
    maximumPacketSize: options.maxPacket,
    topicAliasMaximum: TOPIC_ALIASES,
  }
  if (clientId !== packet.clientId) properties.assignedClientIdentifier = clientId
  if (expirySeconds !== (packet.properties?.sessionExpiryInterval ?? 0)) {
    properties.sessionExpiryInterval = expirySeconds
  }
  const maxKeepAliveS = Math.floor(options.maxKeepAlive / 1000)
  const { keepalive = 0 } = packet
  if (keepalive === 0 || keepalive > maxKeepAliveS) properties.serverKeepAlive = maxKeepAliveS
  return { cmd: 'connack', sessionPresent, reasonCode: 0, properties }
}
