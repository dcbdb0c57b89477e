import type { U64 } from '../../../firmware-protocol/wire/message.ts'

const MAX_ADDRESSES = 1024

/**
 * CLASP cannot delete: DELETE sets null. This tells such a null from one that somebody means, for the last 1024 addresses.
 * It has no time to live, which would stay with the param and take values away that are set afterwards.
 */
export class RemovedParams {
  /** Undefined: on its way. */
  private readonly revisions = new Map<string, U64 | undefined>()

  begin(address: string): void {
    this.remember(address, undefined)
  }

  end(address: string, revision: U64 | undefined): void {
    this.remember(address, revision)
  }

  forget(address: string): void {
    this.revisions.delete(address)
  }

  /** Whether a null at this address with this revision is what DELETE left. */
  has(address: string, revision: U64 | undefined): boolean {
    if (!this.revisions.has(address)) return false
    const known = this.revisions.get(address)
    return known === undefined || known === revision
  }

  private remember(address: string, revision: U64 | undefined): void {
    this.revisions.delete(address)
    this.revisions.set(address, revision)
    if (this.revisions.size > MAX_ADDRESSES) this.revisions.delete(this.revisions.keys().next().value as string)
  }
}
