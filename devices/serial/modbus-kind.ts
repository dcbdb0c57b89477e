import { type AnyDeviceKind, type DeviceContext, defineDevice, type Plain, type SignalSpec } from '../device.ts'
import { keepsParam } from '../fail-safe.ts'
import { type OptionSpecs, type OptionsOf, table, whole } from '../options.ts'
import { nameProblem } from '../row-names.ts'
import type { ModbusLink } from './modbus-link.ts'
import { MOST_REGISTERS } from './modbus-pdu.ts'
import { ModbusPolling } from './modbus-polling.ts'
import {
  isOutput,
  type Register,
  registerColumns,
  registerProblem,
  registerSignal,
  withinLimits,
} from './modbus-registers.ts'
import { PORT_RETRY_MS } from './port-options.ts'
import { SimulatedSlaves } from './simulated-slaves.ts'

/** Those of slaves that answer are safe long before; it is how long is waited for the others. */
const STOP_MS = 2000

interface ModbusTraits<S extends OptionSpecs> {
  readonly kind: string
  readonly description: string
  readonly options: S
  /** Opens the way to the slaves; rejects with what is wrong. */
  link(context: DeviceContext<S>): Promise<ModbusLink>
  /** For the operator: where slaves are asked, and what to look at when one does not answer. */
  advice(options: OptionsOf<S>): string
}

interface Settings {
  registers: readonly Register[]
  retries: number
  longestRead: number
}

/**
 * Everything that is a master of Modbus slaves; the kinds differ in the way to them. Safe values are written by this
 * process: when the board itself fails, only the watchdog of the slave makes its outputs safe.
 */
export function modbusKind<S extends OptionSpecs>(traits: ModbusTraits<S>): AnyDeviceKind {
  const { kind, description, link, advice } = traits
  return defineDevice({
    kind,
    description,
    namespace: 'modbus',
    isOwnTwin: true,
    retryMs: PORT_RETRY_MS,
    options: {
      ...traits.options,
      registers: table(
        'The registers and coils of all slaves. Safe values are written by this board: should it crash or lose its power, outputs follow the watchdog of their slave, which has to be set there.',
        registerColumns,
      ),
      retries: whole('A slave that does not answer is asked so many times more.', 3, { min: 0, max: 10 }),
      longestRead: whole(
        'Registers that are read at once when they touch; for slaves that cannot do many.',
        MOST_REGISTERS,
        {
          min: 2,
          max: MOST_REGISTERS,
        },
      ),
    },
    signals: (options) => signalsOf(settingsOf(options).registers),
    outputs: (options) =>
      Object.fromEntries(
        settingsOf(options)
          .registers.filter(isOutput)
          .map((row) => [row.name, row]),
      ),
    simulatedInputs: (options) => signalsOf(settingsOf(options).registers.filter(({ access }) => access === 'r')),
    check: (options) => {
      const { registers } = settingsOf(options)
      if (registers.length === 0) return 'registers is empty: name at least one'
      return (
        nameProblem(registers.map(({ name }, at) => ({ name, place: `registers[${at}]` }))) ??
        registers.map(registerProblem).find((problem) => problem !== undefined)
      )
    },
    async open(context) {
      const { isSimulated, lost } = context
      const { registers: rows, retries, longestRead: most } = settingsOf(context.options)
      const options = context.options as unknown as OptionsOf<S>
      const twin = isSimulated ? new SimulatedSlaves(rows) : undefined
      const line = twin ?? (await link(context as unknown as DeviceContext<S>))
      const polling = new ModbusPolling(line, { rows, most, retries, advice: advice(options) }, context)
      const makeSafe = (row: Register, keepsWish: boolean) => {
        if (row.safe !== undefined) polling.writeSafe(row, row.safe, keepsWish)
      }
      for (const row of rows) makeSafe(row, false)
      const running = polling.run().catch(lost)
      const written = rows.filter(({ access }) => access === 'rw')
      const sensed = rows.filter(({ access }) => access === 'r')
      return {
        write: Object.fromEntries(
          written.map((row) => [row.name, (value: Plain) => polling.write(row, withinLimits(row, value))]),
        ),
        ...(twin !== undefined && {
          play: Object.fromEntries(sensed.map((row) => [row.name, (value: Plain) => twin.hold(row, value)])),
        }),
        async safe(reason, keepsWish, output) {
          for (const row of rows) {
            if (output === undefined || output === row.name) makeSafe(row, keepsParam(row, reason, keepsWish))
          }
          if (reason === 'stop') await polling.finish(STOP_MS)
        },
        async close() {
          polling.stop()
          await line.close()
          await running
        },
      }
    },
  })
}

/** The part of the options that all kinds have. */
function settingsOf(options: unknown): Settings {
  return options as Settings
}

function signalsOf(rows: readonly Register[]): Record<string, SignalSpec> {
  return Object.fromEntries(rows.map((row) => [row.name, registerSignal(row)]))
}
