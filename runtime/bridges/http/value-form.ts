import type { U64 } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { jsonFromValue, valueFromJson } from '../json-value.ts'
import { HttpError } from './http-error.ts'

const BYTES_KEY = '$bytes'
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** How values and times are written: `?bytes=base64` and `?time=iso`. Source: bridges.md §11.3. */
export class ValueForm {
  readonly isBase64: boolean
  readonly isIso: boolean

  /** Throws an HttpError for a form that there is not. */
  constructor(query: URLSearchParams) {
    this.isBase64 = isChosen(query, 'bytes', 'base64', 'array')
    this.isIso = isChosen(query, 'time', 'iso', 'us')
  }

  value(value: Value): string {
    return jsonFromValue(this.isBase64 ? withBase64(value) : value)
  }

  /** Microseconds since the Unix epoch, or ISO 8601 with as many digits. */
  time(us: U64): string {
    if (!this.isIso) return String(us)
    const ms = Number(BigInt(us) / 1000n)
    const rest = String(BigInt(us) % 1000n).padStart(3, '0')
    // Beyond what a Date can tell there is only the number.
    return ms <= 8.64e15 ? JSON.stringify(new Date(ms).toISOString().replace('Z', `${rest}Z`)) : String(us)
  }
}

function isChosen(query: URLSearchParams, name: string, wanted: string, usual: string): boolean {
  const chosen = query.get(name) ?? usual
  if (chosen !== wanted && chosen !== usual)
    throw new HttpError('bad_request', `${name}=${chosen} is not known: expected ${usual} or ${wanted}`)
  return chosen === wanted
}

function withBase64(value: Value): Value {
  if (value.type === 'bytes') {
    return { type: 'map', value: [[BYTES_KEY, { type: 'string', value: Buffer.from(value.value).toString('base64') }]] }
  }
  if (value.type === 'array') return { type: 'array', value: value.value.map(withBase64) }
  if (value.type === 'map') return { type: 'map', value: value.value.map(([key, item]) => [key, withBase64(item)]) }
  return value
}

/** JSON in which `{"$bytes":"<base64>"}` stands for bytes. Throws an HttpError when it is none. */
export function readJson(text: string): Value {
  const value = valueFromJson(text)
  if (value === undefined) {
    const problem = text.trim() === '' ? 'the body is empty' : 'the body is not JSON, or nested deeper than 32'
    throw new HttpError('bad_request', `${problem}: expected a JSON value`)
  }
  return withBytes(value)
}

function withBytes(value: Value): Value {
  if (value.type === 'array') return { type: 'array', value: value.value.map(withBytes) }
  if (value.type !== 'map') return value
  const [first] = value.value
  if (value.value.length === 1 && first[0] === BYTES_KEY && first[1].type === 'string') {
    if (!BASE64.test(first[1].value)) throw new HttpError('bad_request', `${BYTES_KEY}: this is not base64`)
    return { type: 'bytes', value: Uint8Array.from(Buffer.from(first[1].value, 'base64')) }
  }
  return { type: 'map', value: value.value.map(([key, item]) => [key, withBytes(item)]) }
}

/** An object of members that are JSON text already; those that are undefined are left out. */
export function jsonObject(members: Readonly<Record<string, string | undefined>>): string {
  const parts: string[] = []
  for (const [key, text] of Object.entries(members)) if (text !== undefined) parts.push(`"${key}":${text}`)
  return `{${parts.join(',')}}`
}
