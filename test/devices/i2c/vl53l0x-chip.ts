import type { SimulatedChip } from '../../../devices/i2c/simulated-i2c.ts'
import type { Clock } from '../../../runtime/router/clock.ts'

const STOP = 0x3c
/** Reference SPADs that the factory found good. */
const GOOD_SPADS = [0xff, 0xef, 0xff, 0xdf, 0xff, 0x0f]

/**
 * A VL53L0X as ST's API treats it. It measures only after all of its start-up: stop variable, SPADs, tuning, both
 * calibrations; without, its status is 0.
 */
export class Vl53l0xChip implements SimulatedChip {
  /** What is in front of it: the status of the chip, and the distance in mm. */
  target = { status: 11, mm: 1000 }
  isCalibrationStuck = false
  measurements = 0
  private readonly clock: Clock
  private readonly isAperture: boolean
  private pages = new Map<number, Uint8Array>()
  private page = 0
  private at = 0
  private calibrated = 0
  private interruptAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock, { isAperture = true } = {}) {
    this.clock = clock
    this.isAperture = isAperture
    this.breakDown()
  }

  /** Its supply was away. */
  breakDown(): void {
    this.pages = new Map()
    this.page = 0
    this.calibrated = 0
    this.interruptAt = Number.POSITIVE_INFINITY
    const start = this.registers(0)
    start.set([0xee, 0xaa, 0x10], 0xc0)
    start.set([0x00, 0x99], 0x51)
    start.set(GOOD_SPADS, 0xb0)
    start.set([0x10], 0x84)
    this.registers(1).set([0x01], 0x00)
  }

  registers(page: number): Uint8Array {
    const registers = this.pages.get(page) ?? new Uint8Array(256)
    this.pages.set(page, registers)
    return registers
  }

  write(bytes: Uint8Array): void {
    this.at = bytes[0]
    for (const byte of bytes.subarray(1)) this.store(this.at++ & 0xff, byte)
  }

  read(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.load(this.at++ & 0xff))
  }

  private store(register: number, byte: number): void {
    if (register === 0xff) {
      this.page = byte
      return
    }
    const { page } = this
    if (page === 7 && register === 0x83 && byte === 0) {
      const isAsked = this.registers(7)[0x94] === 0x6b && (this.registers(6)[0x83] & 0x04) !== 0
      this.registers(7)[0x83] = isAsked && this.registers(7)[0x81] === 1 ? 0x10 : 0
      this.registers(7)[0x92] = this.isAperture ? 0x85 : 0x03
      return
    }
    this.registers(page)[register] = byte
    if (page !== 0) return
    if (register === 0x0b) this.interruptAt = Number.POSITIVE_INFINITY
    if (register === 0x00 && (byte & 0x01) !== 0) this.start(byte)
  }

  private start(byte: number): void {
    const sequence = this.registers(0)[0x01]
    if (sequence === 0x01 && byte === 0x41) this.calibrated |= 1
    if (sequence === 0x02 && byte === 0x01) this.calibrated |= 2
    if (sequence !== 0xe8) {
      if (!this.isCalibrationStuck) this.interruptAt = this.clock.now()
      return
    }
    this.measurements++
    const { status, mm } = this.isReady ? this.target : { status: 0, mm: 0 }
    this.registers(0).set([status << 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, mm >> 8, mm & 0xff], 0x14)
    this.interruptAt = this.clock.now() + 31
  }

  private get isReady(): boolean {
    const outer = this.registers(0)
    const inner = this.registers(1)
    const isTuned = inner[0x20] === 0x1a && inner[0x0d] === 0x01 && outer[0x78] === 0x21 && outer[0x66] === 0xa0
    return isTuned && this.calibrated === 3 && inner[0x91] === STOP && inner[0x4e] === 0x2c
  }

  private load(register: number): number {
    if (register === 0xff) return this.page
    const inner = this.registers(1)
    if (this.page === 0 && register === 0x13) return this.clock.now() >= this.interruptAt ? 0x44 : 0x40
    const isOpen = this.registers(0)[0x80] === 1 && inner[0x00] === 0
    if (this.page === 1 && register === 0x91) return isOpen ? STOP : 0
    return this.registers(this.page)[register]
  }
}
