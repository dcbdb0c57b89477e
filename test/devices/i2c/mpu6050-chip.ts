import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'

/** An MPU-6050, or one of the later ones by what it answers in 75 (RM-MPU-6000A-00, RM-MPU-6500A-00). */
export class Mpu6050Chip extends RegisterChip {
  private readonly identity: number

  constructor(identity = 0x68) {
    super()
    this.identity = identity
    this.breakDown()
  }

  /** Its supply was away. */
  breakDown(): void {
    this.registers.fill(0)
    this.registers[0x75] = this.identity
    // The MPU-6050 sleeps, the others take the best clock.
    this.registers[0x6b] = this.identity === 0x68 ? 0x40 : 0x01
  }

  /** Acceleration x, y, z, temperature, angular rate x, y, z as the registers have them; not while it sleeps. */
  feel(...words: readonly number[]): void {
    if ((this.registers[0x6b] & 0x40) !== 0) return
    for (const [at, word] of words.entries()) {
      this.registers[0x3b + 2 * at] = (word >> 8) & 0xff
      this.registers[0x3c + 2 * at] = word & 0xff
    }
  }
}
