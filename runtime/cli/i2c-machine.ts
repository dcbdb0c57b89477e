import { dirname } from 'node:path'
import { detectBoard } from '../../boards/detect.ts'
import { type I2cBus, I2cError } from '../../devices/i2c/bus.ts'
import type { Machine } from '../../devices/i2c/bus-place.ts'
import { KernelI2c } from '../../devices/i2c/kernel-i2c.ts'
import { findProgram, type Program } from '../find-program.ts'
import { systemClock } from '../router/clock.ts'
import { CommandError } from './command.ts'

/** Nothing is guarded by a command. */
const WATCHDOG_MS = 1000

/** This machine, for commands about its buses. */
export async function thisMachine(): Promise<Machine> {
  return { dev: '/dev', sysfs: '/sys', board: await detectBoard() }
}

/** A program that comes with this one; null: it is not there. */
export function ownProgram(name: Program): Promise<string | null> {
  return findProgram(dirname(process.argv[1] ?? ''), name)
}

/** Does something with a bus, which is closed afterwards. Rejects with a CommandError for what an I2cError says. */
export async function withBus<T>(name: string, machine: Machine, work: (bus: I2cBus) => Promise<T>): Promise<T> {
  const watch = { clock: systemClock, watchdogMs: WATCHDOG_MS, lingerMs: 0 }
  const buses = new KernelI2c({ program: () => ownProgram('clasp-i2c'), ...watch, ...machine })
  try {
    return await work(await buses.open(name, () => {}))
  } catch (error) {
    if (error instanceof I2cError && error.code !== 'stuck') throw new CommandError(error.message)
    throw error
  } finally {
    await buses.stop()
  }
}
