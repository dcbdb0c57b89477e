import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'
import type { Clock } from '../../../runtime/router/clock.ts'

/** Commands that measure once: counts a lux at the usual measurement time, and how long that takes at most. */
const MODES = new Map([
  [0x20, { countsPerLx: 1.2, ms: 180 }],
  [0x21, { countsPerLx: 2.4, ms: 180 }],
  [0x23, { countsPerLx: 1.2, ms: 24 }],
])

/** A BH1750FVI by its data sheet: 0 until its measurement is done. */
export class Bh1750Chip implements SimulatedChip {
  lx = 0
  /** Every command, in order. */
  readonly commands: number[] = []
  private readonly clock: Clock
  private time = 69
  private count = 0
  private readyAt = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** As after the supply was off. */
  reset(): void {
    this.time = 69
    this.count = 0
  }

  write(bytes: Uint8Array): void {
    for (const command of bytes) this.obey(command)
  }

  read(): Uint8Array {
    const count = this.clock.now() < this.readyAt ? 0 : this.count
    return Uint8Array.of(count >> 8, count & 0xff)
  }

  private obey(command: number): void {
    this.commands.push(command)
    if (command >> 3 === 0b01000) this.time = (this.time & 0x1f) | ((command & 0x07) << 5)
    else if (command >> 5 === 0b011) this.time = (this.time & 0xe0) | (command & 0x1f)
    const mode = MODES.get(command)
    if (mode === undefined) return
    this.count = Math.min(0xffff, Math.round((this.lx * mode.countsPerLx * this.time) / 69))
    this.readyAt = this.clock.now() + (mode.ms * this.time) / 69
  }
}
