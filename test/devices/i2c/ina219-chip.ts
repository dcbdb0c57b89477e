import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'

/** An INA219 in continuous mode; what it computes is SBOS448G, 8.5.1 and 8.6.3. */
export class Ina219Chip implements SimulatedChip {
  /** At its pins. */
  shuntMv = 0
  busV = 0
  configuration = 0x399f
  calibration = 0
  private pointer = 0

  /** Its supply was away. */
  breakDown(): void {
    this.configuration = 0x399f
    this.calibration = 0
  }

  write(bytes: Uint8Array): void {
    this.pointer = bytes[0]
    if (bytes.length < 3) return
    const word = (bytes[1] << 8) | bytes[2]
    if (this.pointer === 0 && word >= 0x8000) this.breakDown()
    else if (this.pointer === 0) this.configuration = word
    else if (this.pointer === 5) this.calibration = word & 0xfffe
  }

  read(count: number): Uint8Array {
    const word = this.word()
    return Uint8Array.of((word >> 8) & 0xff, word & 0xff).subarray(0, count)
  }

  private word(): number {
    const most = [4000, 8000, 16_000, 32_000][(this.configuration >> 11) & 3]
    const shunt = Math.max(-most, Math.min(most, Math.round(this.shuntMv / 0.01)))
    const current = Math.trunc((shunt * this.calibration) / 4096)
    const bus = Math.round(this.busV / 0.004)
    const isOverflow = Math.abs(current) > 0x7fff
    switch (this.pointer) {
      case 0:
        return this.configuration
      case 1:
        return shunt
      case 2:
        return (bus << 3) | 0x2 | Number(isOverflow)
      case 4:
        return current
      default:
        return this.pointer === 5 ? this.calibration : 0
    }
  }
}
