import type { Value } from '../../firmware-protocol/wire/value.ts'
import { RecentMap } from '../routes/recent-map.ts'
import { isSameValue } from '../routes/value-text.ts'

const MAX_ADDRESSES = 4096

/** What a foreign peer knows of params already: the same value need not be sent again. Source: bridges.md §2.8. */
export class LastValues {
  private readonly values = new RecentMap<Value>(MAX_ADDRESSES)

  /** It has said so itself. */
  note(address: string, value: Value): void {
    this.values.set(address, value)
  }

  /** Whether it does not know that yet; from now on it does. */
  isNews(address: string, value: Value): boolean {
    const known = this.values.get(address)
    if (known !== undefined && isSameValue(known, value)) return false
    this.values.set(address, value)
    return true
  }
}
