import type { SetParam, Ttl, U64 } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Clock } from '../../runtime/router/clock.ts'

export interface UpstreamParam {
  value: Value
  revision: number
  /** Session id of the last writer, or `restore`. */
  writer: string
  /** Last write, µs since the Unix epoch. */
  timestampUs: number
  /** Session id of whoever holds the lock. It outlives the session. */
  holder?: string
  ttl?: Ttl
}

export type UpstreamWrite = Pick<SetParam, 'address' | 'value' | 'revision' | 'lock' | 'unlock' | 'ttl'>

interface JournalEntry {
  address: string
  value: Value
  revision: number
  author: string
}

/** The params of a hub with the write algorithm of router.md §5.2, in which an unlock by a stranger goes through (D14). */
export class UpstreamState {
  readonly params = new Map<string, UpstreamParam>()
  /** Of params without a TTL of their own. 0 = the sweep does not run, so that no TTL is kept to. */
  paramTtlS = 3600
  /** The param that was written longest ago makes room. */
  maxParams = 100_000
  private readonly clock: Clock
  private journal: JournalEntry[] = []
  private saved: string | undefined

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The new revision, or the text of the ERROR 400. */
  set(write: UpstreamWrite, writer: string): number | string {
    const result = this.apply(write, writer)
    if (typeof result === 'number') {
      this.journal.push({ address: write.address, value: write.value, revision: result, author: writer })
    }
    return result
  }

  /** Removes what has expired; nobody is told. */
  sweep(): void {
    if (this.paramTtlS === 0) return
    const nowUs = this.clock.wallUs()
    for (const [address, { ttl, timestampUs }] of this.params) {
      if (ttl?.mode === 'never') continue
      const endUs = timestampUs + (ttl?.seconds ?? this.paramTtlS) * 1e6
      if (ttl?.mode === 'absolute' ? nowUs >= endUs : nowUs > endUs) this.params.delete(address)
    }
  }

  /** Writes the snapshot file, as the hub does every 30 s. */
  save(): void {
    const params = [...this.params].map(([address, { value, revision, writer, timestampUs }]) => {
      return { address, value: jsonOf(value), revision, writer, timestamp: timestampUs }
    })
    this.saved = JSON.stringify(params)
  }

  clear(): void {
    this.params.clear()
  }

  /**
   * The values of the snapshot file that was saved since the last restart, or else of one written now, as when the hub
   * stops in an orderly way. Revisions start again at 1, TTLs and locks are gone (federation.md §12.3).
   */
  restore(): void {
    if (this.saved === undefined) this.save()
    const saved = this.saved ?? '[]'
    this.saved = undefined
    this.params.clear()
    for (const { address, value } of JSON.parse(saved)) this.apply({ address, value: restoredValue(value) }, 'restore')
  }

  /**
   * Plays the journal with the stored revisions as preconditions, as the hub does: what follows the first entry of an
   * address has a revision that the restored param has not, so that the oldest value remains (§12.4).
   */
  recover(): void {
    this.params.clear()
    for (const { address, value, revision, author } of this.journal) this.apply({ address, value, revision }, author)
  }

  private apply({ address, value, revision, lock, unlock, ttl }: UpstreamWrite, writer: string): number | string {
    const nowUs = this.clock.wallUs()
    const param = this.params.get(address)
    if (param === undefined) {
      if (this.params.size >= this.maxParams) this.evict()
      const holder = lock === true ? writer : undefined
      this.params.set(address, { value, revision: 1, writer, timestampUs: nowUs, holder, ttl })
      return 1
    }
    if (revision !== undefined && BigInt(revision) !== BigInt(param.revision)) {
      return `RevisionConflict { expected: ${revision}, actual: ${param.revision} }`
    }
    const isForeign = param.holder !== undefined && param.holder !== writer
    if (isForeign && unlock !== true) return `LockHeld { holder: "${param.holder}" }`
    if (unlock === true && !isForeign) param.holder = undefined
    if (nowUs < param.timestampUs) return 'ConflictRejected'
    if (lock === true) {
      if (isForeign) return `LockHeld { holder: "${param.holder}" }`
      param.holder = writer
    }
    Object.assign(param, { value, writer, timestampUs: nowUs, revision: param.revision + 1, ttl: ttl ?? param.ttl })
    return param.revision
  }

  private evict(): void {
    let oldest: [string, UpstreamParam] | undefined
    for (const entry of this.params)
      if (oldest === undefined || entry[1].timestampUs < oldest[1].timestampUs) oldest = entry
    if (oldest !== undefined) this.params.delete(oldest[0])
  }
}

/** Integers become 64 bits wide and floats double, as in everything that passes through an upstream hub (router.md §3.4). */
export function widened(value: Value): Value {
  switch (value.type) {
    case 'i8':
    case 'i16':
    case 'i32':
      return { type: 'i64', value: value.value }
    case 'f32':
      return { type: 'f64', value: value.value }
    case 'array':
      return { type: 'array', value: value.value.map(widened) }
    case 'map':
      return { type: 'map', value: value.value.map(([key, member]) => [key, widened(member)] as const) }
    default:
      return value
  }
}

/** Typed JSON; what plain JSON cannot hold changes as it does in the file of the hub: bytes to a list, NaN to null. */
function jsonOf(value: Value): unknown {
  if (value.type === 'bytes') {
    return { type: 'array', value: [...value.value].map((byte) => ({ type: 'i64', value: byte })) }
  }
  if (value.type === 'i64') return { type: 'i64', value: `${value.value}` }
  if (value.type === 'f64' && !Number.isFinite(value.value)) return { type: 'null' }
  if (value.type === 'array') return { type: 'array', value: value.value.map(jsonOf) }
  if (value.type === 'map') return { type: 'map', value: value.value.map(([key, member]) => [key, jsonOf(member)]) }
  return value
}

function restoredValue(value: Value): Value {
  if (value.type === 'i64') return { type: 'i64', value: narrow(BigInt(value.value)) }
  if (value.type === 'array') return { type: 'array', value: value.value.map(restoredValue) }
  if (value.type === 'map') {
    return { type: 'map', value: value.value.map(([key, member]) => [key, restoredValue(member)] as const) }
  }
  return value
}

function narrow(value: bigint): U64 {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}
