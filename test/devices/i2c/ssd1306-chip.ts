import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'

/** Bytes that follow a command, by the table of the data sheet. */
const ARGUMENTS: Readonly<Record<number, number>> = {
  32: 1,
  33: 2,
  34: 2,
  129: 1,
  141: 1,
  168: 1,
  211: 1,
  213: 1,
  217: 1,
  218: 1,
  219: 1,
}

/** An SSD1306: commands and pixels as they come over I2C, in horizontal addressing mode. */
export class Ssd1306Chip implements SimulatedChip {
  readonly memory = new Uint8Array(1024)
  /** What was said last, by command. */
  readonly settings = new Map<number, readonly number[]>()
  isOn = false
  isInverse = false
  /** Bytes of pixels so far. */
  drawn = 0
  /** Copies of the chip answer what they like. */
  status: (() => number) | undefined
  private column = { at: 0, first: 0, last: 127 }
  private page = { at: 0, first: 0, last: 7 }

  powerOn(): void {
    this.isOn = false
    this.settings.clear()
    this.memory.fill(0x5a)
  }

  write(bytes: Uint8Array): void {
    const [control, ...rest] = bytes
    if (control === 0x40) for (const byte of rest) this.draw(byte)
    else if (control === 0x00) this.command(rest)
    else throw new Error(`control byte ${control}`)
  }

  read(count: number): Uint8Array {
    return new Uint8Array(count).fill(this.status?.() ?? (this.isOn ? 0x03 : 0x43))
  }

  /** Rows of a part of the memory, `#` for lit ones. */
  art(left: number, width: number, page: number): string[] {
    return Array.from({ length: 8 }, (_, y) =>
      Array.from({ length: width }, (_, x) => (this.memory[page * 128 + left + x] & (1 << y) ? '#' : '.')).join(''),
    )
  }

  private command(bytes: readonly number[]): void {
    for (let at = 0; at < bytes.length; ) {
      const code = bytes[at]
      const count = ARGUMENTS[code] ?? 0
      const given = bytes.slice(at + 1, at + 1 + count)
      if (given.length < count) throw new Error(`command ${code.toString(16)} lacks its arguments`)
      this.settings.set(code, given)
      if (code === 0x21) this.column = { at: given[0], first: given[0], last: given[1] }
      if (code === 0x22) this.page = { at: given[0], first: given[0], last: given[1] }
      if (code === 0xae || code === 0xaf) this.isOn = code === 0xaf
      if (code === 0xa6 || code === 0xa7) this.isInverse = code === 0xa7
      at += 1 + count
    }
  }

  private draw(byte: number): void {
    const { column, page } = this
    this.drawn++
    this.memory[page.at * 128 + column.at] = byte
    if (column.at++ < column.last) return
    column.at = column.first
    page.at = page.at < page.last ? page.at + 1 : page.first
  }
}
