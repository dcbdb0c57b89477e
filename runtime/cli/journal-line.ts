import { SIGNALS } from '../../firmware-protocol/wire/codes.ts'
import { ValueCode } from '../../firmware-protocol/wire/constants.ts'
import type { Signal } from '../../firmware-protocol/wire/message.ts'
import { Reader } from '../../firmware-protocol/wire/reader.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { readValue, writeValue } from '../../firmware-protocol/wire/value-codec.ts'
import { Writer } from '../../firmware-protocol/wire/writer.ts'
import type { ExportLine } from '../journal/offline.ts'
import { TtlMode } from '../router/param.ts'
import { CommandError } from './command.ts'
import { jsonLine } from './json-line.ts'

/**
 * One line of an export. `value` is for people and their tools; where JSON cannot hold all of it (numbers beyond 2^53, NaN,
 * the types inside of lists and maps), `hex` has the encoded value, and counts.
 */
export function exportText(line: ExportLine): string {
  const { kind, timeUs: time, author, address, revision, value } = line
  const own =
    line.kind === 'entry' ? { seq: line.seq, signal: line.signal } : { ttlMode: line.ttlMode, ttlMs: line.ttlMs }
  const members = { kind, time, author, address, revision, ...own, type: value?.type, hex: hexOf(value) }
  return jsonLine(members, { value: value ?? undefined })
}

/** The opposite of `exportText`. Throws a CommandError that names place and fault; `place` is file and line. */
export function importLine(text: string, place: string): ExportLine {
  const fail = (fault: string): never => {
    throw new CommandError(`${place}: ${fault}: nothing from this line on was imported`)
  }
  let members: Record<string, unknown> = {}
  try {
    members = JSON.parse(text) as Record<string, unknown>
  } catch {
    fail('this is not JSON; expected a line of "clasp-edge journal export"')
  }
  const string = (name: string): string =>
    typeof members[name] === 'string' ? (members[name] as string) : fail(`"${name}" must be a text`)
  const number = (name: string): number =>
    Number.isSafeInteger(members[name]) && (members[name] as number) >= 0
      ? (members[name] as number)
      : fail(`"${name}" must be a whole number, 0 or more`)
  if (typeof members !== 'object' || members === null) fail('this is not an object')
  const common = {
    timeUs: number('time'),
    author: string('author'),
    address: string('address'),
    revision: number('revision'),
  }
  const value = valueIn(members, fail)
  if (members.kind === 'param') {
    if (value === null) return fail('a param needs a "type" and a "value"')
    const ttlMode = number('ttlMode')
    if (!Object.values<number>(TtlMode).includes(ttlMode)) return fail(`"ttlMode" ${ttlMode} is unknown`)
    return { kind: 'param', ...common, value, ttlMode, ttlMs: number('ttlMs') }
  }
  if (members.kind !== 'entry') fail('"kind" must be "entry" or "param"')
  const signal = string('signal')
  if (!(SIGNALS as readonly string[]).includes(signal)) fail(`"${signal}" is no kind of signal`)
  return { kind: 'entry', ...common, seq: number('seq'), signal: signal as Signal, value }
}

/** null = without a value. */
function valueIn(members: Record<string, unknown>, fail: (fault: string) => never): Value | null {
  const { type, value, hex } = members
  if (type === undefined) return null
  if (typeof type !== 'string' || !(type in ValueCode))
    return fail(`"type" must be one of ${Object.keys(ValueCode).join(', ')}`)
  if (hex !== undefined) {
    const bytes =
      typeof hex === 'string' && /^([\da-f]{2})*$/i.test(hex)
        ? Uint8Array.from(Buffer.from(hex, 'hex'))
        : fail('"hex" is not hexadecimal')
    const reader = new Reader(bytes, 0, bytes.length)
    const read = readValue(reader, ValueCode[type as keyof typeof ValueCode])
    return reader.failure === undefined && reader.left === 0 ? read : fail(`"hex" is not a value of the type ${type}`)
  }
  const simple = { type, value } as Value
  if (type === 'null') return { type }
  if (type === 'bool' ? typeof value === 'boolean' : type === 'string' ? typeof value === 'string' : false)
    return simple
  if (type === 'bytes' && typeof value === 'string' && /^([\da-f]{2})*$/i.test(value)) {
    return { type, value: Uint8Array.from(Buffer.from(value, 'hex')) }
  }
  const isWhole = /^[iu]\d+$/.test(type)
  if (isWhole ? Number.isSafeInteger(value) : /^f\d+$/.test(type) && typeof value === 'number') return simple
  return fail(`"value" does not fit the type ${type}`)
}

function hexOf(value: Value | null): string | undefined {
  if (value === null || !needsHex(value)) return undefined
  const writer = new Writer()
  writeValue(writer, value)
  return Buffer.from(writer.finish()).toString('hex')
}

function needsHex(value: Value): boolean {
  if (value.type === 'array' || value.type === 'map') return true
  return (
    'value' in value &&
    (typeof value.value === 'bigint' || (typeof value.value === 'number' && !Number.isFinite(value.value)))
  )
}
