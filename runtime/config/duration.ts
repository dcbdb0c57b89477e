const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** What `parseDuration` takes, as a regular expression for JSON Schema. */
export const DURATION_PATTERN = '^\\s*\\d+(\\.\\d+)?\\s*(ms|s|m|h|d)?\\s*$'

/** Milliseconds of `16ms`, `30s`, `5m`, `1.5h`, `7d` or a bare number of seconds; undefined for anything else. */
export function parseDuration(input: unknown): number | undefined {
  if (typeof input === 'number') return input * 1000
  const match = typeof input === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*$/.exec(input) : null
  return match === null ? undefined : Number(match[1]) * UNITS[match[2] ?? 's']
}

/** The shortest text for milliseconds that `parseDuration` reads back. */
export function showDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const)
    if (ms > 0 && ms % UNITS[unit] === 0) return `${ms / UNITS[unit]}${unit}`
  return ms === 0 ? '0s' : `${ms}ms`
}
