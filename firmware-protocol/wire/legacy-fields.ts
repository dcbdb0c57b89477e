import { MAX_VALUE_DEPTH } from './constants.ts'
import { DecodeError } from './errors.ts'
import type { Item } from './messagepack.ts'
import type { Value } from './value.ts'

const U8 = 0xff
const U16 = 0xffff
const U32 = 0xffff_ffff

/** The first thing that is wrong; what is read after it means nothing. */
export class Problems {
  first: DecodeError | undefined

  add(reason: string, at: number): void {
    this.first ??= new DecodeError('message', reason, at)
  }
}

/** The fields of one map. Unknown keys are ignored; nil counts as absent only where a field is optional. */
export class Fields {
  readonly problems: Problems
  readonly at: number
  private readonly items = new Map<string, Item>()

  constructor(item: Item, problems: Problems) {
    this.problems = problems
    this.at = item.at
    if (item.kind !== 'map') {
      problems.add(`expected a map, got ${item.kind}`, item.at)
      return
    }
    for (const [key, value] of item.value) {
      if (key.kind !== 'string') continue
      if (key.value === 'type' && this.items.has('type')) problems.add('type is given twice', key.at)
      this.items.set(key.value, value)
    }
  }

  has(name: string): boolean {
    return this.items.has(name)
  }

  optional<T>(name: string, read: (item: Item, name: string) => T): T | undefined {
    const item = this.items.get(name)
    return item === undefined || item.kind === 'nil' ? undefined : read(item, name)
  }

  /** Absent means the default; nil is an error. */
  defaulted<T>(name: string, fallback: T, read: (item: Item, name: string) => T): T {
    const item = this.items.get(name)
    return item === undefined ? fallback : read(item, name)
  }

  required<T>(name: string, fallback: T, read: (item: Item, name: string) => T): T {
    const item = this.items.get(name)
    if (item !== undefined) return read(item, name)
    this.problems.add(`${name} is missing`, this.at)
    return fallback
  }

  readonly string = (item: Item, name: string): string => {
    if (item.kind === 'string') return item.value
    this.problems.add(`${name} must be a string, got ${item.kind}`, item.at)
    return ''
  }

  readonly bool = (item: Item, name: string): boolean => {
    if (item.kind === 'bool') return item.value
    this.problems.add(`${name} must be a boolean, got ${item.kind}`, item.at)
    return false
  }

  readonly float = (item: Item, name: string): number => {
    if (item.kind === 'float' || item.kind === 'int') return Number(item.value)
    this.problems.add(`${name} must be a number, got ${item.kind}`, item.at)
    return 0
  }

  readonly u64 = (item: Item, name: string): number | bigint => {
    if (item.kind === 'int' && item.value >= 0) return item.value
    this.problems.add(`${name} must be an unsigned integer`, item.at)
    return 0
  }

  readonly u32 = (item: Item, name: string): number => this.integer(item, name, U32)
  readonly u16 = (item: Item, name: string): number => this.integer(item, name, U16)
  readonly u8 = (item: Item, name: string): number => this.integer(item, name, U8)

  readonly value = (item: Item): Value => readValue(item, this.problems, 0)

  list<T>(read: (item: Item) => T): (item: Item, name: string) => T[] {
    return (item, name) => {
      if (item.kind === 'array') return item.value.map(read)
      this.problems.add(`${name} must be an array, got ${item.kind}`, item.at)
      return []
    }
  }

  oneOf<T extends string>(names: readonly T[]): (item: Item, name: string) => T {
    return (item, name) => {
      const found = names.find((allowed) => item.kind === 'string' && item.value === allowed)
      if (found === undefined) this.problems.add(`${name} must be one of ${names.join(', ')}`, item.at)
      return found ?? names[0]
    }
  }

  inner<T>(read: (fields: Fields) => T): (item: Item) => T {
    return (item) => read(new Fields(item, this.problems))
  }

  private integer(item: Item, name: string, max: number): number {
    if (item.kind === 'int' && item.value >= 0 && item.value <= max) return Number(item.value)
    this.problems.add(`${name} must be an integer from 0 to ${max}`, item.at)
    return 0
  }
}

function readValue(item: Item, problems: Problems, depth: number): Value {
  if (depth >= MAX_VALUE_DEPTH && (item.kind === 'array' || item.kind === 'map')) {
    problems.add(`values are nested deeper than ${MAX_VALUE_DEPTH}`, item.at)
    return { type: 'null' }
  }
  switch (item.kind) {
    case 'nil':
      return { type: 'null' }
    case 'bool':
      return { type: 'bool', value: item.value }
    case 'int':
      // An unsigned integer that i64 cannot hold becomes a float.
      return item.value > 0x7fff_ffff_ffff_ffffn
        ? { type: 'f64', value: Number(item.value) }
        : { type: 'i64', value: item.value }
    case 'float':
      return { type: 'f64', value: item.value }
    case 'string':
      return { type: 'string', value: item.value }
    case 'bin':
      return readBin(item.value)
    case 'array':
      return { type: 'array', value: item.value.map((element) => readValue(element, problems, depth + 1)) }
    case 'map':
      return {
        type: 'map',
        value: item.value.map(([key, element]): [string, Value] => {
          if (key.kind !== 'string') problems.add(`map keys must be strings, got ${key.kind}`, key.at)
          return [key.kind === 'string' ? key.value : '', readValue(element, problems, depth + 1)]
        }),
      }
  }
}

/** Upstream reads bytes that are valid UTF-8 as a string; others it refuses, which loses nothing by being taken as bytes. */
function readBin(bytes: Uint8Array): Value {
  try {
    return { type: 'string', value: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { type: 'bytes', value: bytes }
  }
}
