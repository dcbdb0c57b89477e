import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'

/** A value as the vector files write it. */
export type VectorValue = { t: Value['type']; v?: unknown }

export interface FrameVector {
  name: string
  hex: string
  frame: {
    qos: number
    timestamp?: number | string
    encrypted: boolean
    compressed: boolean
    version: number
    payloadLength: number
  }
  message: Record<string, unknown>
  canonical: boolean
  encoding?: string
  optional?: boolean
}

export function loadVectors<T>(file: string): T {
  return JSON.parse(readFileSync(join('firmware-protocol', 'vectors', file), 'utf8')) as T
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** Members of messages that hold 64-bit integers. */
const WIDE = new Set([
  'time',
  'revision',
  'sinceRevision',
  'timestamp',
  'from',
  'to',
  't1',
  't2',
  't3',
  'startTime',
  'duration',
])
const VALUES = new Set(['value', 'payload', 'default'])

/** A vector's message in the form that our codec uses. */
export function toMessage(vector: Record<string, unknown>): Message {
  return convert(vector) as Message
}

function convert(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(convert)
  if (typeof node !== 'object' || node === null) return node
  const result: Record<string, unknown> = {}
  for (const [key, member] of Object.entries(node)) {
    if (VALUES.has(key)) result[key] = toValue(member as VectorValue)
    else if (key === 'meta' && Array.isArray(member))
      result[key] = member.map(([name, value]) => [name, toValue(value)])
    else if (key === 'revisions') result[key] = (member as [string, number | string][]).map(([a, r]) => [a, integer(r)])
    else if (WIDE.has(key)) result[key] = integer(member as number | string)
    else result[key] = convert(member)
  }
  return result
}

export function toValue({ t, v }: VectorValue): Value {
  switch (t) {
    case 'null':
      return { type: 'null' }
    case 'bytes':
      return { type: 'bytes', value: fromHex(v as string) }
    case 'array':
      return { type: 'array', value: (v as VectorValue[]).map(toValue) }
    case 'map':
      return { type: 'map', value: (v as [string, VectorValue][]).map(([key, item]) => [key, toValue(item)]) }
    case 'i64':
      return { type: 'i64', value: integer(v as number | string) }
    case 'f32':
    case 'f64':
      return { type: t, value: v === '-0' ? -0 : Number(v) }
    default:
      return { type: t, value: v } as Value
  }
}

function integer(value: number | string): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(value)
}

/** Drops members that are undefined, so that absent and undefined compare equal. */
export function present(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(present)
  if (node instanceof Uint8Array || typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, present(member)]),
  )
}
