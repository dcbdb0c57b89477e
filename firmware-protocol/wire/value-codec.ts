import { MAX_VALUE_DEPTH, ValueCode } from './constants.ts'
import { EncodeError } from './errors.ts'
import type { Reader } from './reader.ts'
import type { Value } from './value.ts'
import type { Writer } from './writer.ts'

/** Reads value data of the given type code; the type byte has been read. Wire reference §5.1. */
export function readValue(r: Reader, code: number, depth = 0): Value {
  switch (code) {
    case ValueCode.null:
      return { type: 'null' }
    case ValueCode.bool:
      return { type: 'bool', value: r.u8('bool value') !== 0 }
    case ValueCode.i8:
      return { type: 'i8', value: r.i8('i8 value') }
    case ValueCode.i16:
      return { type: 'i16', value: r.i16('i16 value') }
    case ValueCode.i32:
      return { type: 'i32', value: r.i32('i32 value') }
    case ValueCode.i64:
      return { type: 'i64', value: r.i64('i64 value') }
    case ValueCode.f32:
      return { type: 'f32', value: r.f32('f32 value') }
    case ValueCode.f64:
      return { type: 'f64', value: r.f64('f64 value') }
    case ValueCode.string:
      return { type: 'string', value: r.string('string value') }
    case ValueCode.bytes:
      return { type: 'bytes', value: r.copy(r.u16('length of bytes value'), 'bytes value') }
    case ValueCode.array:
    case ValueCode.map:
      break
    default:
      r.fail(`unknown value type 0x${code.toString(16).padStart(2, '0')}`, r.offset)
      return { type: 'null' }
  }
  if (depth >= MAX_VALUE_DEPTH) {
    r.fail(`values are nested deeper than ${MAX_VALUE_DEPTH}`)
    return { type: 'null' }
  }
  const count = r.u16(code === ValueCode.map ? 'count of map' : 'count of array')
  // The list grows while there are bytes: a declared count costs nothing.
  if (code === ValueCode.array) {
    const items: Value[] = []
    for (let i = 0; i < count && r.failure === undefined; i++) items.push(readTyped(r, depth + 1))
    return { type: 'array', value: items }
  }
  // Of duplicate keys the last one counts.
  const entries = new Map<string, Value>()
  for (let i = 0; i < count && r.failure === undefined; i++) {
    const key = r.string('map key')
    entries.set(key, readTyped(r, depth + 1))
  }
  return { type: 'map', value: [...entries] }
}

/** Reads a type byte and its value. */
export function readTyped(r: Reader, depth = 0): Value {
  const code = r.u8('value type')
  return r.failure === undefined ? readValue(r, code, depth) : { type: 'null' }
}

/** Writes value data without its type byte; returns nothing, throws an EncodeError for what has no encoding. */
export function writeValue(w: Writer, value: Value, depth = 0): void {
  switch (value.type) {
    case 'null':
      return
    case 'bool':
      w.u8(value.value ? 1 : 0, 'bool value')
      return
    case 'i8':
      w.i8(value.value, 'i8 value')
      return
    case 'i16':
      w.i16(value.value, 'i16 value')
      return
    case 'i32':
      w.i32(value.value, 'i32 value')
      return
    case 'i64':
      w.i64(value.value, 'i64 value')
      return
    case 'f32':
      w.f32(value.value)
      return
    case 'f64':
      w.f64(value.value)
      return
    case 'string':
      w.string(value.value, 'string value')
      return
    case 'bytes':
      w.u16(value.value.length, 'length of bytes value')
      w.raw(value.value)
      return
  }
  if (depth >= MAX_VALUE_DEPTH) throw new EncodeError(`values are nested deeper than ${MAX_VALUE_DEPTH}`)
  w.u16(value.value.length, `count of ${value.type}`)
  if (value.type === 'array') {
    for (const item of value.value) writeTyped(w, item, depth + 1)
    return
  }
  for (const [key, item] of value.value) {
    w.string(key, 'map key')
    writeTyped(w, item, depth + 1)
  }
}

export function writeTyped(w: Writer, value: Value, depth = 0): void {
  w.u8(ValueCode[value.type], 'value type')
  writeValue(w, value, depth)
}
