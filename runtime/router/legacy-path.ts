import { encodeMessage } from '../../firmware-protocol/wire/encode-message.ts'
import { EncodeError } from '../../firmware-protocol/wire/errors.ts'
import type { Bundle, Message, Publish, SetParam } from '../../firmware-protocol/wire/message.ts'
import { timelineToValue } from '../../firmware-protocol/wire/timeline.ts'
import type { Bundles } from './bundles.ts'
import type { Core } from './core.ts'
import type { PublishPath } from './publish-path.ts'
import { ANY_SIGNAL } from './routes.ts'
import type { Session } from './session.ts'
import type { SetPath } from './set-path.ts'

/**
 * SET, PUBLISH and BUNDLE from peers that still send MessagePack: they are put into the compact form and take the same
 * path as all others. Keyframes, which only this form carries, move into the value (wire reference §11.4).
 */
export class LegacyPath {
  private readonly core: Core
  private readonly sets: SetPath
  private readonly publishes: PublishPath
  private readonly bundles: Bundles

  constructor(core: Core, sets: SetPath, publishes: PublishPath, bundles: Bundles) {
    this.core = core
    this.sets = sets
    this.publishes = publishes
    this.bundles = bundles
  }

  accept(session: Session, message: SetParam | Publish | Bundle): void {
    let bytes: Uint8Array
    try {
      bytes = encodeMessage(compact(message))
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error
      this.core.refuse(session, 400, `not representable in the compact form: ${error.message}`)
      return
    }
    if (message.type === 'SET') this.sets.accept(session, bytes, 0, bytes.length)
    else if (message.type === 'BUNDLE') this.bundles.accept(session, bytes, 0, bytes.length)
    else this.publishes.accept(session, bytes, 0, bytes.length, audienceOf(message))
  }
}

/** -1 = by the signal of the message. A gesture without a phase is an ordinary message to all (router reference §7). */
function audienceOf({ signal, phase }: Publish): number {
  return signal === undefined || (signal === 'gesture' && phase === undefined) ? ANY_SIGNAL : -1
}

function compact(message: Message): Message {
  if (message.type === 'BUNDLE') return { ...message, messages: message.messages.map(compact) }
  if (message.type !== 'PUBLISH') return message
  const { timeline, payload, ...rest } = message
  const value = message.value ?? payload ?? (timeline === undefined ? undefined : timelineToValue(timeline))
  return value === undefined ? rest : { ...rest, value }
}
