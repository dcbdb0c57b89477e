import type { Plain } from '../device.ts'
import type { ModbusLink } from './modbus-link.ts'
import { READ_FUNCTION, WRITE_COIL, WRITE_REGISTERS } from './modbus-pdu.ts'
import { encodeRegister, type Register } from './modbus-registers.ts'

/** Modbus slaves in software: they have the registers of a table, and hold what was written to them. */
export class SimulatedSlaves implements ModbusLink {
  /** By slave, area and number; what is missing is 0. */
  private readonly contents = new Map<string, number>()

  constructor(rows: readonly Register[]) {
    for (const row of rows) this.hold(row, Math.min(row.max ?? Number.POSITIVE_INFINITY, Math.max(row.min ?? 0, 0)))
  }

  /** From now on that is what the register holds. */
  hold(row: Register, value: Plain): void {
    const { slave, area, register } = row
    const words = encodeRegister(row, value, [this.word(slave, READ_FUNCTION[area], register)])
    words.forEach((word, at) => {
      this.contents.set(key(slave, READ_FUNCTION[area], register + at), word)
    })
  }

  async request(slave: number, pdu: Uint8Array): Promise<Uint8Array> {
    const view = new DataView(pdu.buffer, pdu.byteOffset, pdu.length)
    const code = pdu[0]
    const first = view.getUint16(1)
    const second = view.getUint16(3)
    if (code === WRITE_COIL) this.contents.set(key(slave, READ_FUNCTION.coil, first), second === 0 ? 0 : 1)
    else if (code === WRITE_REGISTERS) {
      for (let at = 0; at < second; at++) {
        this.contents.set(key(slave, READ_FUNCTION.holding, first + at), view.getUint16(6 + 2 * at))
      }
    } else if (code > WRITE_COIL) this.contents.set(key(slave, READ_FUNCTION.holding, first), second)
    if (code >= WRITE_COIL) return pdu.slice(0, 5)
    const words = Array.from({ length: second }, (_, at) => this.word(slave, code, first + at))
    if (code > READ_FUNCTION.discrete) {
      return Uint8Array.of(code, 2 * second, ...words.flatMap((word) => [word >> 8, word & 0xff]))
    }
    const bytes = new Uint8Array(Math.ceil(second / 8))
    words.forEach((bit, at) => {
      bytes[at >> 3] |= bit << (at & 7)
    })
    return Uint8Array.of(code, bytes.length, ...bytes)
  }

  giveUp(): void {}

  async close(): Promise<void> {}

  private word(slave: number, code: number, register: number): number {
    return this.contents.get(key(slave, code, register)) ?? 0
  }
}

function key(slave: number, code: number, register: number): string {
  return `${slave}/${code}/${register}`
}
