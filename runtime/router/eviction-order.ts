/** Hot path. */

import type { Param } from './param.ts'

/** Evictable params from the longest to the shortest unwritten, as a linked list: no search at eviction. */
export class EvictionOrder {
  oldest: Param | null = null
  private newest: Param | null = null

  /** Moves a param to the young end, or takes it out when it must not be evicted. */
  touch(param: Param, isEvictable: boolean): void {
    if (param === this.newest && isEvictable) return
    if (param.isEvictable) this.unlink(param)
    if (isEvictable) this.append(param)
  }

  setEvictable(param: Param, isEvictable: boolean): void {
    if (param.isEvictable === isEvictable) return
    if (isEvictable) this.append(param)
    else this.unlink(param)
  }

  private append(param: Param): void {
    param.isEvictable = true
    param.older = this.newest
    param.newer = null
    if (this.newest === null) this.oldest = param
    else this.newest.newer = param
    this.newest = param
  }

  private unlink(param: Param): void {
    param.isEvictable = false
    if (param.older === null) this.oldest = param.newer
    else param.older.newer = param.newer
    if (param.newer === null) this.newest = param.older
    else param.newer.older = param.older
    param.older = null
    param.newer = null
  }
}
