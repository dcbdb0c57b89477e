/**
 * What can be set of a device, as data: the configuration checks it and shows it to editors, the driver gets the checked
 * values. Durations are milliseconds here and texts such as `500ms` in the file.
 */
export interface OptionSpec<T = unknown> {
  readonly type:
    | 'flag'
    | 'whole'
    | 'number'
    | 'duration'
    | 'choice'
    | 'text'
    | 'line'
    | 'name'
    | 'bus'
    | 'chip'
    | 'port'
    | 'table'
  readonly description: string
  /** Undefined: it may be left out, or must be given (`isRequired`). */
  readonly fallback: T
  readonly isRequired?: boolean
  readonly unit?: string
  /** Of numbers, in `unit`; of durations, in milliseconds. */
  readonly min?: number
  readonly max?: number
  /** Of a choice. */
  readonly values?: readonly string[]
  /** Of a chip: addresses that it can have. */
  readonly addresses?: readonly number[]
  /** Of a table: its columns. */
  readonly columns?: OptionSpecs
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>

/** The checked values of a set of options. */
export type OptionsOf<S extends OptionSpecs> = { [K in keyof S]: S[K] extends OptionSpec<infer T> ? T : never }

interface Range {
  min: number
  max: number
  unit?: string
}

export function flag(description: string, fallback: boolean): OptionSpec<boolean> {
  return { type: 'flag', description, fallback }
}

export function whole(description: string, fallback: number, range: Range): OptionSpec<number> {
  return { type: 'whole', description, fallback, ...range }
}

/** A number that may have a fraction. */
export function number(description: string, fallback: number, range: Range): OptionSpec<number> {
  return { type: 'number', description, fallback, ...range }
}

/** Milliseconds. */
export function duration(
  description: string,
  fallbackMs: number,
  range: { minMs: number; maxMs: number },
): OptionSpec<number> {
  return { type: 'duration', description, fallback: fallbackMs, min: range.minMs, max: range.maxMs }
}

export function choice<const T extends string>(description: string, fallback: T, values: readonly T[]): OptionSpec<T> {
  return { type: 'choice', description, fallback, values }
}

export function text(description: string): OptionSpec<string | undefined> {
  return { type: 'text', description, fallback: undefined }
}

/** A text that has to be there. */
export function requiredText(description: string): OptionSpec<string> {
  return { type: 'text', description, fallback: '', isRequired: true }
}

/** A name within the configuration, such as that of an interlock: lower-case letters, digits, `_` and `-`. */
export function name(description: string): OptionSpec<string | undefined> {
  return { type: 'name', description, fallback: undefined }
}

/**
 * A GPIO line, which the device cannot do without: by name (`GPIO17`), as chip and offset (`gpiochip0:17`), or as a pin of
 * the board's header (`pin 11`).
 */
export function gpioLine(description: string): OptionSpec<string> {
  return { type: 'line', description, fallback: '', isRequired: true }
}

/** An I2C bus: its number as a text, or a path. */
export const i2cBus: OptionSpec<string> = {
  type: 'bus',
  description: 'I2C bus: its number (1 is /dev/i2c-1) or a path.',
  fallback: '1',
}

/** Address of a chip on its bus, one of those that it can be set to; the first one is usual. */
export function chipAddress(addresses: readonly number[]): OptionSpec<number> {
  return { type: 'chip', description: 'Address of the chip on its bus.', fallback: addresses[0], addresses }
}

/** A serial port, which the device cannot do without: `/dev/ttyUSB0` or `usb:0403:6001[:SERIAL]`. */
export function serialPort(description: string): OptionSpec<string> {
  return { type: 'port', description, fallback: '', isRequired: true }
}

/** A list of rows, each with the same columns. */
export function table<C extends OptionSpecs>(description: string, columns: C): OptionSpec<readonly OptionsOf<C>[]> {
  return { type: 'table', description, fallback: [], columns }
}

export function optional<T>(spec: OptionSpec<T>): OptionSpec<T | undefined> {
  return { ...spec, fallback: undefined, isRequired: false }
}

export function required<T>(spec: OptionSpec<T>): OptionSpec<T> {
  return { ...spec, isRequired: true }
}
