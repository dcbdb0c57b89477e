import { choice, flag, required } from '../options.ts'
import { type I2cChip, u16le } from './chip.ts'
import { expanderKind } from './expander-kind.ts'
import type { ExpanderPort, PortLayout } from './expander-port.ts'

const PINS = ['A', 'B'].flatMap((port) => Array.from({ length: 8 }, (_, n) => `${port}${n}`))

/** With IOCON.BANK = 0: those of port A, which those of port B follow. Table 3-5. */
const IODIR = 0x00
const GPINTENB = 0x05
const IOCON = 0x0a
const GPIO = 0x12
const OLAT = 0x14
/** From IODIRA to GPPUB. */
const SETTINGS_LENGTH = 14
/** INTA and INTB are one, and open-drain: several chips can share a line. */
const MIRROR_AND_OPEN_DRAIN = 0x44

/**
 * Microchip MCP23017, data sheet DS20001952: registers in §3.5. Two ports of 8 pins; levels have port A in their low byte.
 * An output gives or takes 25 mA. Since its revision D (2022) the data sheet has GPA7 and GPB7 as outputs only: when they
 * change as inputs during a read, SDA may be disturbed.
 */
class Mcp23017 implements ExpanderPort {
  private readonly chip: I2cChip
  private readonly layout: PortLayout

  constructor(chip: I2cChip, layout: PortLayout) {
    this.chip = chip
    this.layout = layout
  }

  async latched(): Promise<{ outputs: number; levels: number }> {
    await this.orderRegisters()
    const inputs = u16le(await this.chip.readFrom(IODIR, 2))
    return { outputs: ~inputs & 0xffff, levels: u16le(await this.chip.readFrom(OLAT, 2)) }
  }

  async setUp(levels: number): Promise<void> {
    await this.orderRegisters()
    await this.write(levels)
    // Directions come last: until then new outputs are inputs.
    await this.chip.write(IODIR + 2, ...this.settings.slice(2))
    await this.chip.write(IODIR, ...this.settings.slice(0, 2))
  }

  async write(levels: number): Promise<void> {
    await this.chip.write(...latchWrite(levels & this.layout.outputs))
  }

  async read(): Promise<number> {
    return u16le(await this.chip.readFrom(GPIO, 2))
  }

  async isIntact(levels: number): Promise<boolean> {
    const settings = await this.chip.readFrom(IODIR, SETTINGS_LENGTH)
    const latch = u16le(await this.chip.readFrom(OLAT, 2))
    return latch === (levels & this.layout.outputs) && this.settings.every((byte, at) => byte === settings[at])
  }

  writesFor(levels: number): readonly Uint8Array[] {
    const directions = this.settings.slice(0, 2)
    return [Uint8Array.from(latchWrite(levels & this.layout.outputs)), Uint8Array.from([IODIR, ...directions])]
  }

  /** Another program may have left BANK = 1, where IOCON has the number of GPINTENB, or SEQOP = 1. */
  private async orderRegisters(): Promise<void> {
    await this.chip.write(GPINTENB, 0)
    await this.chip.write(IOCON, MIRROR_AND_OPEN_DRAIN)
  }

  private get settings(): number[] {
    const { outputs, inputs, pullUps, hasInterrupt } = this.layout
    const directions = ~outputs & 0xffff
    const noticed = hasInterrupt ? inputs : 0
    // IODIR, IPOL, GPINTEN, DEFVAL, INTCON (0: any change counts), IOCON, GPPU.
    return [
      ...[directions, 0, noticed, 0, 0].flatMap(bytesOf),
      MIRROR_AND_OPEN_DRAIN,
      MIRROR_AND_OPEN_DRAIN,
      ...bytesOf(pullUps),
    ]
  }
}

function latchWrite(levels: number): number[] {
  return [OLAT, ...bytesOf(levels)]
}

function bytesOf(mask: number): number[] {
  return [mask & 0xff, mask >> 8]
}

export const mcp23017 = expanderKind({
  kind: 'mcp23017',
  description: 'An MCP23017: 16 inputs and outputs on the I2C bus.',
  addresses: [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27],
  pin: required(choice('A0…A7 or B0…B7; A7 and B7 as outputs only: as inputs they may disturb the bus.', 'A0', PINS)),
  bitOf: (pin) => 1 << PINS.indexOf(pin),
  isActiveLow: false,
  extraColumns: { pullUp: flag('Pull resistor of an input, 100 kΩ to the supply.', false) },
  port: (chip, layout) => new Mcp23017(chip, layout),
})
