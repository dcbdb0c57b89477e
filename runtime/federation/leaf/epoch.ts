import { randomBytes } from 'node:crypto'
import type { SnapshotParam } from '../../../firmware-protocol/wire/message.ts'
import type { HubSession } from './hub-session.ts'
import type { UplinkStore } from './uplink-store.ts'

/** A hub that is asked too much discards; one that always does is none. */
const MAX_DISCARDS = 8

/**
 * Finds out whether the hub has kept its state since we last knew it: a random text that we once wrote there must be
 * there, at the same revision. It is written twice, because a hub that was restored from its snapshot shows revision 1
 * everywhere. Source: federation.md §13.8.
 */
export class Epoch {
  readonly address: string
  private readonly store: UplinkStore
  private seen: SnapshotParam | null = null
  private text = ''
  private revision = 0

  constructor(controlPrefix: string, store: UplinkStore) {
    this.address = `${controlPrefix}epoch`
    this.store = store
  }

  /** Every SNAPSHOT param at `address`. */
  onSnapshot(param: SnapshotParam): void {
    this.seen = param
  }

  /** True = the same epoch, false = a new one has been written; undefined when the session ended meanwhile. */
  async check(session: HubSession): Promise<boolean | undefined> {
    this.seen = null
    session.get(this.address)
    if ((await session.barrier()).kind !== 'done') return undefined
    const seen = this.seen as SnapshotParam | null
    const known = this.store.meta('epoch')
    if (seen !== null && seen.value.type === 'string' && known === `${seen.value.value} ${seen.revision}`) return true
    this.text = randomBytes(6).toString('hex')
    this.revision = 0
    let discards = 0
    for (let i = 0; i < 2; i++) {
      const answer = await session.set(this.address, { type: 'string', value: this.text }, { mode: 'never' })
      if (answer.kind === 'stored') this.revision = answer.revision
      else if (answer.kind === 'discarded' && ++discards < MAX_DISCARDS) i--
      else return undefined
    }
    return false
  }

  /** Both sides are known to be equal: only now what the hub holds may be taken for what we left there. */
  confirm(): void {
    if (this.revision > 0) this.store.setMeta('epoch', `${this.text} ${this.revision}`)
    this.revision = 0
  }

  forget(): void {
    this.store.setMeta('epoch', '')
  }
}
