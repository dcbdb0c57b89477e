import type { SignalSpec } from '../device.ts'

/** What sensors measure, with the defaults of bridges.md §20.5. Ranges are those of the chip, in the unit. */

const HEARTBEAT_MS = 60_000

export function temperature(range: readonly [number, number]): SignalSpec {
  return { ...reading('Cel', range, 'Temperature'), pace: { deadband: 0.1, heartbeatMs: HEARTBEAT_MS } }
}

/** Relative humidity. */
export function humidity(): SignalSpec {
  return { ...reading('%', [0, 100], 'Relative humidity'), pace: { deadband: 0.5, heartbeatMs: HEARTBEAT_MS } }
}

export function pressure(range: readonly [number, number]): SignalSpec {
  return { ...reading('hPa', range, 'Air pressure'), pace: { deadband: 0.1, heartbeatMs: HEARTBEAT_MS } }
}

export function illuminance(maxLx: number): SignalSpec {
  const pace = { deadband: 1, deadbandRelative: 0.02, heartbeatMs: HEARTBEAT_MS }
  return { ...reading('lx', [0, maxLx], 'Illuminance'), pace }
}

/** Any other number that is read at an interval. */
export function reading(unit: string, range: readonly [number, number], description: string): SignalSpec {
  return { type: 'param', datatype: 'f64', access: 'r', unit, range, description, pace: { heartbeatMs: HEARTBEAT_MS } }
}

/** Rejects by throwing what a chip cannot measure: it was disturbed, or its calibration was. `unit`: as people write it. */
export function checkedReading(
  value: number,
  [min, max]: readonly [number, number],
  name: string,
  unit: string,
): number {
  // NaN is outside as well.
  if (value >= min && value <= max) return Number(value.toFixed(2))
  throw new Error(
    `a ${name} of ${value.toFixed(1)} ${unit} is outside of what the chip measures (${min}…${max} ${unit}): check its wires and its supply`,
  )
}
