/** One device as the configuration names it. Times are in milliseconds. */
export interface DeviceEntry {
  readonly name: string
  /** That of a driver in the registry. */
  readonly kind: string
  /** Instead of /<namespace>/<name>. */
  readonly address?: string
  readonly description?: string
  /** Undefined: as the runtime does in general. */
  readonly simulate?: boolean
  /** Time between readings; undefined: as the driver proposes. */
  readonly every?: number
  /** The driver's options, all of them. */
  readonly options: Readonly<Record<string, unknown>>
  /** By key of the signal; the device itself has the key `value`. */
  readonly signals: Readonly<Record<string, SignalSettings>>
}

/** What is done to one signal between its reading and its message, in this order. */
export interface SignalSettings {
  /** The middle one of so many readings counts. */
  readonly median?: number
  /** reading · gain + offset, in the unit of the signal. */
  readonly gain?: number
  readonly offset?: number
  /** In the unit of the signal. */
  readonly deadband?: number
  readonly heartbeat?: number
  /** Messages a second. */
  readonly maxRate?: number
}

/** Key of the device's own address in `DeviceEntry.signals`, where an empty one would look like a mistake. */
export const OWN_SIGNAL = 'value'
