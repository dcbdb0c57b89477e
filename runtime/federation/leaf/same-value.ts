import type { Value } from '../../../firmware-protocol/wire/value.ts'

/** Whether two values mean the same: widths of numbers do not count, nor does the order of a map, which hubs do not keep. */
export function isSameValue(a: Value, b: Value): boolean {
  switch (a.type) {
    case 'null':
      return b.type === 'null'
    case 'bool':
    case 'string':
      return b.type === a.type && b.value === a.value
    case 'i8':
    case 'i16':
    case 'i32':
    case 'i64':
      return (b.type === 'i8' || b.type === 'i16' || b.type === 'i32' || b.type === 'i64') && b.value === a.value
    case 'f32':
    case 'f64':
      return (b.type === 'f32' || b.type === 'f64') && Object.is(b.value, a.value)
    case 'bytes':
      return b.type === 'bytes' && a.value.length === b.value.length && a.value.every((byte, i) => byte === b.value[i])
    case 'array':
      return (
        b.type === 'array' && a.value.length === b.value.length && a.value.every((v, i) => isSameValue(v, b.value[i]))
      )
    case 'map': {
      if (b.type !== 'map' || a.value.length !== b.value.length) return false
      const other = new Map(b.value)
      return a.value.every(([key, value]) => {
        const match = other.get(key)
        return match !== undefined && isSameValue(value, match)
      })
    }
  }
}

/** Bytes that a value takes in a frame, about. */
export function valueSize(value: Value): number {
  switch (value.type) {
    case 'string':
      return 3 + 3 * value.value.length
    case 'bytes':
      return 3 + value.value.length
    case 'array':
      return value.value.reduce((sum, item) => sum + valueSize(item), 3)
    case 'map':
      return value.value.reduce((sum, [key, item]) => sum + 2 + 3 * key.length + valueSize(item), 3)
    default:
      return 9
  }
}
