/** Hot path. */
import type { IPublishPacket } from 'mqtt-packet'
import type { Broker } from './broker.ts'
import type { BrokerSession } from './broker-session.ts'
import { RECEIVE_MAXIMUM } from './connect-answer.ts'
import { encodeAck } from './outgoing.ts'
import type { Publication } from './publication-flow.ts'
import { DisconnectReason, PublishReason } from './reason-codes.ts'
import type { SessionConnection } from './session-parts.ts'
import { TopicAliases } from './topic-aliases.ts'

/** What one client publishes, up to its acknowledgement. Source: MQTT 5.0 §3.3, §4.3. */
export class PublishIntake {
  private readonly broker: Broker
  private readonly connection: SessionConnection
  private readonly aliases = new TopicAliases()

  constructor(broker: Broker, connection: SessionConnection) {
    this.broker = broker
    this.connection = connection
  }

  /** A reason to end the connection; undefined: none. */
  take(session: BrokerSession, packet: IPublishPacket): DisconnectReason | undefined {
    const { qos, messageId = 0, retain, properties } = packet
    const { broker, connection } = this
    const topic = this.aliases.topicOf(packet)
    if (typeof topic !== 'string') return topic
    if (qos === 2 && session.hasReceived(messageId)) {
      broker.whenTaken(() => connection.write(encodeAck('pubrec', messageId, connection.version)))
      return undefined
    }
    if (qos === 2 && connection.version === 5 && session.receivedCount >= RECEIVE_MAXIMUM) {
      return DisconnectReason.receiveMaximumExceeded
    }
    const payload = packet.payload as Buffer
    const origin = session.clientId
    const publication: Publication = { topic, payload, qos, isRetained: retain, properties, origin }
    const reason = broker.publish(publication, session)
    if (qos === 0) return undefined
    const cmd = qos === 1 ? 'puback' : 'pubrec'
    if (qos === 2 && reason === PublishReason.success) session.receive(messageId)
    broker.whenTaken(() => {
      const { refusal = reason } = publication
      // Version 3.1.1 cannot be told, and goes on with PUBREL; in version 5 it is over.
      if (qos === 2 && refusal !== reason && connection.version === 5) session.release(messageId)
      connection.write(encodeAck(cmd, messageId, connection.version, refusal))
    })
    return undefined
  }
}
