import { encodeMessage } from '../../firmware-protocol/wire/encode-message.ts'
import type { Announce, SignalDefinition } from '../../firmware-protocol/wire/message.ts'

/** Less than a frame holds, for the namespace and a signal more. */
const MAX_BYTES = 48_000

/** Announces signals in as many frames as they need. */
export function announcements(namespace: string, signals: Iterable<SignalDefinition>): Announce[] {
  const messages: Announce[] = []
  let fitting: SignalDefinition[] = []
  let bytes = 0
  for (const signal of signals) {
    const own = encodeMessage({ type: 'ANNOUNCE', namespace, signals: [signal] }).length
    if (fitting.length === 0 || bytes + own > MAX_BYTES) {
      fitting = []
      bytes = 0
      messages.push({ type: 'ANNOUNCE', namespace, signals: fitting })
    }
    fitting.push(signal)
    bytes += own
  }
  return messages
}
