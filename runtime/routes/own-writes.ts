import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Trail } from './mapper.ts'
import { isSameValue } from './value-text.ts'

/** More are never on their way: the router answers in the same turn. */
const MAX_WAITING = 1024

interface Written {
  readonly value: Value
  readonly trail: Trail
}

/** Own params on their way through the router, so that it is known where they came from when they are heard of again. */
export class OwnWrites {
  private readonly waiting = new Map<string, Written[]>()

  expect(address: string, value: Value, trail: Trail): void {
    const written = this.waiting.get(address)
    if (written === undefined) this.waiting.set(address, [{ value, trail }])
    else if (written.push({ value, trail }) > MAX_WAITING) written.shift()
  }

  /** Where a param that arrived came from; undefined when somebody else wrote it. */
  take(address: string, value: Value): Trail | undefined {
    const written = this.waiting.get(address)
    if (written === undefined) return undefined
    const at = written.findIndex((own) => isSameValue(own.value, value))
    if (at < 0) return undefined
    const [{ trail }] = written.splice(0, at + 1).slice(-1)
    if (written.length === 0) this.waiting.delete(address)
    return trail
  }

  /** The router has answered: what it was to tell of this address, it has told. */
  answered(address: string): void {
    this.waiting.delete(address)
  }
}
