import type { Board } from '../../boards/board.ts'
import type { DeviceProgram } from '../../devices/device.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import type { I2cBuses } from '../../devices/i2c/bus.ts'
import { KernelI2c } from '../../devices/i2c/kernel-i2c.ts'
import { SimulatedI2c } from '../../devices/i2c/simulated-i2c.ts'
import { deviceKinds } from '../../devices/index.ts'
import { LineHolder } from '../../devices/io/line-holder.ts'
import type { HeaderPin } from '../../devices/io/line-name.ts'
import type { Lines } from '../../devices/io/lines.ts'
import { SimulatedLines } from '../../devices/io/simulated-lines.ts'
import { OneWireBuses } from '../../devices/one-wire/buses.ts'
import type { SerialPorts } from '../../devices/serial/ports.ts'
import { SimulatedPorts } from '../../devices/serial/simulated-ports.ts'
import type { Clock } from '../router/clock.ts'
import type { Log } from '../router/log.ts'
import type { DeviceRouter } from './device-router.ts'
import { DeviceRunner, type RunnerReport } from './device-runner.ts'
import { MessageBudget } from './message-budget.ts'

/** Bridges.md §20.1: no input floods the router, however it bounces. */
const MESSAGES_PER_DEVICE = 200
const MESSAGES_PER_NODE = 2000
/** Devices whose hardware hangs are not waited for any longer: their programs are stopped all the same. */
const STOP_MS = 5000
/** Spreads the phases of any number of devices evenly. */
const GOLDEN = 0.618033988749895

export interface DeviceOptions {
  entries: readonly DeviceEntry[]
  /** Those that do not say themselves. */
  simulate: boolean
  /** Outputs become safe when this process says nothing for so long. */
  watchdogMs: number
  /** How long safe outputs are held after this process was killed. */
  lingerMs: number
}

export interface DeviceParts {
  router: DeviceRouter
  clock: Clock
  log: Log
  /** Path of clasp-io; null: it is not installed. */
  program: string | null
  /** Path of clasp-i2c; null: it is not installed. Without it nobody looks. */
  i2cProgram?(): Promise<string | null>
  /** For words about its buses. */
  board?: Board
  /** Of the board, as far as they are known. */
  pins?: readonly HeaderPin[]
  sysfs?: string
  dev?: string
  /** Where programs of drivers are; without it there are none. */
  findProgram?(name: DeviceProgram): Promise<string | null>
  /** Instead of those of the machine, in tests. */
  lines?: Lines
  i2c?: I2cBuses
  serial?: SerialPorts
  simulatedLines?: SimulatedLines
  simulatedI2c?: I2cBuses
  simulatedSerial?: SerialPorts
}

/** All configured devices while they run. */
export interface DeviceHost {
  readonly reports: readonly RunnerReport[]
  /** The hub of this router is gone, or back. */
  onHub(isUp: boolean): void
  /** Outputs are safe and all hardware is free when it resolves. May be called again. */
  stop(): Promise<void>
}

/**
 * Starts the configured devices. Hardware that is missing is no reason to reject: it is tried again. Resolves when each
 * was tried once.
 */
export async function startDevices(options: DeviceOptions, parts: DeviceParts): Promise<DeviceHost> {
  const { entries, simulate, watchdogMs, lingerMs } = options
  const { clock, log, router, program, pins, sysfs = '/sys', dev = '/dev' } = parts
  const holder = parts.lines === undefined ? new LineHolder({ program, clock, watchdogMs, lingerMs, pins }) : undefined
  const realLines: Lines = parts.lines ?? (holder as LineHolder)
  const madeUp = parts.simulatedLines ?? new SimulatedLines(clock)
  const madeUpI2c = parts.simulatedI2c ?? new SimulatedI2c({ isFilled: true })
  const madeUpSerial = parts.simulatedSerial ?? new SimulatedPorts()
  const kernelI2c =
    parts.i2c === undefined
      ? new KernelI2c({
          program: async () => (await parts.i2cProgram?.()) ?? null,
          clock,
          watchdogMs,
          lingerMs,
          dev,
          sysfs,
          board: parts.board,
          lines: realLines,
          tell: (message) => log.warn(message),
        })
      : undefined
  const realI2c: I2cBuses = parts.i2c ?? (kernelI2c as KernelI2c)
  const realSerial = parts.serial ?? madeUpSerial
  const oneWire = new OneWireBuses(sysfs, clock)
  const whole = new MessageBudget(MESSAGES_PER_NODE, clock)
  const runners = entries.flatMap((entry, at) => {
    const kind = deviceKinds.find((one) => one.kind === entry.kind)
    // The configuration takes only kinds that there are.
    if (kind === undefined) return []
    const isSimulated = entry.simulate ?? simulate
    return new DeviceRunner(entry, kind, {
      router,
      clock,
      log,
      budget: new MessageBudget(MESSAGES_PER_DEVICE, clock, whole),
      lines: isSimulated ? madeUp : realLines,
      i2c: isSimulated ? madeUpI2c : realI2c,
      serial: isSimulated ? madeUpSerial : realSerial,
      oneWire,
      ...(isSimulated && { simulatedLines: madeUp }),
      sysfs,
      dev,
      program: async (name) => (await parts.findProgram?.(name)) ?? null,
      phase: (at * GOLDEN) % 1,
    })
  })
  await Promise.all(runners.map((runner) => runner.start()))
  let stopped: Promise<void> | undefined
  const stop = async () => {
    let timer: { cancel(): void } | undefined
    const tooLong = new Promise<void>((resolve) => {
      timer = clock.timer(STOP_MS, resolve)
    })
    await Promise.race([Promise.all(runners.map((runner) => runner.stop())), tooLong])
    timer?.cancel()
    // A bus that is being freed has lines.
    await kernelI2c?.stop()
    await holder?.stop()
  }
  return {
    get reports() {
      return runners.map(({ report }) => report)
    },
    onHub(isUp) {
      for (const runner of runners) runner.onHub(isUp)
    },
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}
