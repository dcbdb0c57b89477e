import { I2cError } from '../../../devices/i2c/bus.ts'
import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'
import type { Clock } from '../../../runtime/router/clock.ts'

/** Words with their checksums: the remainder of (word ^ ff00) · x^8 by x^8 + x^5 + x^4 + 1. */
function withChecksums(words: readonly number[]): number[] {
  return words.flatMap((word) => {
    let rest = (word ^ 0xff00) << 8
    for (let bit = 23; bit >= 8; bit--) if (rest & (1 << bit)) rest ^= 0x131 << (bit - 8)
    return [word >> 8, word & 0xff, rest]
  })
}

/** What the two families have in common: a result is there after some time, and until then, or without one, no chip answers. */
abstract class SensirionChip implements SimulatedChip {
  /** 25 °C: 175 · 0.4 - 45. */
  temperature = 0x6666
  /** 0.6 of the scale. */
  humidity = 0x9999
  /** Bits that are turned over on the way. */
  noise = 0
  /** Every command, in order. */
  readonly commands: number[] = []
  private readonly clock: Clock
  private result: number[] = []
  private readyAt = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  abstract write(bytes: Uint8Array): void

  read(count: number): Uint8Array {
    if (this.result.length === 0 || this.clock.now() < this.readyAt) throw notAcknowledged()
    const bytes = Uint8Array.from(this.result.slice(0, count))
    bytes[count - 2] ^= this.noise
    this.result = []
    return bytes
  }

  protected answer(words: readonly number[], ms: number): void {
    this.result = withChecksums(words)
    this.readyAt = this.clock.now() + ms
  }
}

function notAcknowledged(): I2cError {
  return new I2cError('absent', 'no chip answers')
}

/** An SHT31 by its data sheet, left heating and measuring by itself by somebody before. */
export class Sht3xChip extends SensirionChip {
  isHeating = true
  private isPeriodic = true

  write(bytes: Uint8Array): void {
    const command = bytes[0] * 0x100 + bytes[1]
    this.commands.push(command)
    if (command === 0x3093) this.isPeriodic = false
    else if (this.isPeriodic) throw notAcknowledged()
    else if (command === 0x30a2) this.isHeating = false
    else if (command === 0xf32d) this.answer([this.isHeating ? 0xa010 : 0x8010], 0)
    else if (command === 0x2400) this.answer([this.temperature, this.humidity], 15)
    else if (command === 0x240b) this.answer([this.temperature, this.humidity], 6)
    else if (command === 0x2416) this.answer([this.temperature, this.humidity], 4)
    else throw notAcknowledged()
  }
}

/** An SHT40 by its data sheet. */
export class Sht4xChip extends SensirionChip {
  write(bytes: Uint8Array): void {
    const [command] = bytes
    this.commands.push(command)
    if (command === 0x94) return
    if (command === 0x89) this.answer([0x1234, 0xabcd], 0)
    else if (command === 0xfd) this.answer([this.temperature, this.humidity], 8.3)
    else if (command === 0xf6) this.answer([this.temperature, this.humidity], 4.5)
    else if (command === 0xe0) this.answer([this.temperature, this.humidity], 1.6)
    else throw notAcknowledged()
  }
}

/** An SCD41 by its data sheet, left measuring by somebody before. */
export class Scd4xChip implements SimulatedChip {
  ppm = 800
  isMeasuring = true
  /** Words of settings, by command. */
  readonly settings = new Map<number, number>()
  private readonly clock: Clock
  private answer: number[] = []
  private freshAt = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  write(bytes: Uint8Array): void {
    const command = bytes[0] * 0x100 + bytes[1]
    if (command === 0x3f86) this.isMeasuring = false
    else if (command === 0xe4b8) this.answer = withChecksums([this.isFresh ? 0x8006 : 0x8000])
    else if (command === 0xec05) this.measured()
    else if (this.isMeasuring) throw notAcknowledged()
    else if (command === 0x3682) this.answer = withChecksums([0xf896, 0x9f07, 0x3bbe])
    else if (command === 0x21b1) this.begin()
    else this.set(command, bytes.subarray(2))
  }

  read(count: number): Uint8Array {
    if (this.answer.length === 0) throw notAcknowledged()
    return Uint8Array.from(this.answer.slice(0, count))
  }

  private get isFresh(): boolean {
    return this.isMeasuring && this.clock.now() >= this.freshAt
  }

  private begin(): void {
    this.isMeasuring = true
    this.freshAt = this.clock.now() + 5000
  }

  private measured(): void {
    if (!this.isFresh) throw notAcknowledged()
    this.freshAt = this.clock.now() + 5000
    // The data sheet's example: 6667 is 25 °C, 5eb9 is 37 %.
    this.answer = withChecksums([this.ppm, 0x6667, 0x5eb9])
  }

  private set(command: number, bytes: Uint8Array): void {
    const [high, low, checksum] = bytes
    const word = high * 0x100 + low
    if (withChecksums([word])[2] !== checksum) throw notAcknowledged()
    this.settings.set(command, word)
  }
}

/** An AHT20 by its data sheet, after power-up. */
export class Aht20Chip implements SimulatedChip {
  isCalibrated = false
  /** 0.5 of the scale. */
  humidity = 0x80000
  /** 25 °C: 200 · 0.375 - 50. */
  temperature = 0x60000
  /** Bits that are turned over on the way. */
  noise = 0
  private readonly clock: Clock
  private pointer = 0
  private readyAt = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  write(bytes: Uint8Array): void {
    this.pointer = bytes[0]
    if (bytes[0] === 0xbe && bytes[1] === 0x08) this.isCalibrated = true
    if (bytes[0] === 0xac && bytes[1] === 0x33) this.readyAt = this.clock.now() + 80
  }

  read(count: number): Uint8Array {
    const status = (this.clock.now() < this.readyAt ? 0x80 : 0) | 0x10 | (this.isCalibrated ? 0x08 : 0)
    if (this.pointer === 0x71) return Uint8Array.of(status).subarray(0, count)
    const { humidity, temperature } = this
    const bytes = [
      status,
      humidity >> 12,
      (humidity >> 4) & 0xff,
      ((humidity & 0x0f) << 4) | (temperature >> 16),
      (temperature >> 8) & 0xff,
      temperature & 0xff,
    ]
    return Uint8Array.of(...bytes, crcOf(bytes) ^ this.noise).subarray(0, count)
  }
}

/** CRC-8 of any number of bytes: the remainder, as above. */
function crcOf([first, ...others]: readonly number[]): number {
  const bytes = [first ^ 0xff, ...others, 0]
  let rest = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  for (let bit = 8n * BigInt(bytes.length) - 1n; bit >= 8n; bit--) {
    if ((rest >> bit) & 1n) rest ^= 0x131n << (bit - 8n)
  }
  return Number(rest)
}
