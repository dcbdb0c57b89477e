import { BatchWriter, type ParamRecord } from './batch.ts'
import type { SqliteConnection } from './sqlite.ts'
import { isUnreadable } from './store-problem.ts'
import { StoredState } from './stored-state.ts'

/** A batch is handed over when it has reached this size. */
const BATCH_BYTES = 524_288
const ERA_REVISIONS = 2 ** 32
/** Names in `meta` that are the database's own; all others belong to the router's side. */
const OWN_META = ['clean', 'era', 'forgotten']

export interface LoadedState {
  isDamaged: boolean
  params: number
  /** In the order of their age. */
  tombstones: ParamRecord[]
  /** Addresses and authors that were handed out. */
  named: number
  nextAddress: number
  nextAuthor: number
  nextEvent: number
  /** The last stop was marked as clean. */
  wasClean: boolean
  /** The era that the stored revisions belong to, at least. */
  era: number
  /** Not put together from what is left of a damaged database. */
  isEraKnown: boolean
}

/** Hands out the stored state in batches: meta and events, then every param behind its address and writer. */
export function loadState(connection: SqliteConnection, send: (batch: ArrayBuffer) => void): LoadedState {
  const state = new StoredState(connection)
  const batch = new BatchWriter(BATCH_BYTES + 65_536)
  const tombstones: ParamRecord[] = []
  const authors = new Set<number>()
  let params = 0
  let lastAddress = 0
  let lastAuthor = 0
  let lastEvent = 0
  let greatestRevision = 0

  const metas = state.metas()
  for (const [name, value] of metas) if (!OWN_META.includes(name)) batch.meta(name, value)
  for (const { id, expiresAtUs, frame } of state.events()) {
    batch.event(id, expiresAtUs, frame)
    lastEvent = Math.max(lastEvent, id)
    if (batch.size >= BATCH_BYTES) send(batch.take())
  }
  for (const { address, record } of state.params()) {
    if (!authors.has(record.author)) {
      authors.add(record.author)
      lastAuthor = Math.max(lastAuthor, record.author)
      batch.author(record.author, state.author(record.author))
    }
    batch.address(record.address, address)
    const { author, code, isRemoved, revision, timestampUs, ttlMode, ttlMs, value, mark } = record
    batch.param(record.address, author, code, isRemoved, revision, timestampUs, ttlMode, ttlMs, value, mark)
    if (isRemoved) tombstones.push({ ...record, value: new Uint8Array(0) })
    else params++
    lastAddress = record.address
    greatestRevision = Math.max(greatestRevision, revision)
    if (batch.size >= BATCH_BYTES) send(batch.take())
  }
  if (batch.records > 0) send(batch.take())
  tombstones.sort((a, b) => a.timestampUs - b.timestampUs)

  const nextAddress = Math.max(lastAddress, greatestId(connection, 'addresses')) + 1
  const nextAuthor = Math.max(lastAuthor, greatestId(connection, 'authors')) + 1
  const forgotten = Number(metas.get('forgotten') ?? 0)
  return {
    isDamaged: state.isDamaged || Number.isNaN(nextAddress + nextAuthor),
    params,
    tombstones,
    named: params + tombstones.length + authors.size,
    nextAddress,
    nextAuthor,
    nextEvent: lastEvent + 1,
    wasClean: metas.get('clean') === '1',
    isEraKnown: metas.has('era'),
    era: Math.max(
      Number(metas.get('era') ?? Math.floor(greatestRevision / ERA_REVISIONS)),
      // Their addresses begin anew without a revision to go on from.
      forgotten > 0 ? Math.floor(forgotten / ERA_REVISIONS) + 1 : 0,
    ),
  }
}

/** NaN = the end of the table cannot be read. */
function greatestId(connection: SqliteConnection, table: 'addresses' | 'authors'): number {
  try {
    return (connection.prepare(`SELECT max(id) FROM ${table}`).all([])[0][0] as number | null) ?? 0
  } catch (error) {
    if (isUnreadable(error)) return Number.NaN
    throw error
  }
}
