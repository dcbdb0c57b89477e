import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { Worker } from 'node:worker_threads'
import {
  type BatchVisitor,
  BatchWriter,
  type EntryRecord,
  type ParamRecord,
  readBatch,
} from '../../runtime/journal/batch.ts'
import type { FromWorker, HistoryQuery, OpenSummary, Retention, ToWorker } from '../../runtime/journal/messages.ts'

const WAIT_MS = 60_000
export const WORKER = resolve('dist/journal-worker.cjs')
export const UNLIMITED: Retention = { maxAgeMs: 0, maxEntries: 0, maxBytes: 0 }
/** 2026-01-01 in µs. */
export const T0 = 1_767_225_600_000_000

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-journal-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

type Message<K extends FromWorker['type']> = FromWorker & { type: K }

export interface StoredRow extends ParamRecord {
  text: string
  writer: string
}

/** The real database thread, asked one thing after the other. */
export class DatabaseThread {
  readonly worker: Worker
  /** State of the last opening, by address. */
  stored = new Map<string, StoredRow>()
  metas = new Map<string, string>()
  events = new Map<number, { expiresAtUs: number; frame: Buffer }>()
  private readonly inbox: FromWorker[] = []
  private wake: () => void = () => {}
  private nextId = 1

  constructor(folder: string, retention: Retention = UNLIMITED) {
    this.worker = new Worker(WORKER, { workerData: { folder, retention } })
    this.worker.on('message', (message: FromWorker) => {
      if (message.type === 'stored') this.keep(message.batch)
      else this.inbox.push(message)
      this.wake()
    })
    this.worker.on('error', (error) => {
      throw error
    })
  }

  post(message: ToWorker): void {
    this.worker.postMessage(message)
  }

  /** The next message of one of the types; others stay. */
  async next<K extends FromWorker['type']>(...types: K[]): Promise<Message<K>> {
    const deadline = performance.now() + WAIT_MS
    for (;;) {
      const index = this.inbox.findIndex(({ type }) => (types as string[]).includes(type))
      if (index >= 0) return this.inbox.splice(index, 1)[0] as Message<K>
      if (performance.now() > deadline) throw new Error(`no ${types.join(' or ')} came`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  async open(): Promise<OpenSummary> {
    const message = await this.tryOpen()
    if (message.type === 'unavailable') throw new Error(message.problem.words)
    return message.summary
  }

  tryOpen(): Promise<Message<'opened' | 'unavailable'>> {
    this.stored.clear()
    this.metas.clear()
    this.events.clear()
    this.post({ type: 'open' })
    return this.next('opened', 'unavailable')
  }

  commit(fill: (batch: BatchWriter) => void): Promise<Message<'committed' | 'failed'>> {
    const batch = new BatchWriter()
    fill(batch)
    this.post({ type: 'commit', id: this.nextId++, batch: batch.take() })
    return this.next('committed', 'failed')
  }

  async page(query: Partial<HistoryQuery>, afterSeq = 0, maxEntries = 500): Promise<Message<'page'>> {
    const whole = { pattern: '/**', types: [], fromUs: 0, toUs: Number.MAX_SAFE_INTEGER, ...query }
    this.post({ type: 'replay', id: this.nextId++, query: whole, afterSeq, maxEntries })
    return this.next('page')
  }

  async close(): Promise<void> {
    this.post({ type: 'close' })
    await this.next('closed')
    await this.worker.terminate()
  }

  private keep(batch: ArrayBuffer): void {
    const texts = { addresses: new Map<number, string>(), authors: new Map<number, string>() }
    readBatch(batch, {
      ...NOTHING,
      address: (id, text) => texts.addresses.set(id, text),
      author: (id, text) => this.authors.set(id, text),
      param: (record) => {
        const text = texts.addresses.get(record.address) ?? '?'
        const writer = this.authors.get(record.author) ?? '?'
        this.stored.set(text, { ...record, value: Buffer.from(record.value), text, writer })
      },
      event: (id, expiresAtUs, frame) => this.events.set(id, { expiresAtUs, frame: Buffer.from(frame) }),
      meta: (name, value) => this.metas.set(name, value),
    })
  }

  private readonly authors = new Map<number, string>()
}

export const NOTHING: BatchVisitor = {
  address() {},
  author() {},
  param() {},
  entry() {},
  event() {},
  eventDone() {},
  meta() {},
}

/** Opens a thread that ends with the test. */
export function startThread(t: TestContext, folder: string, retention?: Retention): DatabaseThread {
  const thread = new DatabaseThread(folder, retention)
  t.after(() => thread.worker.terminate())
  return thread
}

/** A param with an f64, revision and time made from `n`. */
export function putParam(batch: BatchWriter, id: number, n: number, options: Partial<ParamRecord> = {}): void {
  const value = new Uint8Array(8)
  new DataView(value.buffer).setFloat64(0, n)
  const { author = 1, isRemoved = false, ttlMode = 0, ttlMs = 0, mark = null } = options
  batch.param(id, author, 7, isRemoved, n, T0 + n, ttlMode, ttlMs, options.value ?? value, mark)
}

export function putEntry(
  batch: BatchWriter,
  address: number,
  timestampUs: number,
  options: Partial<EntryRecord> = {},
): void {
  const { author = 1, signal = 0, code = 7, revision = 1, value = new Uint8Array(8) } = options
  batch.entry(address, author, signal, code, revision, timestampUs, value, 0, value.length)
}

export interface PageEntry {
  seq: number
  address: string
  author: string
  signal: number
  code: number
  revision: number
  timestampUs: number
  value: string
}

export function entriesOf(page: Message<'page'>): PageEntry[] {
  const addresses = new Map<number, string>()
  const authors = new Map<number, string>()
  const entries: PageEntry[] = []
  readBatch(page.batch, {
    ...NOTHING,
    address: (id, text) => addresses.set(id, text),
    author: (id, text) => authors.set(id, text),
    entry: ({ address, author, value, ...rest }) =>
      entries.push({
        seq: page.seqs[entries.length],
        address: addresses.get(address) ?? '?',
        author: authors.get(author) ?? '?',
        value: Buffer.from(value).toString('hex'),
        ...rest,
      }),
  })
  return entries
}
