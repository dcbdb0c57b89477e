import type { Message, Subscribe } from '../../firmware-protocol/wire/message.ts'
import { answerFederation } from './upstream-federation.ts'
import { glob, patternObjection } from './upstream-patterns.ts'
import { refusal } from './upstream-refusal.ts'
import type { UpstreamSession } from './upstream-session.ts'
import { applyBundle, applyPublish, applySet } from './upstream-writes.ts'

/** All ids of a session, those of its namespaces included. */
const MAX_SUBSCRIPTIONS = 1000

/** Carries out one message of an open session and answers it, as router.md §4 and federation.md §5.7 tell. */
export function answer(session: UpstreamSession, message: Message): void {
  const last = lastAnswer(session, message)
  if (last !== undefined) session.connection.reply(last)
}

/** What is still to be sent when the message has been carried out. */
function lastAnswer(session: UpstreamSession, message: Message): Message | undefined {
  const { hub } = session.connection
  switch (message.type) {
    case 'SET':
      return applySet(session, message)
    case 'PUBLISH':
      return applyPublish(session, message)
    case 'BUNDLE':
      return applyBundle(session, message)
    case 'SUBSCRIBE':
      return subscribe(session, message)
    case 'UNSUBSCRIBE':
      session.unsubscribe(message.id)
      return undefined
    case 'GET':
      return get(session, message.address)
    case 'FEDERATION_SYNC':
      return hub.hasFederation ? answerFederation(session, message) : undefined
    case 'PING':
      return { type: 'PONG' }
    case 'SYNC': {
      const timeUs = hub.clock.wallUs()
      return { type: 'SYNC', t1: message.t1, t2: timeUs, t3: timeUs }
    }
    case 'ANNOUNCE':
      for (const { meta: _meta, ...signal } of message.signals) hub.signals.set(signal.address, signal)
      return { type: 'ACK', address: message.namespace }
    case 'QUERY': {
      const signals = [...hub.signals.values()].filter(({ address }) => glob(message.pattern, address))
      return { type: 'RESULT', signals }
    }
    case 'REPLAY':
      return replay(session, message.pattern)
    default:
      return undefined
  }
}

/** No ACK; the params that the glob finds, of whatever type, or nothing at all. */
function subscribe(session: UpstreamSession, { id, pattern, types }: Subscribe): Message | undefined {
  if (session.subscriptionCount >= MAX_SUBSCRIPTIONS) {
    return refusal(429, `Subscription limit reached (max ${MAX_SUBSCRIPTIONS})`, pattern)
  }
  if (session.scopes?.canReadStrictly(pattern) === false) {
    return refusal(301, 'Insufficient scope for subscription', pattern)
  }
  const objection = patternObjection(pattern)
  if (objection !== undefined) return refusal(202, objection, pattern)
  session.subscribe(id, pattern, types)
  const params = session.connection.hub.visibleParams((address) => glob(pattern, address), session)
  if (params.length > 0) session.sendSnapshot(params)
  return undefined
}

/** Exactly this address; what is missing or hidden gets no answer. */
function get(session: UpstreamSession, address: string): Message | undefined {
  if (session.scopes?.canRead(address) === false) {
    return refusal(301, 'Insufficient scope for read operation', address)
  }
  const { hub } = session.connection
  const param = hub.params.get(address)
  if (param !== undefined && hub.isVisible(address, session)) session.sendSnapshot([[address, param]])
  return undefined
}

function replay(session: UpstreamSession, pattern: string): Message {
  if (session.scopes?.canReadStrictly(pattern) === false) {
    return refusal(301, 'Insufficient scope for replay', pattern)
  }
  return refusal(501, 'Journal not configured on this router', pattern)
}
