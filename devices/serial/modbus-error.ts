/** Source: MODBUS Application Protocol Specification V1.1b3, section 7. */
const EXCEPTIONS: Readonly<Record<number, string>> = {
  1: 'illegal function: it does not know this kind of register, or it cannot be written',
  2: 'illegal data address: it has no such register; those of its manual may begin with 1 instead of 0',
  3: 'illegal data value: it does not take this value',
  4: 'server device failure: it could not do what it was asked for',
  5: 'acknowledge: it is still working on it',
  6: 'server device busy',
  8: 'memory parity error',
  10: 'gateway path unavailable',
  11: 'gateway target device failed to respond',
}
const ACKNOWLEDGE = 5
const BUSY = 6
export const ILLEGAL_FUNCTION = 1
export const ILLEGAL_ADDRESS = 2

/** A request that failed. The message is for the operator. */
export class ModbusError extends Error {
  override readonly name = 'ModbusError'
  /** What the slave answered; 0: nothing, or nothing that could be read. */
  readonly exception: number

  constructor(message: string, exception = 0) {
    super(message)
    this.exception = exception
  }

  /** The slave is there, and may do it a moment later. */
  get isBusy(): boolean {
    return this.exception === ACKNOWLEDGE || this.exception === BUSY
  }
}

export function refusal(exception: number): ModbusError {
  return new ModbusError(EXCEPTIONS[exception] ?? `exception ${exception}`, exception)
}
