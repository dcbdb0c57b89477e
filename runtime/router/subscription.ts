import type { SubscribeOptions } from '../../firmware-protocol/wire/message.ts'
import type { Session } from './session.ts'

/** One SUBSCRIBE of one session. */
export class Subscription {
  readonly session: Session
  readonly id: number
  readonly pattern: string
  /** Bit n accepts signal code n. */
  readonly mask: number
  readonly options: SubscribeOptions | undefined

  constructor(session: Session, id: number, pattern: string, mask: number, options: SubscribeOptions | undefined) {
    this.session = session
    this.id = id
    this.pattern = pattern
    this.mask = mask
    this.options = options
  }

  /** Updates of params and streams are thinned out for this subscription. */
  get isPaced(): boolean {
    return (this.options?.maxRate ?? 0) > 0 || (this.options?.epsilon ?? 0) > 0
  }
}
