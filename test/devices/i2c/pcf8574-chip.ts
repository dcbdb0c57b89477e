import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'

/** A PCF8574: one latch, and pins that anybody may pull down. */
export class Pcf8574Chip implements SimulatedChip {
  latch = 0xff
  /** A clear bit is pulled down by the world. */
  world = 0xff

  get levels(): number {
    return this.latch & this.world
  }

  write(bytes: Uint8Array): void {
    for (const byte of bytes) this.latch = byte
  }

  read(count: number): Uint8Array {
    return new Uint8Array(count).fill(this.levels)
  }
}
