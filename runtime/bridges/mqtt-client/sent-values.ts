import type { Update } from '../bridge.ts'

const MAX_TOPICS = 4096
const MAX_BYTES = 4 * 1024 * 1024

/** The last payload of each topic of a param, in either direction: what is the same is not sent again. */
export class SentValues {
  private readonly last = new Map<string, { payload: Buffer; update: Update | undefined }>()
  private bytes = 0

  /** Remembers it. */
  isNew(topic: string, payload: Buffer, update: Update): boolean {
    if (this.last.get(topic)?.payload.equals(payload) === true) return false
    this.remember(topic, payload, update)
    return true
  }

  /** The broker has said so. */
  replace(topic: string, payload: Buffer): void {
    this.remember(topic, Buffer.from(payload), undefined)
  }

  /** Forgets what went out, by topic, and returns it: the broker does not know it any more. */
  takeOwn(): Map<string, Update> {
    const own = new Map<string, Update>()
    for (const [topic, { update }] of this.last) {
      if (update === undefined) continue
      own.set(topic, update)
      this.forget(topic)
    }
    return own
  }

  private remember(topic: string, payload: Buffer, update: Update | undefined): void {
    // The order of the map is the order of use.
    this.forget(topic)
    this.last.set(topic, { payload, update })
    this.bytes += payload.length
    while (this.last.size > MAX_TOPICS || this.bytes > MAX_BYTES) this.forget(this.last.keys().next().value as string)
  }

  private forget(topic: string): void {
    this.bytes -= this.last.get(topic)?.payload.length ?? 0
    this.last.delete(topic)
  }
}
