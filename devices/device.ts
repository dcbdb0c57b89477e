import type { SignalDefinition } from '../firmware-protocol/wire/message.ts'
import type { FailSafeOptions, SafeReason } from './fail-safe.ts'
import type { I2cBuses } from './i2c/bus.ts'
import type { LineError, Lines } from './io/lines.ts'
import type { OneWireBuses } from './one-wire/buses.ts'
import type { OptionSpecs, OptionsOf } from './options.ts'
import type { SerialPorts } from './serial/ports.ts'

/** What a driver publishes and is written: numbers, truth, text, or a map of these. Null: there is no value. */
export type Plain = number | boolean | string | null | { readonly [key: string]: number | boolean | string | null }

/** One signal of a device. Its address is that of the device, with `/` and its key behind it; the key `''` is the device itself. */
export interface SignalSpec {
  readonly type: 'param' | 'event' | 'stream' | 'gesture'
  readonly datatype: 'bool' | 'i64' | 'f64' | 'string' | 'map'
  /** As clients see it. */
  readonly access: 'r' | 'w' | 'rw'
  /** UCUM-like, bridges.md §2.12: `Cel`, `%`, `Hz`, `deg`, `normalized`. */
  readonly unit?: string
  readonly range?: readonly [min: number, max: number]
  readonly fallback?: Plain
  readonly description: string
  /** How often changes go out (bridges.md §2.9). */
  readonly pace?: Pace
}

/** Which readings are worth a message. */
export interface Pace {
  /** Smallest change, in the unit of the signal. */
  readonly deadband?: number
  /** Smallest change as a share of the last value. */
  readonly deadbandRelative?: number
  /** An unchanged value is sent again after so long; 0 = never. */
  readonly heartbeatMs?: number
  /** Messages a second; the last value always goes out. 0 = no limit. */
  readonly maxRateHz?: number
}

/** Time as drivers see it; the runtime hands in its clock. */
export interface DeviceClock {
  /** Monotonic milliseconds with a fraction. */
  now(): number
  /** Microseconds since the Unix epoch. */
  wallUs(): number
  timer(delayMs: number, callback: () => void): { cancel(): void }
}

/** Programs of drivers, in C because of system calls that Node.js does not have: `devices/<room>/c`. */
export type DeviceProgram = 'clasp-input'

/** What a driver gets to work with. Everything it starts ends with `signal` or in `close`. */
export interface DeviceContext<S extends OptionSpecs = OptionSpecs> {
  readonly name: string
  readonly options: OptionsOf<S>
  readonly lines: Lines
  readonly i2c: I2cBuses
  readonly serial: SerialPorts
  readonly oneWire: OneWireBuses
  /** Files of the kernel, for what has no line: `/sys` or a copy of it in a test. */
  readonly sysfs: string
  /** Device files: `/dev`, or a folder of a test. */
  readonly dev: string
  /** A program that comes with the runtime; null: it is not installed. */
  program(name: DeviceProgram): Promise<string | null>
  /** There is no hardware: what has no simulated line is made up by the driver. */
  readonly isSimulated: boolean
  readonly clock: DeviceClock
  readonly signal: AbortSignal
  /**
   * What a param was before: in the last run, from the journal, or until the hardware went. Of those that clients may not set
   * nothing is left after that.
   */
  last(key: string): Plain | undefined
  /** Sets a param of its own. Null: there is no value at present. */
  set(key: string, value: Plain): void
  /** Publishes an event or a sample of a stream. */
  emit(key: string, payload: Plain): void
  gesture(key: string, phase: 'start' | 'move' | 'end' | 'cancel', payload: Plain): void
  /** Tells operators and clients (`…/error`): `code` is a word for machines, `message` says what happened and what to do. */
  problem(code: string, message: string): void
  /** The hardware is there, and some of it does not work: `…/ok` is false until it is told `''`. */
  failing(reason: string): void
  /** The hardware has gone: the device is closed and opened again when it is back. */
  lost(error: Error | LineError): void
}

/** A device whose hardware is there. */
export interface OpenDevice {
  /** By signal: what a client wrote, already of the declared datatype and within the range. */
  readonly write?: Readonly<Record<string, (value: Plain) => void>>
  /** Of a simulated device, by `simulatedInputs`: what a client plays. */
  readonly play?: Readonly<Record<string, (value: Plain) => void>>
  /** Takes readings, by signal; rejects when the hardware answers nonsense or not at all. Called one at a time. */
  read?(): Promise<Readonly<Record<string, Plain>>>
  /**
   * Puts outputs into their safe state. Params that clients set take its value then, so that a new command is needed; with
   * `keepsWish` they stay what they are, for they will be written again. `output`: only that one of `DeviceKind.outputs`.
   */
  safe?(reason: SafeReason, keepsWish: boolean, output?: string): void | Promise<void>
  /** Lets go of the hardware. Outputs are in their safe state then. */
  close(): void | Promise<void>
}

/** A stream of a simulated device, made of its made-up readings. */
export interface SimulatedStream {
  readonly key: string
  readonly rateHz: number
  sample(readings: Readonly<Record<string, Plain>>): Plain
}

/** A driver: one kind of device. */
export interface DeviceKind<S extends OptionSpecs = OptionSpecs> {
  /** As the configuration calls it. */
  readonly kind: string
  readonly description: string
  /** First level of its usual address: `/gpio/<name>`. */
  readonly namespace: string
  readonly options: S
  /** By key; see `SignalSpec`. */
  signals(options: OptionsOf<S>): Readonly<Record<string, SignalSpec>>
  /** How often `read` is called, ms. Required of those that have it. */
  readonly sampleMs?: number
  /** Longest pause between attempts to open it, ms, where looking for it costs little. Default: a minute. */
  readonly retryMs?: number
  /** Its hardware forgets what it was told while it is away: after failed readings it is closed and opened anew. */
  readonly isReopened?: boolean
  /** It is an output: its options have `failSafeOptions` among them, on which the runtime acts. */
  readonly isFailSafe?: boolean
  /** It has outputs, which hang in the air while it is lost. */
  readonly hasOutputs?: boolean
  /** By key: those of its params that are outputs, with what lies below them. The runtime acts on their options. */
  outputs?(options: OptionsOf<S>): Readonly<Record<string, FailSafeOptions>>
  /** Its simulated twin is the driver itself, on simulated lines, buses and ports; otherwise readings are made up. */
  readonly isOwnTwin?: boolean
  /** What clients can play of a simulated one besides its lines and readings, below `…/simulated/`; see `OpenDevice.play`. */
  simulatedInputs?(options: OptionsOf<S>): Readonly<Record<string, SignalSpec>>
  /** What a sensor whose readings are made up streams besides them. */
  simulatedStream?(options: OptionsOf<S>): SimulatedStream | undefined
  /** What does not fit together in the options, for the operator; undefined: nothing. */
  check?(options: OptionsOf<S>): string | undefined
  /** What no other device may use besides its lines, ports and chips, in words: `the LED ACT`. */
  claims?(options: OptionsOf<S>): readonly string[]
  /** Rejects with what is missing or wrong: the hardware is tried again later. */
  open(context: DeviceContext<S>): Promise<OpenDevice>
}

/** Any driver, for the registry. */
export type AnyDeviceKind = Omit<
  DeviceKind,
  'signals' | 'outputs' | 'simulatedInputs' | 'simulatedStream' | 'check' | 'claims' | 'open'
> & {
  signals(options: Record<string, unknown>): Readonly<Record<string, SignalSpec>>
  outputs?(options: Record<string, unknown>): Readonly<Record<string, FailSafeOptions>>
  simulatedInputs?(options: Record<string, unknown>): Readonly<Record<string, SignalSpec>>
  simulatedStream?(options: Record<string, unknown>): SimulatedStream | undefined
  check?(options: Record<string, unknown>): string | undefined
  claims?(options: Record<string, unknown>): readonly string[]
  open(context: DeviceContext): Promise<OpenDevice>
}

/** Checks a driver's types and forgets those of its options: the configuration has checked the values. */
export function defineDevice<S extends OptionSpecs>(kind: DeviceKind<S>): AnyDeviceKind {
  return kind as unknown as AnyDeviceKind
}

/** A signal as ANNOUNCE tells it. */
export function announced(address: string, spec: SignalSpec): SignalDefinition {
  const { type, datatype, access, unit, range, fallback, description } = spec
  return {
    address,
    type,
    datatype,
    access,
    meta: {
      unit,
      range: range === undefined ? undefined : [range[0], range[1]],
      default: typeof fallback === 'boolean' ? { type: 'bool', value: fallback } : undefined,
      description,
    },
  }
}

/** For most outputs and inputs. */
export function boolParam(access: 'r' | 'rw', description: string): SignalSpec {
  return { type: 'param', datatype: 'bool', access, unit: 'bool', range: [0, 1], description }
}
