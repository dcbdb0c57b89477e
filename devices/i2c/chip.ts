import type { DeviceClock } from '../device.ts'
import { hexAddress, type I2cBus, I2cError } from './bus.ts'

/** One chip on a bus. */
export class I2cChip {
  readonly bus: I2cBus
  readonly address: number
  private readonly clock: DeviceClock
  private readonly signal: AbortSignal | undefined
  /** Ends a wait. One listener for all: there are hundreds of waits a second. */
  private readonly waits = new Set<() => void>()

  /** `signal`: nobody waits for the chip any more. */
  constructor(bus: I2cBus, address: number, clock: DeviceClock, signal?: AbortSignal) {
    this.bus = bus
    this.address = address
    this.clock = clock
    this.signal = signal
    signal?.addEventListener(
      'abort',
      () => {
        for (const stop of this.waits) stop()
      },
      { once: true },
    )
  }

  /** Rejects with an I2cError, as all of these. */
  async write(...bytes: readonly number[]): Promise<void> {
    await this.bus.transfer(this.address, Uint8Array.from(bytes), 0)
  }

  read(count: number): Promise<Uint8Array> {
    return this.bus.transfer(this.address, new Uint8Array(0), count)
  }

  /** Writes the number of a register, or a command, and reads behind a repeated start. */
  readFrom(register: number, count: number): Promise<Uint8Array> {
    return this.bus.transfer(this.address, Uint8Array.of(register), count)
  }

  async readByte(register: number): Promise<number> {
    return (await this.readFrom(register, 1))[0]
  }

  /** While a chip converts; the bus is free for others meanwhile. Rejects when the device is closed. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        timer.cancel()
        this.waits.delete(stop)
        reject(new I2cError('lost', `the device at ${hexAddress(this.address)} is closed`))
      }
      // Timers of Node.js leave a fraction out, and to ask too early costs another turn.
      const timer = this.clock.timer(Math.ceil(ms), () => {
        this.waits.delete(stop)
        resolve()
      })
      if (this.signal?.aborted) stop()
      else this.waits.add(stop)
    })
  }
}

/** Unsigned 16 bits, high byte first. */
export function u16be(bytes: Uint8Array, at = 0): number {
  return bytes[at] * 0x100 + bytes[at + 1]
}

/** Unsigned 16 bits, low byte first. */
export function u16le(bytes: Uint8Array, at = 0): number {
  return bytes[at + 1] * 0x100 + bytes[at]
}

/** Two's complement. */
export function s16be(bytes: Uint8Array, at = 0): number {
  return (u16be(bytes, at) << 16) >> 16
}

/** Two's complement, low byte first. */
export function s16le(bytes: Uint8Array, at = 0): number {
  return (u16le(bytes, at) << 16) >> 16
}
