import { randomInt } from 'node:crypto'
import type { OscBytes } from './osc-encoder.ts'
import type { OscLink } from './osc-peer.ts'

/** IPv4 and UDP in front of each datagram. */
const HEADER_BYTES = 28
/** Bytes that go there for each that came from there. */
const RETURN_RATE = 3
const MAX_CREDIT_BYTES = 65_536
/** A challenge with its header; even the smallest packet pays for it. */
const CHALLENGE_BYTES = 64

export interface UnprovenLinkParts {
  readonly link: OscLink
  /** The message that asks for `number`. */
  challenge(number: number): OscBytes
  /** Something was not sent. */
  onHeldBack(): void
}

/**
 * The way to a sender over UDP whose address may be forged: it gets at most three times the bytes that came from it, as
 * with QUIC, until it has repeated a number that only its receiver can know. Source: RFC 9000 §8.1.
 */
export class UnprovenLink implements OscLink {
  private readonly parts: UnprovenLinkParts
  private number = randomInt(1, 2 ** 31)
  private creditBytes = 0
  /** Nothing more goes there until something comes from there. */
  private isSpent = false
  private isProven = false

  constructor(parts: UnprovenLinkParts) {
    this.parts = parts
  }

  get isDoubtful(): boolean {
    return !this.isProven
  }

  get isFull(): boolean {
    return this.isSpent || this.parts.link.isFull
  }

  send(packet: OscBytes): void {
    const { link, challenge, onHeldBack } = this.parts
    const bytes = HEADER_BYTES + packet.end - packet.start
    if (this.isProven) {
      link.send(packet)
    } else if (!this.isSpent && bytes + CHALLENGE_BYTES <= this.creditBytes) {
      this.creditBytes -= bytes
      link.send(packet)
    } else {
      onHeldBack()
      if (this.isSpent) return
      this.isSpent = true
      this.creditBytes -= CHALLENGE_BYTES
      link.send(challenge(this.number))
    }
  }

  heard(bytes: number): void {
    if (this.isProven) return
    this.isSpent = false
    this.creditBytes = Math.min(MAX_CREDIT_BYTES, this.creditBytes + RETURN_RATE * (HEADER_BYTES + bytes))
  }

  prove(number: number): boolean {
    this.isProven ||= number === this.number
    if (this.isProven) this.isSpent = false
    // Guessing begins anew.
    else this.number = randomInt(1, 2 ** 31)
    return this.isProven
  }

  setPort(port: number): boolean {
    return this.parts.link.setPort?.(port) ?? false
  }

  close(): Promise<void> {
    return this.parts.link.close()
  }
}
