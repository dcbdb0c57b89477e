import { ExtendedBit, LinkType, Op, TimeKind } from '../../firmware-protocol/link/constants.ts'
import { crc32 } from '../../firmware-protocol/link/crc.ts'
import { type Declaration, DescriptorBuilder } from '../../firmware-protocol/link/descriptor.ts'
import { readLinkValue, valueEnd } from '../../firmware-protocol/link/link-value.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import { decodeMessage } from '../../firmware-protocol/wire/decode-message.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { messageText, valueText } from './firmware-message-text.ts'

/** What the ids in the frames of one device stand for. */
export interface SignalNames {
  /** Undefined: not known yet. */
  nameOf(id: number): string | undefined
  /** One end has declared it within a frame. */
  onDeclared(id: number, address: string): void
}

/** By key. */
const INFOS = ['', 'firmware', 'hardware', 'vendor', 'build', 'reset reason', 'serial number']
const PHASES = ['start', 'move', 'end', 'cancel']
const EXTENSIONS = [
  [ExtendedBit.lock, 'lock'],
  [ExtendedBit.unlock, 'unlock'],
  [ExtendedBit.initial, 'initial'],
  [ExtendedBit.answer, 'answer wanted'],
] as const

/** The records of a data frame, `bytes[start, end)`, one text each. What is none is shown in hexadecimal. */
export function recordTexts(bytes: Uint8Array, start: number, end: number, names: SignalNames): string[] {
  const reader = new RecordReader()
  reader.open(bytes, start, end)
  const texts: string[] = []
  while (reader.next()) if (reader.op !== Op.nothing) texts.push(recordText(reader, names))
  if (reader.at < end) texts.push(`malformed: ${hexOf(bytes, reader.at, end)}`)
  return texts
}

function recordText(reader: RecordReader, names: SignalNames): string {
  const { op, type, id, bytes, valueAt, code } = reader
  const name = names.nameOf(id) ?? `#${id}`
  const value = () => valueText(readLinkValue(bytes, valueAt, type))
  switch (op) {
    case Op.value:
      return `${name} = ${value()}`
    case Op.extended:
      return `${name} = ${value()}${extensionText(reader)}`
    case Op.event:
      return `event ${name}${type === 0 ? '' : ` ${value()}`}`
    case Op.stream:
      return `stream ${name} ${value()}`
    case Op.block:
      return `stream ${name} [${blockValues(reader).join(', ')}] every ${reader.interval / 100} ms`
    case Op.gesture:
      return `gesture ${name} ${PHASES[reader.phase] ?? reader.phase} #${reader.gesture}${type === 0 ? '' : ` ${value()}`}`
    case Op.time:
      return timeText(reader)
    case Op.result:
      return code === 0 ? `${name} is stored` : `${name} was refused (${code})`
    case Op.declare:
      return declarationText(reader, names)
    case Op.declared:
      return `descriptor ${hexOf(bytes, valueAt, reader.valueEnd)} is complete`
    case Op.get:
      return `get ${name}`
    case Op.subscribe:
      if (type !== 0) return `unsubscribe ${code}`
      return `subscribe ${code} ${textOf(reader)}${reader.interval === 0 ? '' : `, ${reader.interval}/s at most`}`
    case Op.clasp: {
      const message = decodeMessage(bytes, valueAt, reader.valueEnd)
      return message instanceof DecodeError ? `unreadable message: ${message.reason}` : messageText(message)
    }
    case Op.info:
      return `${INFOS[code] ?? `info ${code}`} ${JSON.stringify(textOf(reader))}`
    default:
      return `${name} every ${reader.interval} ms, changes above ${Number(floatAt(bytes, valueAt + 2).toPrecision(7))}`
  }
}

function extensionText({ flags, revision, ttl }: RecordReader): string {
  const words: string[] = EXTENSIONS.filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word)
  if ((flags & ExtendedBit.revision) !== 0) words.unshift(`revision ${revision}`)
  if ((flags & ExtendedBit.ttl) !== 0) words.push(`ttl ${ttl & 0x7fff_ffff} s`)
  return words.length === 0 ? '' : ` (${words.join(', ')})`
}

function blockValues({ bytes, type, count, valueAt }: RecordReader): string[] {
  let at = valueAt
  return Array.from({ length: count }, () => {
    const text = valueText(readLinkValue(bytes, at, type))
    at = valueEnd(bytes, at, bytes.length, type)
    return text
  })
}

function timeText({ bytes, type, valueAt, valueEnd: end }: RecordReader): string {
  if (type === TimeKind.bundle) return 'bundle'
  const time = BigInt(`0x${hexOf(bytes, valueAt, end)}`)
  if (type === TimeKind.sampled) return `sampled at ${time} µs of the device`
  return `${type === TimeKind.bundleAt ? 'bundle ' : ''}at ${dateText(time)}`
}

/** Unix time in µs; a number that is none stays a number. */
export function dateText(us: bigint): string {
  const date = new Date(Number(us / 1000n))
  return Number.isNaN(date.getTime()) ? `${us} µs` : date.toISOString()
}

/** Leaves the reader behind the declaration, which only its codec can find. */
function declarationText(reader: RecordReader, names: SignalNames): string {
  const builder = new DescriptorBuilder()
  const problem = builder.add(reader)
  const descriptor = problem ?? builder.finish(crc32(reader.bytes, reader.start, reader.at))
  if (typeof descriptor === 'string') return `bad declaration: ${descriptor}`
  const [declaration] = descriptor.signals
  names.onDeclared(declaration.id, declaration.address)
  return `declares #${declaration.id} ${declaration.address} ${signalWords(declaration)}`
}

function signalWords({ kind, type, publishes, isWritable, unit }: Declaration): string {
  const [typeName] = Object.entries(LinkType).find(([, code]) => code === type && code !== LinkType.null) ?? []
  const access = publishes && isWritable ? 'rw' : isWritable ? 'w' : 'r'
  return [kind, typeName, access, unit].filter((word) => word !== undefined).join(' ')
}

function textOf({ bytes, valueAt, valueEnd: end }: RecordReader): string {
  return new TextDecoder().decode(bytes.subarray(valueAt, end))
}

function floatAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(at)
}

export function hexOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('hex')
}
