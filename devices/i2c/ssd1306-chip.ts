import type { I2cChip } from './chip.ts'

/** What follows the address in a transfer: commands, or data. Data sheet §8.1.5.2. */
const COMMANDS = 0x00
const DATA = 0x40

const COLUMN_RANGE = 0x21
const PAGE_RANGE = 0x22
const CONTRAST = 0x81
const NORMAL = 0xa6
const INVERSE = 0xa7
const OFF = 0xae
const ON = 0xaf
/** In the status byte. */
const IS_OFF = 0x40

export const WIDTH = 128

export interface Ssd1306Settings {
  /** Rows of 8 pixels: 4 or 8. */
  readonly pages: number
  readonly isTurned: boolean
}

export interface Ssd1306Look {
  readonly contrast: number
  readonly isInverse: boolean
  readonly isOn: boolean
}

/**
 * Solomon Systech SSD1306, data sheet rev. 1.1: commands in §9, charge pump in its application note. A page is a row of
 * 128 bytes, each 8 pixels from top to bottom. All methods reject with an I2cError.
 */
export class Ssd1306 {
  readonly pages: number
  private readonly chip: I2cChip
  private readonly isTurned: boolean
  /** Some copies of the chip tell no status. */
  private hasStatus = false

  constructor(chip: I2cChip, { pages, isTurned }: Ssd1306Settings) {
    this.chip = chip
    this.pages = pages
    this.isTurned = isTurned
  }

  /** Leaves it off, with whatever its memory holds. */
  async setUp(): Promise<void> {
    await this.chip.write(COMMANDS, ...this.setUpCommands)
  }

  async show(look: Ssd1306Look): Promise<void> {
    await this.chip.write(COMMANDS, ...lookCommands(look))
    if (look.isOn) this.hasStatus = !(await this.isOff())
  }

  /** One stretch of a page. */
  async draw(page: number, left: number, pixels: Uint8Array): Promise<void> {
    const right = left + pixels.length - 1
    await this.chip.write(COMMANDS, COLUMN_RANGE, left, right, PAGE_RANGE, page, page)
    await this.chip.write(DATA, ...pixels)
  }

  /** False: it is off although it was told to be on, as after a loss of its supply. */
  async isIntact({ isOn }: Ssd1306Look): Promise<boolean> {
    const isOff = await this.isOff()
    return !(this.hasStatus && isOn && isOff)
  }

  /** For the guard: a picture, or darkness. */
  writesFor(frame: Uint8Array | undefined): readonly Uint8Array[] {
    if (frame === undefined) return [Uint8Array.of(COMMANDS, OFF)]
    return [
      Uint8Array.of(COMMANDS, COLUMN_RANGE, 0, WIDTH - 1, PAGE_RANGE, 0, this.pages - 1),
      Uint8Array.of(DATA, ...frame),
      Uint8Array.of(COMMANDS, ON),
    ]
  }

  private async isOff(): Promise<boolean> {
    return ((await this.chip.read(1))[0] & IS_OFF) !== 0
  }

  private get setUpCommands(): number[] {
    const rows = this.pages * 8
    return [
      OFF,
      // Clock, rows of the glass, no offset, first line.
      ...[0xd5, 0x80, 0xa8, rows - 1, 0xd3, 0x00, 0x40],
      // Charge pump on; addresses run along a page and then to the next one.
      ...[0x8d, 0x14, 0x20, 0x00],
      // Most glasses are wired so that both directions are to be reversed.
      ...(this.isTurned ? [0xa0, 0xc0] : [0xa1, 0xc8]),
      // How the rows are wired, pre-charge, level at which they are let go; the memory is shown.
      ...[0xda, rows === 64 ? 0x12 : 0x02, 0xd9, 0xf1, 0xdb, 0x40, 0xa4],
    ]
  }
}

function lookCommands({ contrast, isInverse, isOn }: Ssd1306Look): number[] {
  return [CONTRAST, contrast, isInverse ? INVERSE : NORMAL, isOn ? ON : OFF]
}
