import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'

const MODE1 = 0x00
const LED0 = 0x06
const ALL_LED = 0xfa
const PRE_SCALE = 0xfe

/** A PCA9685 as its data sheet tells it: auto-increment, the sleep that the prescaler needs, and RESTART. */
export class Pca9685Chip implements SimulatedChip {
  readonly registers = new Uint8Array(256)
  private pointer = 0
  /** Writes to PRE_SCALE that came while it was awake. */
  ignored = 0
  /** How often it was put to sleep while channels were running. */
  interrupted = 0

  constructor() {
    this.powerOn()
  }

  powerOn(): void {
    this.registers.fill(0)
    this.registers[MODE1] = 0x11
    this.registers[0x01] = 0x04
    this.registers[PRE_SCALE] = 0x1e
    for (let channel = 0; channel < 16; channel++) this.registers[LED0 + 4 * channel + 3] = 0x10
  }

  get isAsleep(): boolean {
    return (this.registers[MODE1] & 0x10) !== 0
  }

  get period(): number {
    return ((this.registers[PRE_SCALE] + 1) * 4096) / 25
  }

  /** Steps that a channel is on; it is off while the chip sleeps. */
  count(channel: number): number {
    const [onLow, onHigh, offLow, offHigh] = this.registers.subarray(LED0 + 4 * channel)
    if (this.isAsleep || offHigh & 0x10) return 0
    if (onHigh & 0x10) return 4096
    return (((offHigh << 8) | offLow) - ((onHigh << 8) | onLow) + 4096) % 4096
  }

  /** Length of its pulses, µs. */
  pulse(channel: number): number {
    return (this.count(channel) / 4096) * this.period
  }

  write(bytes: Uint8Array): void {
    this.pointer = bytes[0]
    for (const byte of bytes.subarray(1)) {
      this.store(this.pointer, byte)
      this.step()
    }
  }

  read(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => {
      const byte = this.registers[this.pointer]
      this.step()
      return byte
    })
  }

  private step(): void {
    if (this.registers[MODE1] & 0x20) this.pointer = this.pointer === 0x45 ? 0 : (this.pointer + 1) & 0xff
  }

  private store(at: number, byte: number): void {
    const { registers } = this
    if (at === PRE_SCALE && !this.isAsleep) this.ignored++
    else if (at === PRE_SCALE) registers[at] = Math.max(3, byte)
    else if (at >= ALL_LED && at < PRE_SCALE) {
      for (let channel = 0; channel < 16; channel++) registers[LED0 + 4 * channel + at - ALL_LED] = byte
    } else if (at === MODE1) this.setMode(byte)
    else registers[at] = byte
    // Writing to any channel ends what waits for a restart.
    if (at >= LED0 && at < 0x46) registers[MODE1] &= 0x7f
  }

  /** EXTCLK stays until the power goes; falling asleep while channels run leaves RESTART set. */
  private setMode(byte: number): void {
    const { registers } = this
    const runs = !this.isAsleep && Array.from({ length: 16 }, (_, n) => this.count(n)).some((count) => count > 0)
    if ((byte & 0x10) !== 0 && runs) this.interrupted++
    const restart = (byte & 0x10) !== 0 && runs ? 0x80 : registers[MODE1] & 0x80 & ~byte
    registers[MODE1] = (byte & 0x7f) | restart | (registers[MODE1] & 0x40)
  }
}
