import { required, whole } from '../options.ts'
import type { I2cChip } from './chip.ts'
import { expanderKind } from './expander-kind.ts'
import type { ExpanderPort, PortLayout } from './expander-port.ts'

/**
 * NXP PCF8574 and PCF8574A, product data sheet: 8 quasi-bidirectional pins and no registers. A pin at 0 is pulled down
 * with up to 25 mA; at 1 it is held up by 100 µA only, and can be read as an input. After power-on all are at 1.
 */
class Pcf8574 implements ExpanderPort {
  private readonly chip: I2cChip
  private readonly layout: PortLayout

  constructor(chip: I2cChip, layout: PortLayout) {
    this.chip = chip
    this.layout = layout
  }

  /** Of the pins, for what was written cannot be read. */
  async latched(): Promise<{ outputs: number; levels: number }> {
    return { outputs: 0xff, levels: await this.read() }
  }

  setUp(levels: number): Promise<void> {
    return this.write(levels)
  }

  async write(levels: number): Promise<void> {
    await this.chip.write(this.byteFor(levels))
  }

  async read(): Promise<number> {
    return (await this.chip.read(1))[0]
  }

  /** An output that is to be low is high after a loss of the supply. Where none is low, nothing was lost. */
  async isIntact(levels: number): Promise<boolean> {
    return ((await this.read()) & ~levels & this.layout.outputs) === 0
  }

  writesFor(levels: number): readonly Uint8Array[] {
    return [Uint8Array.of(this.byteFor(levels))]
  }

  private byteFor(levels: number): number {
    return (levels & this.layout.outputs) | (~this.layout.outputs & 0xff)
  }
}

export const pcf8574 = expanderKind({
  kind: 'pcf8574',
  description: 'A PCF8574 or PCF8574A: 8 inputs and outputs on the I2C bus.',
  addresses: [...[0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27], ...[0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f]],
  pin: required(whole('Number of the pin: 3 is P3.', 0, { min: 0, max: 7 })),
  bitOf: (pin) => 1 << pin,
  // Loads hang on the supply, for a pin at 1 gives next to nothing.
  isActiveLow: true,
  extraColumns: {},
  port: (chip, layout) => new Pcf8574(chip, layout),
})
