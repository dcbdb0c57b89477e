/** Path of a program, or why there is none and what to install. */
export type Native = { path: string; reason?: undefined } | { path?: undefined; reason: string }

export interface CompileOptions {
  /** Folder of the project. */
  root?: string
  compiler?: string
  /** Standard and warnings. */
  strict?: string[]
}

/** Folder of the library's sources. */
export const LIBRARY: string
/** Flags that set the sizes of the library: { MTU: 128 } becomes -DCLASP_LINK_MTU=128. */
export function sizes(values: Record<string, number>): string[]
/** The simulated microcontroller, dist/simulated-node. Throws what the compiler says when it is not content. */
export function ensureNative(root?: string): Native
/** dist/clasp-io, or dist/clasp-io-fake. Throws what the compiler says when it is not content. */
export function ensureLineHolder(root?: string, isFake?: boolean): Native
/** dist/clasp-i2c, or dist/clasp-i2c-fake. Throws what the compiler says when it is not content. */
export function ensureI2cBus(root?: string, isFake?: boolean): Native
/** dist/clasp-input. Throws what the compiler says when it is not content. */
export function ensureInputReader(root?: string): Native
/** dist/clasp-dmx. Throws what the compiler says when it is not content. */
export function ensureDmxLine(root?: string): Native
export function cFilesOf(root: string, folder: string): string[]
/** dist/NAME, compiled anew when a file in the folders of its sources is newer. */
export function compile(name: string, sources: string[], flags: string[], options?: CompileOptions): Native
/** The first of these commands that can be run. */
export function findCompiler(names?: string[]): string | undefined
