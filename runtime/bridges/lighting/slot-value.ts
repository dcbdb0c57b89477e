import type { Value } from '../../../firmware-protocol/wire/value.ts'

/** CLASP values and the levels of DMX slots, for all bridges of the family. Source: bridges.md §5.2, §5.3. */

/** How numbers become levels; see `slotOf`. */
export type Scale = 'auto' | 'raw' | 'normalized'

const FULL = 255
const FULL_16 = 65_535

/**
 * Level 0…255. Null: the slot is released; undefined: the value is no level.
 * `auto`: whole numbers are levels, fractions up to 1 a share of full, above 1 levels. `raw`: all are levels.
 * `normalized`: all are shares of full.
 */
export function slotOf(value: Value, scale: Scale): number | null | undefined {
  return levelOf(value, scale, FULL)
}

/** Level 0…65 535 of a coarse and a fine slot, by the same rules. */
export function pairOf(value: Value, scale: Scale): number | null | undefined {
  return levelOf(value, scale, FULL_16)
}

/** A level as a param: i64 0…255, or f64 0…1. */
export function valueOfSlot(level: number, isNormalized: boolean): Value {
  return isNormalized ? { type: 'f64', value: level / FULL } : { type: 'i64', value: level }
}

/** The value that means this level of a slot or a pair on that scale. */
export function levelValue(level: number, isPair: boolean, scale: Scale): Value {
  if (scale !== 'normalized') return { type: 'i64', value: level }
  return { type: 'f64', value: level / (isPair ? FULL_16 : FULL) }
}

/** A bare number, as samples of streams are: whole ones cannot be told from fractions, so they count as fractions. */
export function slotOfNumber(value: number, scale: Scale): number {
  return numberLevel(value, false, scale, FULL)
}

function levelOf(value: Value, scale: Scale, full: number): number | null | undefined {
  switch (value.type) {
    case 'null':
      return null
    case 'bool':
      return value.value ? full : 0
    case 'i8':
    case 'i16':
    case 'i32':
    case 'i64':
      return numberLevel(Number(value.value), true, scale, full)
    case 'f32':
    case 'f64':
      return numberLevel(value.value, false, scale, full)
    default:
      return undefined
  }
}

function numberLevel(value: number, isWhole: boolean, scale: Scale, full: number): number {
  // NaN is not above zero either.
  if (!(value > 0)) return 0
  const isShare = scale === 'normalized' || (scale === 'auto' && !isWhole && value <= 1)
  return Math.min(full, Math.round(isShare ? value * full : value))
}
