/** I2C buses as drivers use them: the kernel's by one process a bus (`bus-process.ts`), or made up (`simulated-i2c.ts`). */
export interface I2cBuses {
  /**
   * `bus`: a number (`1` is /dev/i2c-1) or a path. All users of a bus share it. `onLost`: chips may have lost their set-up,
   * for the bus was away; comes once. Rejects with an I2cError.
   */
  open(bus: string, onLost: (error: I2cError) => void): Promise<I2cBus>
}

export interface I2cBus {
  /** As the configuration calls it. */
  readonly name: string
  /**
   * One transaction: writes `bytes`, then, after a repeated start, reads `readBytes`. `address`: 7 bits, 0x03…0x77. At most
   * 4096 bytes each way; one of both may be nothing. Transactions of all users follow one another; nobody waits on the bus
   * for a conversion. Rejects with an I2cError.
   */
  transfer(address: number, bytes: Uint8Array, readBytes: number): Promise<Uint8Array>
  /**
   * What is to be written when this process ends or hangs, in order: the safe state of an output. Replaces the one of
   * before; rejects with an I2cError when nobody can take care of it.
   */
  guard(address: number, writes: readonly Uint8Array[], onForced: () => void): Promise<I2cGuard>
  /** Addresses that answer, in order. Rejects with an I2cError. */
  scan(): Promise<number[]>
  /** This user has done with it. */
  close(): Promise<void>
}

export interface I2cGuard {
  /** What is to be written from now on. */
  change(writes: readonly Uint8Array[]): void
  /** Nothing is to be written any more. The safe state was written by the driver itself. */
  close(): Promise<void>
}

/**
 * missing: there is no such bus; denied: no permission; absent: no chip acknowledges; taken: a driver of the kernel has the
 * chip; stuck: a chip holds the bus down; unsupported: the bus cannot do this; lost: the process of the bus ended; failed:
 * anything else.
 */
export type I2cProblem = 'missing' | 'denied' | 'absent' | 'taken' | 'stuck' | 'unsupported' | 'lost' | 'failed'

/** A transaction that did not happen. The text says what happened, where, and what to do. */
export class I2cError extends Error {
  readonly code: I2cProblem

  constructor(code: I2cProblem, message: string) {
    super(message)
    this.name = 'I2cError'
    this.code = code
  }
}

/** `0x48` */
export function hexAddress(address: number): string {
  return `0x${address.toString(16).padStart(2, '0')}`
}
