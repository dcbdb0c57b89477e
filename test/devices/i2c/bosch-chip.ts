import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'
import type { Clock } from '../../../runtime/router/clock.ts'

export interface BoschParts {
  identity: number
  /** dig_T1…3 and dig_P1…9, each 16 bits. */
  trim: readonly number[]
  /** dig_H1…6; none: a BMP280. */
  humidityTrim?: readonly number[]
  /** What the converters say. */
  temperature: number
  pressure: number
  humidity?: number
}

/**
 * A BME280 or BMP280 by its data sheet: bytes are written as pairs of register and value, reading moves on; a measurement
 * takes 8 ms, the oversampling of the humidity counts from the next write to f4 on, and 0 skips a quantity.
 */
export class BoschChip implements SimulatedChip {
  readonly registers = new Uint8Array(256)
  readonly parts: BoschParts
  private readonly clock: Clock
  private at = 0
  private doneAt = 0

  constructor(clock: Clock, parts: BoschParts) {
    this.clock = clock
    this.parts = parts
    this.reset()
  }

  /** As after the supply was off. */
  reset(): void {
    const { registers, parts } = this
    registers.fill(0)
    registers[0xd0] = parts.identity
    for (const [i, word] of parts.trim.entries()) registers.set([word & 0xff, (word >> 8) & 0xff], 0x88 + 2 * i)
    const [h1, h2, h3, h4, h5, h6] = parts.humidityTrim ?? [0, 0, 0, 0, 0, 0]
    registers[0xa1] = h1
    const shared = (h4 & 0x0f) | ((h5 & 0x0f) << 4)
    registers.set([h2 & 0xff, (h2 >> 8) & 0xff, h3, (h4 >> 4) & 0xff, shared, (h5 >> 4) & 0xff, h6 & 0xff], 0xe1)
    this.fill(0x80000, 0x80000, 0x8000)
  }

  write(bytes: Uint8Array): void {
    this.at = bytes[0]
    for (let i = 0; i + 1 < bytes.length; i += 2) this.put(bytes[i], bytes[i + 1])
  }

  read(count: number): Uint8Array {
    const isMeasuring = this.clock.now() < this.doneAt
    this.registers[0xf3] = isMeasuring ? 0x08 : 0
    return this.registers.slice(this.at, this.at + count)
  }

  private put(register: number, value: number): void {
    if (register === 0xe0 && value === 0xb6) this.reset()
    else this.registers[register] = value
    if (register !== 0xf4 || (value & 0x03) === 0) return
    this.doneAt = this.clock.now() + 8
    const { temperature, pressure, humidity = 0x8000 } = this.parts
    const times = this.registers[0xf2] & 0x07
    this.fill(
      value >> 5 ? temperature : 0x80000,
      (value >> 2) & 0x07 ? pressure : 0x80000,
      times > 0 ? humidity : 0x8000,
    )
  }

  private fill(temperature: number, pressure: number, humidity: number): void {
    const three = (raw: number) => [raw >> 12, (raw >> 4) & 0xff, (raw << 4) & 0xff]
    this.registers.set([...three(pressure), ...three(temperature), humidity >> 8, humidity & 0xff], 0xf7)
  }
}
