/** Seconds from 1900-01-01, where time tags start, to 1970-01-01. */
const UNIX_EPOCH_S = 2_208_988_800
const ERA_S = 2 ** 32
/** Before this number the seconds are those of the era that starts in 2036. */
const ERA_LIMIT_S = 2 ** 31

/**
 * A time tag (u32 seconds since 1900, u32 fractions of 2^-32 s) as Unix µs; `0, 1` means immediately and is 0. Good for
 * 1968 to 2104. Source: OSC 1.0 §Time Tags, RFC 5905 §6, bridges.md §3.5.
 */
export function unixUsOf(seconds: number, fraction: number): number {
  if (seconds === 0 && fraction === 1) return 0
  const since1900 = seconds < ERA_LIMIT_S ? seconds + ERA_S : seconds
  return (since1900 - UNIX_EPOCH_S) * 1_000_000 + Math.floor((fraction * 1_000_000) / ERA_S)
}

/** The time tag of Unix µs from 1968 to 2104; 0 is immediately. */
export function timeTagOf(unixUs: number): { seconds: number; fraction: number } {
  if (unixUs === 0) return { seconds: 0, fraction: 1 }
  const since1900 = Math.floor(unixUs / 1_000_000) + UNIX_EPOCH_S
  // Rounded up, so that the way back, which rounds down, ends where it began.
  return { seconds: since1900 % ERA_S, fraction: Math.ceil(((unixUs % 1_000_000) * ERA_S) / 1_000_000) }
}
