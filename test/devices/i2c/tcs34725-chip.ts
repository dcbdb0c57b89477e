import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'
import type { Clock } from '../../../runtime/router/clock.ts'

/** A TCS34725 by its data sheet: registers behind the command a0; a measurement needs 2.4 ms of power before it starts. */
export class Tcs34725Chip extends RegisterChip {
  /** Clear, red, green and blue. */
  counts: readonly number[] = [0, 0, 0, 0]
  private readonly clock: Clock
  private poweredAt = Number.POSITIVE_INFINITY
  private doneAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    super()
    this.clock = clock
    this.registers[0xb2] = 0x44
    this.registers[0xa1] = 0xff
  }

  override write(bytes: Uint8Array): void {
    super.write(bytes)
    if (bytes[0] !== 0xa0 || bytes.length < 2) return
    const now = this.clock.now()
    if ((bytes[1] & 1) === 0) this.poweredAt = Number.POSITIVE_INFINITY
    else this.poweredAt = Math.min(this.poweredAt, now)
    const isWarm = now - this.poweredAt >= 2.4
    // One more cycle for the start.
    const ms = (256 - this.registers[0xa1] + 1) * 2.4
    this.doneAt = bytes[1] === 0x03 && isWarm ? now + ms : Number.POSITIVE_INFINITY
  }

  override read(count: number): Uint8Array {
    const isDone = this.clock.now() >= this.doneAt
    this.registers[0xb3] = isDone ? 0x11 : 0
    this.registers.set(
      this.counts.flatMap((one) => (isDone ? [one & 0xff, one >> 8] : [0, 0])),
      0xb4,
    )
    return super.read(count)
  }
}
