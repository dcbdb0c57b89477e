import type { Link, LinkAcceptor, LinkHandler, LinkLimits } from '../router/link.ts'

/** A link whose limits may change once it is known who is at the other end. */
export interface AdjustableLink extends Link {
  limits: LinkLimits
}

/** What a transport hands its links to: the router, or somebody who first looks who comes. */
export interface PeerAcceptor extends LinkAcceptor {
  /**
   * Sees the first unit of each link, over UDP each HELLO, before `handler` does. Returns who gets it and all that follow:
   * `handler`, or another one that has taken over the link.
   */
  admit?(link: AdjustableLink, handler: LinkHandler, bytes: Uint8Array, start: number, end: number): LinkHandler
}
