import { PROTOCOL_VERSION } from '../../firmware-protocol/wire/constants.ts'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Feature } from '../../firmware-protocol/wire/message.ts'
import type { Clock } from '../router/clock.ts'

export interface RouterIdentity {
  name: string
  features: Feature[]
  /** UUID that stays the same over restarts, so that seekers know the router again. */
  id: string
  clock: Clock
}

/** The datagram that asks every router on the network to answer: HELLO without features. Transport reference §12.1. */
export function probeFrame(): Uint8Array {
  return encodeFrame({ type: 'HELLO', version: PROTOCOL_VERSION, features: [], name: 'Discovery' })
}

/** The answer to a probe: a WELCOME whose session is the id of the router. Transport reference §12.1, §12.3. */
export function probeReply({ name, features, id, clock }: RouterIdentity): Uint8Array {
  const time = clock.wallUs()
  return encodeFrame({ type: 'WELCOME', version: PROTOCOL_VERSION, features, time, session: id, name })
}
