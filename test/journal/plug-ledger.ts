import type { SnapshotParam } from '../../firmware-protocol/wire/message.ts'
import type { Replayed } from './plug-client.ts'

/** What is stored within a second, with what the medium and a busy machine take on top. */
const SOON_MS = 1500
/** A value that has run out is not held against a router for so long. */
const EXPIRY_SLACK_MS = 2000
/** A time to live counts from the beginning of the router's turn, so long before the write was sent on a busy machine. */
const TURN_MS = 300

/** When a change is stored: before the ACK, within a second, or at a checkpoint, which no life in these tests reaches. */
type Stored = 'sync' | 'soon' | 'late'

/** A SET or an event, from the moment of sending. Times are monotonic ms. */
export interface Write {
  readonly address: string
  /** Rises with every write of the run. */
  readonly token: number
  readonly author: string
  readonly sentAt: number
  readonly ttlMs: number
  /** Greatest revision of the address that any client had seen by then. */
  readonly seenBefore: number
  /** Those of one bundle have the same. */
  readonly bundle: number
  /** Infinity = not acknowledged. */
  ackedAt: number
  /** 0 = not known. */
  revision: number
}

interface Account {
  /** What the last start brought back; no start may bring back anything older. */
  base: Write | null
  /** Sent since then. */
  writes: Write[]
  /** Sent in the life before. */
  ended: Write[]
  /** Greatest revision that any client has seen. */
  seen: number
  /** History as it has come back so far. */
  history: { token: number; revision: number }[]
}

export interface Start {
  /** When the process before was killed, and when what came back was read. */
  killedAt: number
  readAt: number
  /** It was stopped in good order: everything is stored. */
  isClean: boolean
}

/** What was sent to a router and acknowledged in all its lives, and whether what comes back at a start is right. */
export class Ledger {
  readonly problems: string[] = []
  readonly counts = { writes: 0, acknowledged: 0, compared: 0, entries: 0, steppedBack: 0, unflushedEntries: 0 }
  private readonly accounts = new Map<string, Account>()
  private tokens = 0
  private bundles = 0

  send(address: string, author: string, ttlMs = Infinity, bundle = 0): Write {
    const account = this.account(address)
    const token = ++this.tokens
    const seenBefore = account.seen
    const sentAt = performance.now()
    const write = { address, token, author, sentAt, ttlMs, seenBefore, bundle, ackedAt: Infinity, revision: 0 }
    account.writes.push(write)
    this.counts.writes++
    return write
  }

  nextBundle(): number {
    return ++this.bundles
  }

  /** `revision` 0 = the answer has none. */
  acknowledge(write: Write, revision = 0): void {
    const account = this.account(write.address)
    write.ackedAt = performance.now()
    this.counts.acknowledged++
    if (revision === 0) return
    write.revision = revision
    if (revision <= write.seenBefore)
      this.problem(write.address, `revision ${revision} was given after ${write.seenBefore} had been seen`)
    account.seen = Math.max(account.seen, revision)
  }

  problem(address: string, words: string): void {
    this.problems.push(`${address}: ${words}`)
  }

  /** Compares the state that a start brought back; from then on that is what counts as stored. */
  restored(params: readonly SnapshotParam[], start: Start): void {
    const byAddress = new Map(params.map((param) => [param.address, param]))
    for (const address of byAddress.keys()) if (!this.accounts.has(address)) this.problem(address, 'nobody wrote this')
    for (const [address, account] of this.accounts) {
      if (isEvent(address)) {
        account.ended = account.writes
        account.writes = []
        continue
      }
      this.counts.compared++
      const found = this.compare(address, account, byAddress.get(address), start)
      account.ended = account.writes
      account.writes = []
      account.base = found
    }
    this.compareBundles()
  }

  /** Compares the history of the life that has ended, of an address that only one session at a time writes to. */
  recorded(address: string, entries: readonly Replayed[], { killedAt, isClean }: Start): void {
    const account = this.account(address)
    const { ended, history } = account
    this.counts.entries += entries.length
    let last = history.at(-1)?.revision ?? 0
    for (const [i, { text, revision }] of entries.entries()) {
      const write = ended[i]
      if (write === undefined || textOf(write.token) !== text) {
        this.problem(address, `entry ${i} is ${text.slice(0, 20)}, not ${write?.token ?? 'one too many'}`)
        return
      }
      const isInOrder = isEvent(address) || (i === 0 ? revision > last : revision === last + 1)
      if (!isInOrder) this.problem(address, `entry ${i} has revision ${revision} after ${last}`)
      if (write.revision > 0 && revision !== write.revision)
        this.problem(address, `entry ${i} has revision ${revision}, acknowledged was ${write.revision}`)
      last = revision
      history.push({ token: write.token, revision })
    }
    for (const write of ended.slice(entries.length)) {
      if (write.ackedAt === Infinity) break
      this.counts.unflushedEntries++
      if (isClean || write.ackedAt < killedAt - SOON_MS)
        this.problem(address, `no entry of ${write.token}, acknowledged ${ms(killedAt - write.ackedAt)} before the end`)
    }
  }

  /** Compares the history of all lives with what each start had brought back of it. */
  remembered(address: string, entries: readonly Replayed[]): void {
    const { history } = this.account(address)
    const wanted = history.map(({ token, revision }) => `${revision} ${textOf(token)}`)
    const got = entries.map(({ text, revision }) => `${revision} ${text}`)
    const at = wanted.findIndex((entry, i) => entry !== got[i])
    if (at >= 0 || wanted.length !== got.length)
      this.problem(address, `of ${wanted.length} entries ${got.length} are left, the first difference is at ${at}`)
  }

  /** After `restored`: of writes made one after the other, no later one may be there without an earlier one. */
  comparePrefix(sequence: readonly Write[]): void {
    const back = (write: Write) => this.account(write.address).base?.token === write.token
    const last = sequence.findLastIndex(back)
    const settled = new Set<string>()
    for (let i = last; i >= 0; i--) {
      const write = sequence[i]
      if (settled.has(write.address)) continue
      settled.add(write.address)
      if (!back(write)) this.problem(write.address, `${write.token} is missing, ${sequence[last].token} is there`)
    }
  }

  /** Addresses below a prefix that were written to. */
  below(prefix: string): string[] {
    return [...this.accounts.keys()].filter((address) => address.startsWith(prefix))
  }

  private compare(
    address: string,
    { base, writes, seen }: Account,
    param: SnapshotParam | undefined,
    { killedAt, readAt, isClean }: Start,
  ): Write | null {
    const stored = storedWhen(address)
    const isStored = ({ ackedAt }: Write) =>
      isClean ? ackedAt < Infinity : stored === 'sync' ? ackedAt < Infinity : ackedAt < killedAt - SOON_MS
    const required = writes.filter((write) => (isClean || stored !== 'late') && isStored(write)).reduce(newer, base)
    if (param === undefined) {
      if (required !== null && readAt < required.sentAt + required.ttlMs - TURN_MS)
        this.problem(address, `${told(required, killedAt)} is lost`)
      return null
    }
    const text = param.value.type === 'string' ? param.value.value : `a ${param.value.type}`
    const revision = Number(param.revision)
    const found = [...writes, base].find((write) => write !== null && textOf(write.token) === text) ?? null
    if (found === null) {
      this.problem(address, `${text.slice(0, 20)} was not written since the start before`)
      return null
    }
    if (found.revision > 0 && found.revision !== revision)
      this.problem(address, `${found.token} came back with revision ${revision} instead of ${found.revision}`)
    if (param.writer !== undefined && param.writer !== found.author)
      this.problem(address, `${found.token} came back as written by ${param.writer}, not ${found.author}`)
    if (required !== null && newer(required, found) === required && required.token !== found.token)
      this.problem(address, `${told(required, killedAt)} is lost, ${told(found, killedAt)} came back`)
    const expired = Math.min(found.ackedAt, killedAt) + found.ttlMs
    if (readAt > expired + EXPIRY_SLACK_MS)
      this.problem(address, `${found.token} is back ${ms(readAt - expired)} after its end`)
    if (revision < seen) this.counts.steppedBack++
    return { ...found, revision }
  }

  /** A bundle is there as a whole or not at all. */
  private compareBundles(): void {
    const inBundles = [...this.accounts].filter(([, { ended }]) => ended.some(({ bundle }) => bundle > 0))
    const bundles = new Set(inBundles.map(([, { base }]) => base?.bundle ?? 0))
    if (bundles.size > 1) this.problem(inBundles[0][0], `parts of the bundles ${[...bundles].join(' and ')} are there`)
  }

  private account(address: string): Account {
    let account = this.accounts.get(address)
    if (account === undefined) {
      account = { base: null, writes: [], ended: [], seen: 0, history: [] }
      this.accounts.set(address, account)
    }
    return account
  }
}

/** A value that tells its token and, by its length, whether it is whole. */
export function textOf(token: number): string {
  return `${token}:${'x'.repeat(token % 50 === 0 ? 3000 : (token * 7919) % 300)}`
}

function storedWhen(address: string): Stored {
  if (address.startsWith('/sync/')) return 'sync'
  return address.startsWith('/memory/') ? 'late' : 'soon'
}

function isEvent(address: string): boolean {
  return address.startsWith('/events/')
}

/** Of two writes to one address: where both revisions are known they decide, sessions overtake each other. */
function newer(a: Write | null, b: Write): Write {
  if (a === null) return b
  const isLater = a.revision > 0 && b.revision > 0 ? a.revision > b.revision : a.token > b.token
  return isLater ? a : b
}

function told({ token, revision, ackedAt }: Write, killedAt: number): string {
  const when = ackedAt === Infinity ? 'not acknowledged' : `acknowledged ${ms(killedAt - ackedAt)} before the end`
  return `${token} (revision ${revision}, ${when})`
}

function ms(duration: number): string {
  return `${Math.round(duration)} ms`
}
