import type { Value } from '../../firmware-protocol/wire/value.ts'

/**
 * A value as JSON text. Integers keep all 64 bits; bytes become hexadecimal text; NaN and the infinities, which JSON
 * does not have, become null.
 */
export function valueJson(value: Value): string {
  switch (value.type) {
    case 'null':
      return 'null'
    case 'string':
      return JSON.stringify(value.value)
    case 'f32':
    case 'f64':
      return Number.isFinite(value.value) ? String(value.value) : 'null'
    case 'bytes':
      return `"${Buffer.from(value.value).toString('hex')}"`
    case 'array':
      return `[${value.value.map(valueJson).join(',')}]`
    case 'map':
      return `{${value.value.map(([key, item]) => `${JSON.stringify(key)}:${valueJson(item)}`).join(',')}}`
    default:
      return String(value.value)
  }
}

/** One object on one line; members that are undefined are left out, CLASP values are written by `valueJson`. */
export function jsonLine(members: Record<string, unknown>, values: Record<string, Value | undefined> = {}): string {
  const parts: string[] = []
  for (const [key, member] of Object.entries(members)) {
    if (member !== undefined) parts.push(`${JSON.stringify(key)}:${plainJson(member)}`)
  }
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) parts.push(`${JSON.stringify(key)}:${valueJson(value)}`)
  }
  return `{${parts.join(',')}}`
}

function plainJson(member: unknown): string {
  return typeof member === 'bigint' ? String(member) : JSON.stringify(member)
}
