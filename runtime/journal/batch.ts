/**
 * What goes between the router's thread and the database's: records one behind the other in one transferable buffer, so
 * that a batch of thousands is handed over at the cost of one message. Little-endian (both ends are this process).
 *
 * | record | layout behind the kind byte |
 * |---|---|
 * | 1 address | id u32, text |
 * | 2 author | id u32, text |
 * | 3 param | address u32, author u32, code u8, flags u8 (1 removed, 2 has mark), revision f64, timestamp f64 µs, TTL mode u8, TTL f64 ms, value; with mark: hub revision f64, mark flags u8, edited f64 µs |
 * | 4 entry | address u32, author u32, signal u8, code i8 (-1 none), revision f64 (0 none), timestamp f64 µs, value |
 * | 5 event | id f64, expires f64 µs, frame |
 * | 6 event done | id f64 |
 * | 7 meta | name text, value text |
 *
 * text and value: length u32, bytes.
 */
export const Kind = { address: 1, author: 2, param: 3, entry: 4, event: 5, eventDone: 6, meta: 7 } as const

const REMOVED = 1
const MARKED = 2

export interface ParamRecord {
  address: number
  author: number
  code: number
  isRemoved: boolean
  revision: number
  timestampUs: number
  ttlMode: number
  ttlMs: number
  value: Uint8Array
  /** What the uplink keeps beside the value. */
  mark: { hubRevision: number; flags: number; editedAtUs: number } | null
}

export interface EntryRecord {
  address: number
  author: number
  signal: number
  /** -1 = no value. */
  code: number
  /** 0 = not a SET. */
  revision: number
  timestampUs: number
  value: Uint8Array
}

/** Values and texts are views of the batch, valid during the call. */
export interface BatchVisitor {
  address(id: number, text: string): void
  author(id: number, text: string): void
  param(record: ParamRecord): void
  entry(record: EntryRecord): void
  event(id: number, expiresAtUs: number, frame: Uint8Array): void
  eventDone(id: number): void
  meta(name: string, value: string): void
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Collects records; `take` hands them over and starts anew. */
export class BatchWriter {
  private bytes: Uint8Array<ArrayBuffer>
  private view: DataView<ArrayBuffer>
  private length = 0
  records = 0

  constructor(capacity = 65_536) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  get size(): number {
    return this.length
  }

  address(id: number, text: string): void {
    this.begin(Kind.address, 8)
    this.u32(id)
    this.text(text)
  }

  author(id: number, text: string): void {
    this.begin(Kind.author, 8)
    this.u32(id)
    this.text(text)
  }

  /** The value is `source[start, end)`; `hubRevision` below 0 = without a mark. */
  param(
    address: number,
    author: number,
    code: number,
    isRemoved: boolean,
    revision: number,
    timestampUs: number,
    ttlMode: number,
    ttlMs: number,
    value: Uint8Array,
    mark: ParamRecord['mark'],
  ): void {
    this.begin(Kind.param, 64 + value.length)
    this.u32(address)
    this.u32(author)
    this.bytes[this.length++] = code
    this.bytes[this.length++] = (isRemoved ? REMOVED : 0) | (mark === null ? 0 : MARKED)
    this.f64(revision)
    this.f64(timestampUs)
    this.bytes[this.length++] = ttlMode
    this.f64(ttlMs)
    this.blob(value)
    if (mark === null) return
    this.f64(mark.hubRevision)
    this.bytes[this.length++] = mark.flags
    this.f64(mark.editedAtUs)
  }

  /** The value is `source[start, end)`. */
  entry(
    address: number,
    author: number,
    signal: number,
    code: number,
    revision: number,
    timestampUs: number,
    source: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.begin(Kind.entry, 32 + end - start)
    this.u32(address)
    this.u32(author)
    this.bytes[this.length++] = signal
    this.bytes[this.length++] = code & 0xff
    this.f64(revision)
    this.f64(timestampUs)
    this.u32(end - start)
    for (let i = start; i < end; i++) this.bytes[this.length++] = source[i]
  }

  event(id: number, expiresAtUs: number, frame: Uint8Array): void {
    this.begin(Kind.event, 24 + frame.length)
    this.f64(id)
    this.f64(expiresAtUs)
    this.blob(frame)
  }

  eventDone(id: number): void {
    this.begin(Kind.eventDone, 8)
    this.f64(id)
  }

  meta(name: string, value: string): void {
    this.begin(Kind.meta, 8)
    this.text(name)
    this.text(value)
  }

  /** Everything so far, to be transferred. */
  take(): ArrayBuffer {
    const batch = this.bytes.buffer.slice(0, this.length)
    this.length = 0
    this.records = 0
    return batch
  }

  private begin(kind: number, space: number): void {
    this.reserve(space + 1)
    this.bytes[this.length++] = kind
    this.records++
  }

  private reserve(space: number): void {
    if (this.length + space <= this.bytes.length) return
    const bigger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + space))
    bigger.set(this.bytes.subarray(0, this.length))
    this.bytes = bigger
    this.view = new DataView(bigger.buffer)
  }

  private u32(value: number): void {
    this.view.setUint32(this.length, value, true)
    this.length += 4
  }

  private f64(value: number): void {
    this.view.setFloat64(this.length, value, true)
    this.length += 8
  }

  private text(text: string): void {
    this.reserve(text.length * 3 + 16)
    const { written } = encoder.encodeInto(text, this.bytes.subarray(this.length + 4))
    this.u32(written)
    this.length += written
    this.reserve(16)
  }

  private blob(bytes: Uint8Array): void {
    this.reserve(bytes.length + 32)
    this.u32(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }
}

/** Hands each record to the visitor. Throws a RangeError on bytes that no BatchWriter made. */
export function readBatch(batch: ArrayBuffer, visitor: BatchVisitor): void {
  const view = new DataView(batch)
  let at = 0
  const u8 = () => view.getUint8(at++)
  const u32 = () => {
    at += 4
    return view.getUint32(at - 4, true)
  }
  const f64 = () => {
    at += 8
    return view.getFloat64(at - 8, true)
  }
  const blob = () => {
    const length = u32()
    at += length
    return new Uint8Array(batch, at - length, length)
  }
  const text = () => decoder.decode(blob())
  while (at < batch.byteLength) {
    const kind = u8()
    if (kind === Kind.address) visitor.address(u32(), text())
    else if (kind === Kind.author) visitor.author(u32(), text())
    else if (kind === Kind.param) {
      const address = u32()
      const author = u32()
      const code = u8()
      const flags = u8()
      const revision = f64()
      const timestampUs = f64()
      const ttlMode = u8()
      const ttlMs = f64()
      const value = blob()
      const mark = (flags & MARKED) === 0 ? null : { hubRevision: f64(), flags: u8(), editedAtUs: f64() }
      const isRemoved = (flags & REMOVED) !== 0
      visitor.param({ address, author, code, isRemoved, revision, timestampUs, ttlMode, ttlMs, value, mark })
    } else if (kind === Kind.entry) {
      const address = u32()
      const author = u32()
      const signal = u8()
      const code = (u8() << 24) >> 24
      visitor.entry({ address, author, signal, code, revision: f64(), timestampUs: f64(), value: blob() })
    } else if (kind === Kind.event) visitor.event(f64(), f64(), blob())
    else if (kind === Kind.eventDone) visitor.eventDone(f64())
    else if (kind === Kind.meta) visitor.meta(text(), text())
    else throw new RangeError(`no record of kind ${kind}`)
  }
}
