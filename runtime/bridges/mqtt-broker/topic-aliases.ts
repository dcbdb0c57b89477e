import type { IPublishPacket } from 'mqtt-packet'
import { topicProblem } from '../mqtt/topic-filter.ts'
import { TOPIC_ALIASES } from './connect-answer.ts'
import { DisconnectReason } from './reason-codes.ts'

/** Numbers that a client uses for its topics, for as long as it is connected. Source: MQTT 5.0 §3.3.2.3.4. */
export class TopicAliases {
  private readonly topics: string[] = []

  /** The topic; a reason where it is none, or the alias is none. */
  topicOf({ topic, properties }: IPublishPacket): string | DisconnectReason {
    const alias = properties?.topicAlias
    if ((alias === undefined || topic !== '') && topicProblem(topic) !== undefined)
      return DisconnectReason.topicNameInvalid
    if (alias === undefined) return topic
    if (!(alias >= 1 && alias <= TOPIC_ALIASES)) return DisconnectReason.topicAliasInvalid
    if (topic !== '') this.topics[alias] = topic
    return this.topics[alias] ?? DisconnectReason.protocolError
  }
}
