export interface Target {
  name: string
  /** Of the compiler's commands. */
  prefix: string
  flags: string[]
  /** Debian packages. */
  install: string
}

export interface Configuration {
  name: string
  /** Macros of the library without CLASP_LINK_. */
  sizes: Record<string, number>
}

/** Bytes. */
export interface Footprint {
  /** Code and constants. */
  flash: number
  /** RAM besides the clasp_link. */
  static: number
  /** Size of a clasp_link. */
  total: number
  /** Part of it that holds frames. */
  buffers: number
  /** Part of it that grows with the number of signals. */
  signals: number
  /** Deepest chain of calls, where the compiler can tell. */
  stack?: number
}

export const targets: Target[]
export const configurations: Configuration[]
/** Null where the compiler is there, else what to install. */
export function missing(target: Target): string | null
export function measure(target: Target, configuration: Configuration): Footprint
