import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DeviceClock } from '../device.ts'
import { readCelsius } from './thermometer.ts'

/** From so many sensors on, all convert at once. */
const BULK = 3
const LOOK_AGAIN_MS = 50
/** A conversion of 12 bits takes 750 ms. */
const CONVERTED_MS = 2000

/**
 * One bus of the kernel. A reading keeps a thread waiting while the sensor converts, up to 750 ms: sensors take turns,
 * so that a bus never takes more than one. Three and more convert together, and those that ask meanwhile share it.
 * Source: Documentation/ABI/stable/sysfs-driver-w1_therm of Linux.
 */
export class OneWireBus {
  private readonly folder: string
  private readonly clock: DeviceClock
  private turn: Promise<unknown> = Promise.resolve()
  private converting: Promise<void> | null = null
  private users = 0

  constructor(folder: string, clock: DeviceClock) {
    this.folder = folder
    this.clock = clock
  }

  join(): void {
    this.users++
  }

  leave(): void {
    this.users--
  }

  /** Rejects with a SysfsError. */
  async celsius(folder: string): Promise<number> {
    if (this.users >= BULK) await this.convert()
    return this.inTurn(() => readCelsius(folder))
  }

  inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.turn.then(task)
    this.turn = done.catch(() => {})
    return done
  }

  private convert(): Promise<void> {
    this.converting ??= this.inTurn(() => this.convertAll()).finally(() => {
      this.converting = null
    })
    return this.converting
  }

  private async convertAll(): Promise<void> {
    const path = join(this.folder, 'therm_bulk_read')
    try {
      await writeFile(path, 'trigger\n', { flag: 'r+' })
      const deadline = this.clock.now() + CONVERTED_MS
      // -1: a sensor still converts.
      while ((await readFile(path, 'latin1')).startsWith('-1') && this.clock.now() < deadline) {
        await new Promise<void>((resolve) => this.clock.timer(LOOK_AGAIN_MS, resolve))
      }
    } catch {
      // An old kernel, or not allowed: each sensor converts by itself then.
    }
  }
}
