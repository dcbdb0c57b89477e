import type { Session } from '../../router/session.ts'
import type { Declared } from './declared.ts'

const SHOWN_CHARACTERS = 80

/** A session with the federation bit, as the hub knows it. */
export class Peer {
  readonly session: Session
  /** `origin` of its DECLARE, else the name in its HELLO. */
  routerId: string
  /** The DECLARE had an `origin`: the id is meant to tell this leaf from others. */
  isNamed = false
  /** null = it has declared nothing yet. */
  declared: Declared | null = null
  /** Unix time in µs. */
  declaredAtUs = 0
  sets = 0
  publishes = 0
  /** SETs, PUBLISHes and requests that were refused here. */
  refused = 0

  constructor(session: Session) {
    this.session = session
    this.routerId = session.name
  }
}

/** What a peer calls itself or its namespaces, for people: short, and without what would move a terminal's cursor. */
export function shown(text: string): string {
  const short = text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`
  // Cs: half of a pair that was cut.
  return short.replace(/[\p{Cc}\p{Cs}]/gu, '\ufffd')
}
