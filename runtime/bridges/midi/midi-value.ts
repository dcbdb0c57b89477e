import type { Value } from '../../../firmware-protocol/wire/value.ts'

/** A value as a number; truth is 1 or 0. Undefined: it is none. */
export function numberIn(value: Value | undefined): number | undefined {
  switch (value?.type) {
    case 'bool':
      return value.value ? 1 : 0
    case 'i8':
    case 'i16':
    case 'i32':
    case 'i64':
    case 'f32':
    case 'f64': {
      const number = Number(value.value)
      return Number.isNaN(number) ? undefined : number
    }
    default:
      return undefined
  }
}

/** 0 … `highest`, and beyond it the nearest. `normalize`: the value is a fraction of it; truth is all of it. */
export function levelIn(value: Value, highest: number, normalize: boolean): number | undefined {
  const number = numberIn(value)
  if (number === undefined) return undefined
  const isShare = normalize || value.type === 'bool'
  return Math.min(highest, Math.max(0, isShare ? Math.round(number * highest) : Math.trunc(number)))
}

export function memberIn(value: Value, name: string): Value | undefined {
  return value.type === 'map' ? value.value.findLast(([key]) => key === name)?.[1] : undefined
}

/** Bytes, or numbers 0 to 255 as JSON has them. */
export function bytesIn(value: Value | undefined): Uint8Array | undefined {
  if (value?.type === 'bytes') return value.value
  if (value?.type !== 'array') return undefined
  const numbers = value.value.map(numberIn)
  const isBytes = numbers.every((one) => one !== undefined && Number.isInteger(one) && one >= 0 && one <= 255)
  return isBytes ? Uint8Array.from(numbers as number[]) : undefined
}

export function int(value: number): Value {
  return { type: 'i64', value }
}

export function float(value: number): Value {
  return { type: 'f64', value }
}
