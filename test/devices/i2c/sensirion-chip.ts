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
