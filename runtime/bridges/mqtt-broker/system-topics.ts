import type { BridgeCounters } from '../bridge.ts'
import { Outgoing } from './outgoing.ts'

export interface SystemFacts {
  readonly counters: BridgeCounters
  readonly sent: number
  readonly connected: number
  readonly sessions: number
  readonly subscriptions: number
  readonly uptimeMs: number
}

const ROOT = '$SYS/'

/** Topics, and filters, of what only the broker says. */
export function isSystemTopic(topic: string): boolean {
  return topic.startsWith(ROOT)
}

/** What the broker says of itself, by the names that brokers commonly use. */
export function systemMessages({
  counters,
  sent,
  connected,
  sessions,
  subscriptions,
  uptimeMs,
}: SystemFacts): Outgoing[] {
  const texts: Readonly<Record<string, string | number>> = {
    version: 'clasp-edge',
    uptime: `${Math.floor(uptimeMs / 1000)} seconds`,
    'clients/connected': connected,
    'clients/total': sessions,
    'subscriptions/count': subscriptions,
    'messages/received': counters.in,
    'messages/sent': sent,
    'publish/messages/dropped': counters.outDropped,
  }
  return Object.entries(texts).map(
    ([name, text]) =>
      new Outgoing({
        topic: `${ROOT}broker/${name}`,
        payload: Buffer.from(String(text)),
        qos: 0,
        isRetained: true,
        isState: true,
        properties: undefined,
        origin: '',
        expiresAtMs: Number.POSITIVE_INFINITY,
      }),
  )
}
