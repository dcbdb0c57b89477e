/**
 * Requests and answers of Modbus, without the address and the checksum that a line adds. Numbers are high byte first.
 *
 * read: function 1…4, first, count           answer: function, bytes, data
 * write one: function 5 or 6, register, value          the same
 * write several: 16, first, count, bytes, data         16, first, count
 * refused: function + 0x80, exception
 *
 * Source: MODBUS Application Protocol Specification V1.1b3, sections 6 and 7.
 */
export type Area = 'coil' | 'discrete' | 'holding' | 'input'

export const READ_FUNCTION: Readonly<Record<Area, number>> = { coil: 1, discrete: 2, holding: 3, input: 4 }
export const WRITE_COIL = 5
export const WRITE_REGISTER = 6
export const WRITE_REGISTERS = 16
export const REFUSED = 0x80
/** What one request may read. */
export const MOST_REGISTERS = 125
export const MOST_BITS = 2000

const COIL_ON = 0xff00

export function readRequest(area: Area, first: number, count: number): Uint8Array {
  return Uint8Array.of(READ_FUNCTION[area], first >> 8, first & 0xff, count >> 8, count & 0xff)
}

export function writeCoilRequest(register: number, isOn: boolean): Uint8Array {
  return writeRequest(WRITE_COIL, register, isOn ? COIL_ON : 0)
}

/** Function 6 for one register, 16 for several, or where 6 is not known. */
export function writeRegistersRequest(
  first: number,
  words: readonly number[],
  isSingle = words.length === 1,
): Uint8Array {
  if (isSingle) return writeRequest(WRITE_REGISTER, first, words[0])
  const count = words.length
  const data = words.flatMap((word) => [word >> 8, word & 0xff])
  return Uint8Array.of(WRITE_REGISTERS, first >> 8, first & 0xff, count >> 8, count & 0xff, data.length, ...data)
}

function writeRequest(code: number, register: number, value: number): Uint8Array {
  return Uint8Array.of(code, register >> 8, register & 0xff, value >> 8, value & 0xff)
}

/** Bytes of an answer of which the first ones are there; undefined: too few to tell, or no answer to anything. */
export function answerLength(pdu: Uint8Array): number | undefined {
  const [code, bytes] = pdu
  if (code === undefined) return undefined
  if ((code & REFUSED) !== 0) return 2
  if (code >= 1 && code <= 4) return bytes === undefined ? undefined : 2 + bytes
  return code === WRITE_COIL || code === WRITE_REGISTER || code === WRITE_REGISTERS ? 5 : undefined
}

/** Bytes of the answer to a request that is not refused. */
export function expectedLength(request: Uint8Array): number {
  const code = request[0]
  if (code > 4) return 5
  const count = request[3] * 0x100 + request[4]
  return 2 + (code <= 2 ? Math.ceil(count / 8) : count * 2)
}

/** Whether it may be the answer to this request: of the same function, for the same register, as long as was asked for. */
export function isAnswerTo(request: Uint8Array, answer: Uint8Array): boolean {
  const code = request[0]
  if (answer[0] === (code | REFUSED)) return answer.length === 2
  if (answer[0] !== code || answer.length !== expectedLength(request)) return false
  return code > 4 ? answer[1] === request[1] && answer[2] === request[2] : answer[1] === answer.length - 2
}

/** Registers of an answer to function 3 or 4. */
export function registersOf(answer: Uint8Array): number[] {
  return Array.from({ length: answer[1] / 2 }, (_, at) => answer[2 + 2 * at] * 0x100 + answer[3 + 2 * at])
}

/** Bits of an answer to function 1 or 2; the lowest one of the first byte comes first. */
export function bitsOf(answer: Uint8Array, count: number): number[] {
  return Array.from({ length: count }, (_, at) => (answer[2 + (at >> 3)] >> (at & 7)) & 1)
}
