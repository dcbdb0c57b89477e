import type { Bundle, Message, Publish, SetParam } from '../../firmware-protocol/wire/message.ts'
import { refusal } from './upstream-refusal.ts'
import type { UpstreamSession } from './upstream-session.ts'
import { widened } from './upstream-state.ts'

const SIGNALLING = '/clasp/p2p/signal/'

/** Scope, namespace, write rule, store, broadcast (the sender included), ACK, in this order (router.md §4.1). */
export function applySet(session: UpstreamSession, message: SetParam): Message {
  const { hub } = session.connection
  const { address } = message
  if (session.scopes?.canWrite(address) === false) {
    return refusal(301, 'Insufficient scope for write operation', address)
  }
  if (!session.mayWriteAt(address)) return refusal(403, 'SET outside declared federation namespace', address)
  const objection = hub.writeRule?.(address, message.value)
  if (objection !== undefined) return refusal(403, objection, address)
  const result = hub.write(message, session.id)
  if (typeof result === 'string') return refusal(400, result, address)
  return { type: 'ACK', address, revision: result }
}

/** No answer unless it is refused, and no echo. Gestures pass at once, as with coalescing switched off. */
export function applyPublish(session: UpstreamSession, message: Publish): Message | undefined {
  const { hub } = session.connection
  const { address } = message
  if (session.scopes?.canWrite(address) === false) {
    return refusal(301, 'Insufficient scope for publish operation', address)
  }
  if (!session.mayWriteAt(address)) return refusal(403, 'PUBLISH outside declared federation namespace', address)
  const objection = hub.writeRule?.(address, message.value ?? { type: 'null' })
  if (objection !== undefined) return refusal(403, objection, address)
  if (address.startsWith(SIGNALLING) && !address.slice(SIGNALLING.length).includes('/')) {
    const id = address.slice(SIGNALLING.length)
    const target = hub.sessions.find((other) => other.id === id && other.isListed)
    if (target === undefined) return refusal(404, `Target session not found: ${id}`, address)
    target.broadcast(forwarded(message))
    return undefined
  }
  hub.deliver(forwarded(message), address, message.signal, session)
  return undefined
}

/**
 * All or nothing as far as scopes and write rules go, namespaces are not looked at (D10); then every SET, of which those
 * that the store refuses are skipped silently, then every PUBLISH, then one ACK without address (router.md §4.6).
 */
export function applyBundle(session: UpstreamSession, { messages }: Bundle): Message {
  const { hub } = session.connection
  for (const inner of messages) {
    if (inner.type !== 'SET' && inner.type !== 'PUBLISH') continue
    const objection = bundleObjection(session, inner)
    if (objection !== undefined) return refusal(403, `Bundle rejected: ${objection}`, inner.address)
  }
  let revision: number | undefined
  for (const inner of messages) {
    if (inner.type !== 'SET') continue
    const result = hub.write(inner, session.id)
    if (typeof result === 'number') revision = result
  }
  for (const inner of messages) {
    if (inner.type === 'PUBLISH') hub.deliver(forwarded(inner), inner.address, inner.signal, session)
  }
  return { type: 'ACK', revision }
}

function bundleObjection(session: UpstreamSession, inner: SetParam | Publish): string | undefined {
  if (session.scopes?.canWrite(inner.address) === false) {
    return `insufficient scope for ${inner.type} to ${inner.address}`
  }
  return session.connection.hub.writeRule?.(inner.address, inner.value ?? { type: 'null' })
}

function forwarded({ value, ...rest }: Publish): Message {
  return value === undefined ? rest : { ...rest, value: widened(value) }
}
