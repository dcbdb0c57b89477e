import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'
import type { Clock } from '../../../runtime/router/clock.ts'

const AFTER_POWER_UP = 0x8583
/** By bits 14…12: the pins of both sides. */
const PINS = [
  [0, 1],
  [0, 3],
  [1, 3],
  [2, 3],
  [0, null],
  [1, null],
  [2, null],
  [3, null],
] as const
/** Volts of the last bit by bits 11…9, SBAS444, full-scale range and LSB size. */
const LSB_V = [187.5e-6, 125e-6, 62.5e-6, 31.25e-6, 15.625e-6, 7.8125e-6, 7.8125e-6, 7.8125e-6]
const RATES_16_BITS_HZ = [8, 16, 32, 64, 128, 250, 475, 860]
const RATES_12_BITS_HZ = [128, 250, 490, 920, 1600, 2400, 3300, 3300]

/** An ADS1115, or ADS1015 with 12 bits: starts on bit 15, takes its time, and shows the result until the next one. */
export class Ads1115Chip implements SimulatedChip {
  /** At A0…A3, V. */
  readonly pins = [0, 0, 0, 0]
  /** Every configuration that started a conversion. */
  readonly started: number[] = []
  /** Conversions take so many times as long as their rate says. */
  slowness = 1
  private readonly clock: Clock
  private readonly bits: 16 | 12
  private pointer = 0
  private configuration = AFTER_POWER_UP & 0x7fff
  private conversion = 0
  private readyAt = 0

  constructor(clock: Clock, bits: 16 | 12 = 16) {
    this.clock = clock
    this.bits = bits
  }

  /** Its supply was away. */
  breakDown(): void {
    this.configuration = AFTER_POWER_UP & 0x7fff
    this.conversion = 0
    this.readyAt = 0
  }

  write(bytes: Uint8Array): void {
    this.pointer = bytes[0]
    if (bytes.length < 3 || this.pointer !== 1) return
    const word = (bytes[1] << 8) | bytes[2]
    this.configuration = word & 0x7fff
    if (word < 0x8000) return
    this.started.push(word)
    const rates = this.bits === 16 ? RATES_16_BITS_HZ : RATES_12_BITS_HZ
    this.readyAt = this.clock.now() + (this.slowness * 1000) / rates[(word >> 5) & 7]
    const [plus, minus] = PINS[(word >> 12) & 7]
    const volts = this.pins[plus] - (minus === null ? 0 : this.pins[minus])
    const code = Math.min(0x7fff, Math.max(-0x8000, Math.round(volts / LSB_V[(word >> 9) & 7])))
    this.conversion = this.bits === 16 ? code : code & 0xfff0
  }

  read(count: number): Uint8Array {
    const isReady = this.clock.now() >= this.readyAt
    const word = this.pointer === 1 ? this.configuration | (isReady ? 0x8000 : 0) : isReady ? this.conversion : 0
    return Uint8Array.of((word >> 8) & 0xff, word & 0xff).subarray(0, count)
  }
}
