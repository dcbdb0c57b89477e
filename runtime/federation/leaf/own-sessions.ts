import type { UplinkStore } from './uplink-store.ts'

const KEPT = 8

/** The ids that the hub gave to the last sessions of this leaf: the hub names them as writers of what we set there. */
export class OwnSessions {
  private readonly store: UplinkStore
  private ids: string[]

  constructor(store: UplinkStore) {
    this.store = store
    this.ids = (store.meta('sessions') ?? '').split(' ').filter((id) => id !== '')
  }

  add(id: string): void {
    this.ids = [id, ...this.ids.filter((known) => known !== id)].slice(0, KEPT)
    this.store.setMeta('sessions', this.ids.join(' '))
  }

  has(id: string): boolean {
    return this.ids.includes(id)
  }
}
