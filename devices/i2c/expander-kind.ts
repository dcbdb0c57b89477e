import { type AnyDeviceKind, boolParam, type DeviceContext, defineDevice } from '../device.ts'
import { outputSignals } from '../gpio/output-signals.ts'
import {
  chipAddress,
  duration,
  gpioLine,
  i2cBus,
  type OptionSpec,
  type OptionSpecs,
  optional,
  table,
} from '../options.ts'
import { nameProblem } from '../row-names.ts'
import type { I2cChip } from './chip.ts'
import { OUTPUT_RETRY_MS } from './chip-upkeep.ts'
import { openExpander } from './expander-device.ts'
import { type ExpanderOptions, type PinRow, pinColumns, rowConflict } from './expander-pins.ts'
import type { ExpanderPort, PortLayout } from './expander-port.ts'

interface ExpanderTraits<P extends string | number> {
  readonly kind: string
  readonly description: string
  readonly addresses: readonly number[]
  /** The column `pin` of the table. */
  readonly pin: OptionSpec<P>
  bitOf(pin: P): number
  /** What pins are that do not say themselves. */
  readonly isActiveLow: boolean
  readonly extraColumns: OptionSpecs
  port(chip: I2cChip, layout: PortLayout): ExpanderPort
}

/** A chip with inputs and outputs on the I2C bus; the kinds differ in their pins and registers. */
export function expanderKind<P extends string | number>(traits: ExpanderTraits<P>): AnyDeviceKind {
  const { kind, description, addresses, pin, isActiveLow, extraColumns } = traits
  return defineDevice({
    kind,
    description,
    namespace: 'gpio',
    isOwnTwin: true,
    hasOutputs: true,
    retryMs: OUTPUT_RETRY_MS,
    options: {
      bus: i2cBus,
      chipAddress: chipAddress(addresses),
      poll: duration('How often inputs are looked at; with an interrupt line they are at once.', 20, {
        minMs: 5,
        maxMs: 60_000,
      }),
      interrupt: optional(gpioLine('Line that the interrupt output of the chip is connected to.')),
      pins: table('What the pins are for; others are left alone.', {
        pin,
        ...pinColumns(isActiveLow),
        ...extraColumns,
      }),
    },
    signals: (options) => Object.assign({}, ...rowsOf(options).map(pinSignals)),
    outputs: (options) =>
      Object.fromEntries(
        rowsOf(options)
          .filter(({ direction }) => direction === 'out')
          .map((row) => [row.name, row]),
      ),
    simulatedInputs: (options) =>
      Object.assign(
        {},
        ...rowsOf(options)
          .filter(({ direction }) => direction === 'in')
          .map(pinSignals),
      ),
    check(options) {
      const rows = rowsOf(options)
      const conflict = rows.map(rowConflict).find((problem) => problem !== undefined)
      return conflict ?? nameProblem(rows.map(({ name, pin }) => ({ name, place: `pin ${pin}` })))
    },
    open: (context) =>
      openExpander(context as unknown as DeviceContext, context.options as unknown as ExpanderOptions, {
        port: traits.port,
        bitOf: (row) => traits.bitOf(row.pin as P),
      }),
  })
}

/** The columns depend on the kind; what all of them have is here. */
function rowsOf(options: unknown): readonly PinRow[] {
  return (options as ExpanderOptions).pins
}

function pinSignals(row: PinRow) {
  return row.direction === 'in' ? { [row.name]: boolParam('r', 'true = on') } : outputSignals(row.name, row)
}
