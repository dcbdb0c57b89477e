import type { Plain } from '../device.ts'
import { ILLEGAL_FUNCTION, ModbusError } from './modbus-error.ts'
import { readRequest, registersOf, writeCoilRequest, writeRegistersRequest } from './modbus-pdu.ts'
import { encodeRegister, isBits, type Register } from './modbus-registers.ts'
import type { ModbusSlave } from './modbus-slave.ts'

/** Writes one value; a bit together with the others of its register as they are. `isWanted`: see `ModbusSlave`. Rejects with a ModbusError. */
export async function writeRegister(
  slave: ModbusSlave,
  row: Register,
  value: Plain,
  isWanted: () => boolean,
): Promise<void> {
  const { register, bit } = row
  if (isBits(row)) {
    await slave.request(writeCoilRequest(register, encodeRegister(row, value)[0] === 1), isWanted)
    return
  }
  const before =
    bit === undefined ? [0] : registersOf(await slave.request(readRequest('holding', register, 1), isWanted))
  const words = encodeRegister(row, value, before)
  try {
    await slave.request(writeRegistersRequest(register, words), isWanted)
  } catch (error) {
    // Many slaves know only one of the two ways of writing a register.
    const isUnknown = error instanceof ModbusError && error.exception === ILLEGAL_FUNCTION
    if (!isUnknown || words.length > 1) throw error
    await slave.request(writeRegistersRequest(register, words, false), isWanted)
  }
}
