import { SIGNALS } from '../../firmware-protocol/wire/codes.ts'
import type { ReplayEntry, ReplayQuery, ReplaySink } from '../router/journal.ts'
import { type EntryRecord, readBatch } from './batch.ts'
import type { FromWorker, HistoryQuery, ToWorker } from './messages.ts'

const PAGE_ENTRIES = 500

type Page = Extract<FromWorker, { type: 'page' }>

interface Request {
  query: HistoryQuery
  sink: ReplaySink
  /** Entries that may still be given out. */
  left: number
  page: ReplayEntry[]
  next: number
  lastSeq: number
  isLast: boolean
  isPaused: boolean
  /** Why something is missing; told at the end. */
  problem: string | undefined
}

/**
 * Reads history for those who ask, one page of each at a time: the next is asked for when the last was taken. The database
 * has one page to find at a time, so that a commit waits for one at most, however many ask.
 */
export class HistoryReader {
  private readonly send: (message: ToWorker) => void
  private readonly requests = new Map<number, Request>()
  /** Whose next page is being read, 0 = nobody's, and who waits for theirs. */
  private reading = 0
  private readonly waiting: number[] = []
  private ids = 0

  constructor(send: (message: ToWorker) => void) {
    this.send = send
  }

  start({ pattern, types, fromUs, toUs, limit }: ReplayQuery, sink: ReplaySink): void {
    for (const [id, request] of this.requests) if (request.sink.isCancelled) this.requests.delete(id)
    const id = ++this.ids
    const request: Request = {
      query: { pattern, types: types.length === SIGNALS.length ? [] : types, fromUs, toUs },
      sink,
      left: limit,
      page: [],
      next: 0,
      lastSeq: 0,
      isLast: limit <= 0,
      isPaused: false,
      problem: undefined,
    }
    this.requests.set(id, request)
    sink.resume = () => {
      if (!request.isPaused) return
      request.isPaused = false
      this.proceed(id, request)
    }
    this.proceed(id, request)
  }

  onPage({ id, batch, seqs, lastSeq, isLast, problem }: Page): void {
    if (id === this.reading) {
      this.reading = 0
      this.readNext()
    }
    const request = this.requests.get(id)
    if (request === undefined) return
    request.page = entriesOf(batch, seqs)
    request.next = 0
    request.lastSeq = lastSeq
    request.isLast = isLast
    request.problem = problem ?? request.problem
    this.proceed(id, request)
  }

  /** The database is away: nobody gets any more. */
  abandon(problem: string): void {
    this.reading = 0
    this.waiting.length = 0
    for (const [id, request] of [...this.requests]) this.end(id, request, problem)
  }

  /** Gives out what is there, then asks for more. */
  private proceed(id: number, request: Request): void {
    const { sink } = request
    while (request.next < request.page.length && request.left > 0) {
      if (sink.isCancelled) break
      request.left--
      if (!sink.entry(request.page[request.next++])) {
        request.isPaused = true
        return
      }
    }
    if (sink.isCancelled || request.isLast || request.left <= 0) {
      this.end(id, request, request.problem)
      return
    }
    request.page = []
    request.next = 0
    this.waiting.push(id)
    if (this.reading === 0) this.readNext()
  }

  private readNext(): void {
    while (this.reading === 0 && this.waiting.length > 0) {
      const id = this.waiting.shift() as number
      const request = this.requests.get(id)
      if (request === undefined || request.sink.isCancelled) continue
      this.reading = id
      const { query, lastSeq, left } = request
      this.send({ type: 'replay', id, query, afterSeq: lastSeq, maxEntries: Math.min(PAGE_ENTRIES, left) })
    }
  }

  private end(id: number, request: Request, problem?: string): void {
    this.requests.delete(id)
    request.isPaused = false
    if (!request.sink.isCancelled) request.sink.end(problem)
  }
}

function entriesOf(batch: ArrayBuffer, seqs: Float64Array): ReplayEntry[] {
  const addresses = new Map<number, string>()
  const authors = new Map<number, string>()
  const entries: ReplayEntry[] = []
  const entry = (record: EntryRecord): void => {
    const { signal, code, value, revision, timestampUs } = record
    const address = addresses.get(record.address) ?? ''
    const author = authors.get(record.author) ?? ''
    entries.push({ seq: seqs[entries.length], timestampUs, author, address, signal, code, value, revision })
  }
  readBatch(batch, {
    address: (id, text) => addresses.set(id, text),
    author: (id, text) => authors.set(id, text),
    entry,
    param() {},
    event() {},
    eventDone() {},
    meta() {},
  })
  return entries
}
