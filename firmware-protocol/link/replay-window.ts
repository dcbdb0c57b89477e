/** How far behind the newest a datagram may come. */
const SIZE = 64

/** Accepts each counter once, and none that is 64 or more behind the newest. README, "Datagrams". */
export class ReplayWindow {
  /** The largest counter that was accepted. */
  newest = 0
  /** Bit n of the pair: newest − n was seen. */
  private low = 0
  private high = 0

  /** Whether this counter may be accepted; `accept` then records it. */
  isFresh(counter: number): boolean {
    const behind = this.newest - counter
    if (behind < 0) return true
    if (behind >= SIZE) return false
    return ((behind < 32 ? this.low >>> behind : this.high >>> (behind - 32)) & 1) === 0
  }

  accept(counter: number): void {
    const ahead = counter - this.newest
    if (ahead <= 0) {
      const behind = -ahead
      if (behind < 32) this.low |= 1 << behind
      else this.high |= 1 << (behind - 32)
      return
    }
    this.newest = counter
    if (ahead >= SIZE) {
      this.low = 0
      this.high = 0
    } else if (ahead >= 32) {
      this.high = ahead === 32 ? this.low : this.low << (ahead - 32)
      this.low = 0
    } else {
      this.high = (this.high << ahead) | (this.low >>> (32 - ahead))
      this.low <<= ahead
    }
    this.low |= 1
  }
}
