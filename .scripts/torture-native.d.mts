import type { Native } from './native.mjs'

/** Macros of the library, without CLASP_LINK_, of builds that differ much. */
export const builds: Record<'default' | 'smallest' | 'datagram' | 'largest', Record<string, number>>
/** The program `fuzz SECONDS [SEED]` for one of the builds, with sanitizers. */
export function ensureFuzz(name: keyof typeof builds): Native
