import type { Pace } from '../device.ts'

/** What is measured, in the unit that clients see. */
export interface Quantity {
  readonly description: string
  /** UCUM. */
  readonly unit: string
  readonly range?: readonly [min: number, max: number]
  readonly pace?: Pace
}

const ELECTRICAL: Pace = { deadbandRelative: 0.002 }

/** Ranges and deadbands: bridges.md §20.5; a range only where it does not depend on the chip. */
export const quantities = {
  temperature: { description: 'Temperature', unit: 'Cel', range: [-40, 125], pace: { deadband: 0.1 } },
  humidity: { description: 'Relative humidity', unit: '%', range: [0, 100], pace: { deadband: 0.5 } },
  pressure: { description: 'Pressure', unit: 'hPa', range: [300, 1100], pace: { deadband: 0.1 } },
  illuminance: {
    description: 'Illuminance',
    unit: 'lx',
    range: [0, 120_000],
    pace: { deadband: 1, deadbandRelative: 0.02 },
  },
  intensity: { description: 'Light, in counts of the chip', unit: '1', pace: { deadbandRelative: 0.02 } },
  concentration: { description: 'Concentration', unit: '[ppm]', pace: { deadband: 20 } },
  particles: { description: 'Particles', unit: 'ug/m3', pace: { deadband: 1 } },
  voltage: { description: 'Voltage', unit: 'V', pace: ELECTRICAL },
  current: { description: 'Current', unit: 'A', pace: ELECTRICAL },
  power: { description: 'Power', unit: 'W', pace: ELECTRICAL },
  energy: { description: 'Energy', unit: 'J' },
  resistance: { description: 'Resistance', unit: 'Ohm', pace: ELECTRICAL },
  capacitance: { description: 'Capacitance', unit: 'nF', pace: ELECTRICAL },
  frequency: { description: 'Frequency', unit: 'Hz', pace: ELECTRICAL },
  fan: { description: 'Speed of a fan', unit: 'rpm', pace: { deadbandRelative: 0.02 } },
  acceleration: { description: 'Acceleration', unit: 'm/s2' },
  angularRate: { description: 'Angular rate', unit: 'deg/s' },
  angle: { description: 'Angle', unit: 'deg', pace: { deadband: 0.5 } },
  magneticField: { description: 'Magnetic field', unit: 'G' },
  distance: { description: 'Distance', unit: 'm', pace: { deadband: 0.002, deadbandRelative: 0.005 } },
  acidity: { description: 'Acidity', unit: '[pH]', range: [0, 14], pace: { deadband: 0.05 } },
  alarm: { description: 'true = the chip gives an alarm', unit: 'bool', range: [0, 1] },
  count: { description: 'Reading, in counts of the chip', unit: '1' },
} as const satisfies Record<string, Quantity>

export type QuantityName = keyof typeof quantities
