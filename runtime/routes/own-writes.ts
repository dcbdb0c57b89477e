import type { Value } from '../../firmware-protocol/wire/value.ts'
import { isSameValue } from './value-text.ts'

/** More are never on their way: the router answers in the same turn. */
const MAX_WAITING = 1024
/** Addresses at which SETs are not answered yet; refusals of what is no address name none. */
const MAX_UNANSWERED = 4096

/**
 * Tells own SETs that come back from those of others. The router delivers both in one order, so an own one is the first
 * that is awaited at its address with its very value; where the router made something else of it, it counts as foreign.
 * `T` is what is known of each.
 */
export class OwnWrites<T> {
  private readonly waiting = new Map<string, { value: Value; known: T }[]>()
  private readonly unanswered = new Map<string, number>()

  /** This SET is about to be sent, to an address that is subscribed to. */
  expect(address: string, value: Value, known: T): void {
    const written = this.waiting.get(address)
    if (written === undefined) this.begin(address, [{ value, known }])
    else if (written.push({ value, known }) > MAX_WAITING) written.shift()
  }

  /** Those of a bundle have no answer of their own, and one that is refused never comes back. */
  private begin(address: string, written: { value: Value; known: T }[]): void {
    this.waiting.set(address, written)
    if (this.waiting.size <= MAX_UNANSWERED) return
    const [oldest] = this.waiting.keys()
    this.waiting.delete(oldest)
  }

  /** What is known of a SET that arrived; undefined when it is of somebody else. */
  take(address: string, value: Value): T | undefined {
    const written = this.waiting.get(address)
    if (written === undefined) return undefined
    const at = written.findIndex((own) => isSameValue(own.value, value))
    if (at < 0) return undefined
    // What was sent before it has been replaced or refused.
    const [{ known }] = written.splice(0, at + 1).slice(-1)
    if (written.length === 0) this.waiting.delete(address)
    return known
  }

  /** A SET was sent, of which the answer counts. */
  sent(address: string): void {
    this.unanswered.set(address, (this.unanswered.get(address) ?? 0) + 1)
    if (this.unanswered.size <= MAX_UNANSWERED) return
    const [oldest] = this.unanswered.keys()
    this.unanswered.delete(oldest)
    this.waiting.delete(oldest)
  }

  /** The router has answered one SET; with the last one, it has told all that it was to tell of this address. */
  answered(address: string): void {
    const left = (this.unanswered.get(address) ?? 0) - 1
    if (left > 0) {
      this.unanswered.set(address, left)
      return
    }
    this.unanswered.delete(address)
    this.waiting.delete(address)
  }
}
