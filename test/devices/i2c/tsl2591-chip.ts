import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'
import type { Clock } from '../../../runtime/router/clock.ts'

const GAINS = [
  { full: 1, infrared: 1 },
  { full: 24.5, infrared: 24.5 },
  { full: 400, infrared: 400 },
  { full: 9200, infrared: 9900 },
]

/** A TSL2591 by its data sheet: registers behind the command a0; a measurement starts when it is enabled. */
export class Tsl2591Chip extends RegisterChip {
  /** Counts a millisecond at the least gain: visible and infrared light, and infrared light alone. */
  full = 0
  infrared = 0
  /** Values of the control register of every measurement, in order. */
  readonly controls: number[] = []
  private readonly clock: Clock
  private doneAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    super()
    this.clock = clock
    this.registers[0xb2] = 0x50
  }

  override write(bytes: Uint8Array): void {
    super.write(bytes)
    const [register, value] = bytes
    if (register !== 0xa0 || bytes.length < 2) return
    this.doneAt = value === 0x03 ? this.clock.now() + this.ms : Number.POSITIVE_INFINITY
    if (value === 0x03) this.controls.push(this.registers[0xa1])
  }

  override read(count: number): Uint8Array {
    const isDone = this.clock.now() >= this.doneAt
    this.registers[0xb3] = isDone ? 0x01 : 0
    const { full, infrared } = GAINS[(this.registers[0xa1] >> 4) & 0x03]
    const counts = [this.full * full, this.infrared * infrared].map((perMs) => {
      const limit = this.ms === 100 ? 36863 : 65535
      return isDone ? Math.min(limit, Math.floor(perMs * this.ms)) : 0
    })
    this.registers.set(
      counts.flatMap((one) => [one & 0xff, one >> 8]),
      0xb4,
    )
    return super.read(count)
  }

  private get ms(): number {
    return ((this.registers[0xa1] & 0x07) + 1) * 100
  }
}
