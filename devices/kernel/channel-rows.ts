import type { Plain, SignalSpec } from '../device.ts'
import { duration, name, number, type OptionsOf, optional, requiredText, text } from '../options.ts'
import type { Quantity } from './quantity.ts'

const LIMIT = 1e12
/** Below the address of every device. */
const TAKEN = ['ok', 'error', 'simulated']
/** Floats of the kernel's scales would show digits that nobody measured. */
const DIGITS = 7

/** What can be said of each channel that is read. */
export function channelColumns(channel: string) {
  return {
    channel: requiredText(channel),
    key: name('Its level of the address. Left out: the channel.'),
    gain: number('Readings are multiplied by it.', 1, { min: -LIMIT, max: LIMIT }),
    offset: number('Is added then.', 0, { min: -LIMIT, max: LIMIT }),
    unit: text('Unit after gain and offset. Left out: that of the channel.'),
    min: optional(number('Lowest reading that clients are to expect.', 0, { min: -LIMIT, max: LIMIT })),
    max: optional(number('Highest one.', 0, { min: -LIMIT, max: LIMIT })),
    deadband: optional(number('Smaller changes are not told. In its unit.', 0, { min: 0, max: LIMIT })),
    heartbeat: duration('An unchanged reading is told again after so long; 0s = never.', 60_000, {
      minMs: 0,
      maxMs: 86_400_000,
    }),
  }
}

export type ChannelRow = OptionsOf<ReturnType<typeof channelColumns>>

/** A row of which only some columns are set. */
export function plainRow(channel: string, key: string): ChannelRow {
  const unset = { unit: undefined, min: undefined, max: undefined, deadband: undefined }
  return { channel, key, gain: 1, offset: 0, heartbeat: 60_000, ...unset }
}

/** Its level of the address. */
export function keyOf({ key, channel }: ChannelRow): string {
  return key ?? channel.toLowerCase().replace(/[^a-z0-9_-]+/g, '_')
}

/** Two signals at one address, or a range that is none; undefined: all is well. */
export function rowsProblem(rows: readonly ChannelRow[]): string | undefined {
  const keys = rows.map(keyOf)
  const taken = keys.find((key) => TAKEN.includes(key))
  if (taken !== undefined) return `no channel can have the key ${taken}: every device has a signal of that name`
  const twice = keys.find((key, at) => keys.indexOf(key) !== at)
  if (twice !== undefined) return `two channels have the key ${twice}`
  const odd = rows.find(({ min, max }) => min !== undefined && max !== undefined && min >= max)
  return odd === undefined ? undefined : `min must be less than max in the channel ${odd.channel}`
}

export function channelSignal(row: ChannelRow, quantity: Quantity): SignalSpec {
  const { unit, gain, offset, min, max, deadband, heartbeat: heartbeatMs } = row
  const isConverted = unit !== undefined || gain !== 1 || offset !== 0
  const pace = deadband !== undefined ? { deadband } : isConverted ? {} : quantity.pace
  const range =
    min !== undefined && max !== undefined ? ([min, max] as const) : isConverted ? undefined : quantity.range
  return {
    type: 'param',
    datatype: quantity.unit === 'bool' ? 'bool' : 'f64',
    access: 'r',
    unit: unit ?? quantity.unit,
    range,
    description: quantity.description,
    pace: { ...pace, heartbeatMs },
  }
}

/** A reading in the kernel's unit, times `factor`, as clients are to see it. */
export function channelValue({ gain, offset }: ChannelRow, { unit }: Quantity, reading: number, factor: number): Plain {
  return unit === 'bool' ? reading !== 0 : Number((reading * factor * gain + offset).toPrecision(DIGITS))
}
