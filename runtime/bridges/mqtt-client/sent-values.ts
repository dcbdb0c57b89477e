const MAX_TOPICS = 4096
const MAX_BYTES = 1024

/** The last payload of each topic of a param, in either direction: what is the same is not sent again. */
export class SentValues {
  private readonly last = new Map<string, Buffer>()

  /** Remembers it. */
  isNew(topic: string, payload: Buffer): boolean {
    if (this.last.get(topic)?.equals(payload) === true) return false
    this.replace(topic, payload)
    return true
  }

  replace(topic: string, payload: Buffer): void {
    // The order of the map is the order of use.
    this.last.delete(topic)
    if (payload.length > MAX_BYTES) return
    this.last.set(topic, Buffer.from(payload))
    if (this.last.size > MAX_TOPICS) this.last.delete(this.last.keys().next().value as string)
  }
}
