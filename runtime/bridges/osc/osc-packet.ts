import type { Value } from '../../../firmware-protocol/wire/value.ts'

/** What an OSC packet holds, once read. */
export type OscPacket = OscMessage | OscBundle

export interface OscMessage {
  readonly kind: 'message'
  /** As it was sent: it may be a pattern. */
  readonly address: string
  /** No argument is Null, one is its value, several are an Array. */
  readonly value: Value
  /** Its only argument was `I`. */
  readonly isImpulse: boolean
}

export interface OscBundle {
  readonly kind: 'bundle'
  /** Unix time in µs; 0: immediately. */
  readonly timeUs: number
  readonly elements: readonly OscPacket[]
  /** What was wrong with elements that could not be read; the others are there. */
  readonly faults: readonly string[]
}

/** Bytes that are no OSC packet. */
export interface OscFault {
  readonly kind: 'fault'
  readonly problem: string
}
