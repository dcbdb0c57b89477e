import { name, type OptionSpec } from './options.ts'

/** Below the address of every device. */
const TAKEN: readonly string[] = ['ok', 'error', 'simulated']

/** A name that a row of a table cannot do without, which becomes a part of an address. */
export const rowName: OptionSpec<string> = {
  ...name('Its name, which is part of its address.'),
  fallback: '',
  isRequired: true,
}

/** Two rows of one name or of one place, or a name that cannot be; undefined: none. */
export function nameProblem(rows: readonly { name: string; place: string }[]): string | undefined {
  const seen = new Set<string>()
  for (const { name, place } of rows) {
    if (TAKEN.includes(name)) return `${place} cannot be called ${name}: every device has a signal of that name`
    if (seen.has(`name ${name}`)) return `two rows have the name ${name}`
    if (seen.has(place)) return `two rows are for ${place}`
    seen.add(`name ${name}`).add(place)
  }
  return undefined
}
