import { hexAddress } from './bus.ts'
import type { I2cChip } from './chip.ts'

const MODE1 = 0x00
const MODE2 = 0x01
const LED0 = 0x06
const ALL_LED_OFF_H = 0xfd
const PRE_SCALE = 0xfe
/** MODE1. ALLCALL is off: the chip does not answer at 0x70. */
const EXTERNAL_CLOCK = 0x40
const AUTO_INCREMENT = 0x20
const SLEEP = 0x10
/** MODE2. */
const INVERT = 0x10
const PUSH_PULL = 0x04
/** Of LEDn_ON_H and LEDn_OFF_H: always on, always off. */
const FULL = 0x10

const CHANNELS_AT_ONCE = 8

export const CHANNELS = 16
export const STEPS = 4096

/** PRE_SCALE for a frequency: round(oscillator / (4096 · f)) − 1, at least 3. §7.3.5. */
export function prescale(hz: number, oscillatorHz: number): number {
  return Math.min(255, Math.max(3, Math.round(oscillatorHz / (STEPS * hz)) - 1))
}

export interface Pca9685Settings {
  readonly prescale: number
  readonly isInverted: boolean
  readonly isOpenDrain: boolean
}

/**
 * NXP PCA9685, product data sheet rev. 4: registers in §7.3. Sixteen channels, each on for so many of 4096 steps of the
 * period. All methods reject with an I2cError.
 */
export class Pca9685 {
  private readonly chip: I2cChip
  private readonly settings: Pca9685Settings

  constructor(chip: I2cChip, settings: Pca9685Settings) {
    this.chip = chip
    this.settings = settings
  }

  async setUp(counts: readonly number[]): Promise<void> {
    const { isInverted, isOpenDrain } = this.settings
    // An orderly end of what runs, so that nothing waits for a restart; the prescaler can be set only while it sleeps.
    await this.chip.write(ALL_LED_OFF_H, FULL)
    await this.chip.write(MODE1, AUTO_INCREMENT | SLEEP)
    await this.chip.write(PRE_SCALE, this.settings.prescale)
    await this.chip.write(MODE2, (isInverted ? INVERT : 0) | (isOpenDrain ? 0 : PUSH_PULL))
    // Before it wakes up: in the 500 µs after that access would disturb what they do.
    await this.write(0, counts)
    await this.chip.write(MODE1, AUTO_INCREMENT)
    if ((await this.chip.readByte(MODE1)) & EXTERNAL_CLOCK) {
      throw new Error(`${this.place} waits for an external clock, which only a loss of its supply ends: switch it off`)
    }
    if (!(await this.isIntact())) {
      throw new Error(`${this.place} keeps nothing of what it is told: is it a PCA9685?`)
    }
  }

  /** Sets neighbours, from `first` on. */
  async write(first: number, counts: readonly number[]): Promise<void> {
    for (const bytes of channelWrites(first, counts)) await this.chip.write(...bytes)
  }

  /** False: it has forgotten what it was told, as after a loss of its supply. */
  async isIntact(): Promise<boolean> {
    const mode1 = await this.chip.readByte(MODE1)
    return mode1 === AUTO_INCREMENT && (await this.chip.readByte(PRE_SCALE)) === this.settings.prescale
  }

  writesFor(counts: readonly number[]): readonly Uint8Array[] {
    return channelWrites(0, counts).map((bytes) => Uint8Array.from(bytes))
  }

  private get place(): string {
    return `the chip at ${hexAddress(this.chip.address)} of the I2C bus ${this.chip.bus.name}`
  }
}

/** Neighbours in as many bytes as adapters take that know SMBus only. */
function channelWrites(first: number, counts: readonly number[]): number[][] {
  const writes: number[][] = []
  for (let at = 0; at < counts.length; at += CHANNELS_AT_ONCE) {
    writes.push([LED0 + 4 * (first + at), ...counts.slice(at, at + CHANNELS_AT_ONCE).flatMap(channelBytes)])
  }
  return writes
}

/** LEDn_ON and LEDn_OFF, low bytes first. 0 is always off, 4096 always on. */
function channelBytes(count: number): number[] {
  if (count <= 0) return [0, 0, 0, FULL]
  if (count >= STEPS) return [0, FULL, 0, 0]
  return [0, 0, count & 0xff, count >> 8]
}
