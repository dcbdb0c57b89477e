import type { DeviceContext, OpenDevice, Plain } from '../device.ts'
import { keepsParam } from '../fail-safe.ts'
import { lineRequest } from '../gpio/input-options.ts'
import { OutputControl } from '../gpio/output-control.ts'
import { below, outputWrites } from '../gpio/output-signals.ts'
import type { I2cBus } from './bus.ts'
import { I2cChip } from './chip.ts'
import { CHECK_MS, Expander } from './expander.ts'
import { ExpanderInputs } from './expander-inputs.ts'
import { ExpanderOutputs } from './expander-outputs.ts'
import { type ExpanderOptions, outputRules, type PinRow } from './expander-pins.ts'
import type { ExpanderPort, PortLayout } from './expander-port.ts'
import { SimulatedPort } from './simulated-port.ts'

/** What the kinds of expanders differ in. */
export interface ExpanderWiring {
  port(chip: I2cChip, layout: PortLayout): ExpanderPort
  bitOf(row: PinRow): number
}

/** Rejects with an I2cError or a LineError, and leaves nothing open then. */
export async function openExpander(
  context: DeviceContext,
  options: ExpanderOptions,
  wiring: ExpanderWiring,
): Promise<OpenDevice> {
  if (context.isSimulated) return openOn(context, options, wiring, undefined)
  const bus = await context.i2c.open(options.bus, (error) => context.lost(error))
  try {
    const device = await openOn(context, options, wiring, bus)
    return {
      ...device,
      async close() {
        await device.close()
        await bus.close()
      },
    }
  } catch (error) {
    await bus.close()
    throw error
  }
}

/** Without a bus it is made up. */
async function openOn(
  context: DeviceContext,
  options: ExpanderOptions,
  { port: makePort, bitOf }: ExpanderWiring,
  bus: I2cBus | undefined,
): Promise<OpenDevice> {
  const { clock, lost, problem, name, set, signal } = context
  const { pins, interrupt, poll, chipAddress } = options
  const maskOf = (isOne: (row: PinRow) => boolean) => pins.filter(isOne).reduce((mask, row) => mask | bitOf(row), 0)
  const inputRows = pins.filter(({ direction }) => direction === 'in')
  const outputRows = pins.filter(({ direction }) => direction === 'out')
  const activeLow = maskOf((row) => row.direction === 'out' && row.activeLow)
  const layout: PortLayout = {
    outputs: maskOf(({ direction }) => direction === 'out'),
    inputs: maskOf(({ direction }) => direction === 'in'),
    pullUps: maskOf(({ direction, pullUp }) => direction === 'in' && pullUp === true),
    hasInterrupt: interrupt !== undefined,
  }
  // Inputs that nobody has played yet are off.
  const simulated = new SimulatedPort(
    layout,
    maskOf((row) => row.direction === 'in' && row.activeLow),
  )
  const port = bus === undefined ? simulated : makePort(new I2cChip(bus, chipAddress, clock, signal), layout)

  const before = await port.latched()
  const heldOn = (before.levels ^ activeLow) & before.outputs
  const startsOn = (row: PinRow) => (row.safe === 'hold' ? (heldOn & bitOf(row)) !== 0 : row.safe === 'on')
  const controls = outputRows.map((row) => controlOf(row, context))
  const outputs = new ExpanderOutputs(
    outputRows.map((row, at) => ({
      bit: bitOf(row),
      safe: row.safe,
      maxOnMs: row.maxOn,
      ...(row.interlock !== undefined && {
        interlock: { name: row.interlock, mode: row.interlockMode, deadTimeMs: row.deadTime },
      }),
      onForced: (isOn, reason) => controls[at].onForced(isOn, reason),
    })),
    { on: maskOf((row) => row.direction === 'out' && startsOn(row)), before: heldOn },
    clock,
    () => onOutputs(),
  )
  const expander = new Expander({
    port,
    inputs: new ExpanderInputs(
      inputRows.map((row) => ({
        bit: bitOf(row),
        activeLow: row.activeLow,
        debounceMs: row.debounce,
        onChange: (isOn) => set(row.name, isOn),
      })),
      clock,
    ),
    clock,
    pollMs: inputRows.length > 0 && interrupt === undefined && bus !== undefined ? poll : CHECK_MS,
    activeLow,
    on: () => outputs.on,
    onReset() {
      problem('reset', `${name}: the chip had forgotten its set-up, as after a loss of its supply: look at its wires`)
      for (const control of controls) control.safe()
    },
    onFailure: lost,
  })

  let guardedOn = outputs.safeOn
  // Held outputs alone are safe as they are.
  const guard = outputRows.some(({ safe }) => safe !== 'hold')
    ? await bus?.guard(chipAddress, port.writesFor(guardedOn ^ activeLow), () => {
        outputs.fallSafe('watchdog')
        expander.rewrite()
      })
    : undefined
  const onOutputs = () => {
    if (outputs.safeOn !== guardedOn) {
      guardedOn = outputs.safeOn
      guard?.change(port.writesFor(guardedOn ^ activeLow))
    }
    expander.write()
  }
  const close = async () => {
    for (const control of controls) control.stop()
    outputs.stop()
    await expander.stop()
    await guard?.close()
  }
  let closeLine = async () => {}
  try {
    await expander.start()
    if (interrupt !== undefined) closeLine = await openInterrupt(context, interrupt, () => expander.look())
  } catch (error) {
    await close()
    throw error
  }
  for (const [at, control] of controls.entries()) control.begin(outputs.line(at), startsOn(outputRows[at]))
  const play = (row: PinRow, value: Plain) => {
    simulated.play(bitOf(row), (value === true) !== row.activeLow)
    expander.look()
  }
  return {
    write: Object.assign({}, ...outputRows.map((row, at) => outputWrites(row.name, controls[at]))),
    play: Object.fromEntries(inputRows.map((row) => [row.name, (value) => play(row, value)])),
    safe(reason, keepsWish, output) {
      for (const [at, row] of outputRows.entries()) {
        if (output === undefined || output === row.name) controls[at].safe(keepsParam(row, reason, keepsWish))
      }
      return expander.settled()
    },
    async close() {
      await closeLine()
      await close()
    },
  }
}

function controlOf(row: PinRow, { name, clock, set, problem, lost }: DeviceContext): OutputControl {
  return new OutputControl(outputRules(row), clock, {
    name: `${name}/${row.name}`,
    set: (key, value) => set(key === '' ? row.name : below(row.name, key), value),
    problem,
    lost,
  })
}

/** The interrupt output is open-drain and low when an input has changed. Returns what closes the line. */
async function openInterrupt(
  context: DeviceContext,
  name: string,
  onInterrupt: () => void,
): Promise<() => Promise<void>> {
  const line = await context.lines.input({
    ...lineRequest(context, name, { activeLow: true, bias: 'up' }),
    debounceMs: 0,
    onEdge: ({ isOn }) => {
      if (isOn) onInterrupt()
    },
  })
  // It was low before, of which there is no edge.
  if (line.isOn) onInterrupt()
  return () => line.close()
}
