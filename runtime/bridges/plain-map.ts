import type { Value } from '../../firmware-protocol/wire/value.ts'

/** A Map of texts and whole numbers: what bridges tell of themselves, and time codes. */
export function plainMap(members: Readonly<Record<string, string | number>>): Value {
  return {
    type: 'map',
    value: Object.entries(members).map(([key, value]) => [
      key,
      typeof value === 'string' ? { type: 'string', value } : { type: 'i64', value },
    ]),
  }
}
