import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'

/** Registers of one port in the order of Table 3-1, where IOCON is one for both. */
const IODIR = 0
const GPINTEN = 2
const IOCON = 5
const GPPU = 6
const GPIO = 9
const OLAT = 10
const NAMES = 11

/** An MCP23017 as DS20001952 tells it: both register orders, sequential and byte mode, pull-ups, and one interrupt for both. */
export class Mcp23017Chip implements SimulatedChip {
  /** By port and name. */
  private readonly registers = [new Uint8Array(NAMES), new Uint8Array(NAMES)]
  private pointer = 0
  /** Levels that the world drives, and pins that it drives at all. */
  private driven = 0
  private isDriven = 0
  private noticed = 0
  /** What outputs were after each byte, for rules of order. */
  readonly history: number[] = []
  /** Its INT output, low when active. */
  onInterrupt: (isActive: boolean) => void = () => {}
  /** Bytes of all writes, as hexadecimal text. */
  readonly written: string[] = []

  constructor() {
    this.powerOn()
  }

  powerOn(): void {
    for (const port of this.registers) {
      port.fill(0)
      port[IODIR] = 0xff
    }
    this.pointer = 0
    this.note()
  }

  /** As another program left it. */
  setControl(iocon: number): void {
    this.registers[0][IOCON] = iocon
  }

  drive(pin: number, isHigh: boolean): void {
    this.isDriven |= 1 << pin
    this.driven = isHigh ? this.driven | (1 << pin) : this.driven & ~(1 << pin)
    if (((this.levels ^ this.noticed) & this.both(GPINTEN)) !== 0) this.onInterrupt(true)
  }

  /** Of all pins, port A in the low byte; an input that hangs free is low. */
  get levels(): number {
    const inputs = this.both(IODIR)
    const pulled = (this.driven & this.isDriven) | (this.both(GPPU) & ~this.isDriven)
    return (pulled & inputs) | (this.both(OLAT) & ~inputs)
  }

  get inputs(): number {
    return this.both(IODIR)
  }

  get control(): number {
    return this.registers[0][IOCON]
  }

  write(bytes: Uint8Array): void {
    this.written.push(Buffer.from(bytes).toString('hex'))
    this.pointer = bytes[0]
    for (const byte of bytes.subarray(1)) {
      const place = this.placeOf(this.pointer)
      if (place !== undefined) {
        const [port, name] = place
        if (name === IOCON) this.setControl(byte)
        else this.registers[port][name === GPIO ? OLAT : name] = byte
      }
      this.step()
      this.note()
    }
  }

  read(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => {
      const [port, name] = this.placeOf(this.pointer) ?? [0, -1]
      this.step()
      if (name === GPIO) {
        this.noticed = this.levels
        this.onInterrupt(false)
        return (this.levels >> (8 * port)) & 0xff
      }
      return name === IOCON ? this.control : name < 0 ? 0 : this.registers[port][name]
    })
  }

  private note(): void {
    this.history.push(this.levels & ~this.inputs)
  }

  private both(name: number): number {
    return this.registers[0][name] | (this.registers[1][name] << 8)
  }

  private placeOf(address: number): [port: number, name: number] | undefined {
    const isBanked = (this.control & 0x80) !== 0
    const port = isBanked ? address >> 4 : address & 1
    const name = isBanked ? address & 0x0f : address >> 1
    return port < 2 && name < NAMES ? [port, name] : undefined
  }

  /** §3.2.1: with SEQOP set, the pointer stays, or goes to and fro between the two ports. */
  private step(): void {
    const isBanked = (this.control & 0x80) !== 0
    if ((this.control & 0x20) === 0) this.pointer = (this.pointer + 1) % 22
    else if (!isBanked) this.pointer ^= 1
  }
}
