import type { Area } from '../../../devices/serial/modbus-pdu.ts'

const READ_AREAS: Readonly<Record<number, Area>> = { 1: 'coil', 2: 'discrete', 3: 'holding', 4: 'input' }

/** From the definition: x¹⁶ + x¹⁵ + x² + 1, every byte with its lowest bit first, from all ones; the same for the result. */
export function checksum(bytes: Uint8Array): number {
  let remainder = 0xffff
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const isOut = ((remainder & 0x8000) !== 0) !== (((byte >> bit) & 1) === 1)
      remainder = ((remainder << 1) & 0xffff) ^ (isOut ? 0x8005 : 0)
    }
  }
  let turned = 0
  for (let bit = 0; bit < 16; bit++) turned |= ((remainder >> bit) & 1) << (15 - bit)
  return turned
}

export function framed(bytes: readonly number[]): Buffer {
  const crc = checksum(Uint8Array.from(bytes))
  return Buffer.from([...bytes, crc & 0xff, crc >> 8])
}

/**
 * Modbus slaves after the specification, which share nothing with the code under test. They have the registers that were
 * set, and refuse the others.
 */
export class ModbusSlaves {
  /** Requests that were right, without checksum, in hexadecimal. */
  readonly requests: string[] = []
  /** Frames that were wrong. */
  broken = 0
  /** By address: they hear and say nothing. */
  readonly away = new Set<number>()
  /** Instead of the right answer, once each: other bytes, or none. */
  readonly answers: (Buffer | null)[] = []
  /** Functions that are refused with exception 1. */
  readonly unknown = new Set<number>()
  /** By slave: most registers that it reads at once. */
  readonly most = new Map<number, number>()
  private readonly contents = new Map<string, number>()

  set(slave: number, area: Area, register: number, ...values: readonly number[]): void {
    values.forEach((value, at) => {
      this.contents.set(`${slave} ${area} ${register + at}`, value)
    })
  }

  get(slave: number, area: Area, register: number): number | undefined {
    return this.contents.get(`${slave} ${area} ${register}`)
  }

  /** Null: no answer. */
  hear(frame: Uint8Array): Buffer | null {
    const bytes = [...frame.slice(0, -2)]
    if (!framed(bytes).equals(frame)) {
      this.broken++
      return null
    }
    this.requests.push(Buffer.from(bytes).toString('hex'))
    if (this.away.has(bytes[0])) return null
    const other = this.answers.shift()
    return other === undefined ? framed([bytes[0], ...this.answer(bytes[0], bytes.slice(1))]) : other
  }

  private answer(slave: number, pdu: readonly number[]): number[] {
    const [code, a, b, c, d] = pdu
    const first = a * 256 + b
    const second = c * 256 + d
    const refused = (exception: number) => [code + 0x80, exception]
    if (this.unknown.has(code)) return refused(1)
    const area = READ_AREAS[code]
    if (area !== undefined) {
      if (second > (this.most.get(slave) ?? 2000)) return refused(2)
      const read = Array.from({ length: second }, (_, at) => this.get(slave, area, first + at))
      if (read.some((value) => value === undefined)) return refused(2)
      const values = read.map(Number)
      if (code >= 3) return [code, 2 * second, ...values.flatMap((value) => [value >> 8, value & 255])]
      const packed = new Array<number>(Math.ceil(second / 8)).fill(0)
      values.forEach((bit, at) => {
        packed[Math.floor(at / 8)] += bit * 2 ** (at % 8)
      })
      return [code, packed.length, ...packed]
    }
    const written: Area = code === 5 ? 'coil' : 'holding'
    const values =
      code === 16 ? Array.from({ length: second }, (_, at) => pdu[6 + 2 * at] * 256 + pdu[7 + 2 * at]) : [second]
    if (values.some((_, at) => this.get(slave, written, first + at) === undefined)) return refused(2)
    this.set(slave, written, first, ...(code === 5 ? [second === 0xff00 ? 1 : 0] : values))
    return pdu.slice(0, 5)
  }
}
