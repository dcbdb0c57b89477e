import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'

/** An MPR121 by its data sheet: it takes settings only while no electrode is enabled, and feels only those that are. */
export class Mpr121Chip extends RegisterChip {
  constructor() {
    super()
    this.reset()
  }

  /** As after the supply was off. */
  reset(): void {
    this.registers.fill(0)
    this.registers.set([0x10, 0x24], 0x5c)
  }

  /** The electrodes that are touched now, each in its bit. */
  touch(electrodes: number): void {
    const enabled = Math.min(12, this.registers[0x5e] & 0x0f)
    const felt = electrodes & ((1 << enabled) - 1)
    this.registers.set([felt & 0xff, felt >> 8], 0)
  }

  override write(bytes: Uint8Array): void {
    const [register, value] = bytes
    if (register === 0x80 && value === 0x63) this.reset()
    else if (bytes.length < 2 || register === 0x5e || (this.registers[0x5e] & 0x3f) === 0) super.write(bytes)
  }
}
