import type { Value } from '../../firmware-protocol/wire/value.ts'
import { isSameValue } from './same-value.ts'

/** More are never on their way: the router answers in the same turn. */
const MAX_WAITING = 1024

/**
 * Tells own SETs that come back from those of others. The router delivers both in one order, so an own one is the first
 * that is awaited at its address with its very value; where the router made something else of it, it counts as foreign.
 */
export class OwnValues {
  private readonly awaited = new Map<string, Value[]>()

  /** This SET is about to be sent, to an address that is subscribed to. */
  expect(address: string, value: Value): void {
    const values = this.awaited.get(address)
    if (values === undefined) this.awaited.set(address, [value])
    else if (values.push(value) > MAX_WAITING) values.shift()
  }

  /** Whether a SET that arrived is an own one. */
  takes(address: string, value: Value): boolean {
    const values = this.awaited.get(address)
    if (values === undefined) return false
    const at = values.findIndex((own) => isSameValue(own, value))
    if (at < 0) return false
    // What was sent before it has been replaced or refused.
    values.splice(0, at + 1)
    if (values.length === 0) this.awaited.delete(address)
    return true
  }

  /** The router has answered a SET: what it was to tell of it, it has told before. */
  answered(address: string): void {
    this.awaited.delete(address)
  }
}
