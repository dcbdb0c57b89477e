import { appendFileSync, closeSync, copyFileSync, mkdirSync, openSync, readSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { SeededRandom } from '../firmware-protocol/seeded-random.ts'
import { PluggedRouter, temporaryFolder } from './plug.ts'
import { replay } from './plug-client.ts'
import { Ledger, textOf, type Write } from './plug-ledger.ts'
import { Load } from './plug-load.ts'

const RING = '/sync/ring/*'
const LOG_HEADER_BYTES = 32
const MAX_ATTEMPTS = 200

export interface PowerCutReport {
  seed: number
  problems: string[]
  /** Writes of one session, each after the ACK of the one before. */
  written: number
  /** Copies that were started, and how many of those writes each held. */
  found: number[]
}

/** What is on a medium at some moment, and what had been acknowledged before. */
interface Copy {
  folder: string
  acknowledged: number
}

/**
 * Copies the database of a router under load at random moments, cuts the log of each copy at a random length, as a medium
 * does that has not taken everything, and starts a router on it: it must hold what was written up to some moment, and
 * nothing of what came later.
 */
export async function cutThePower(t: TestContext, copies: number, seed: number): Promise<PowerCutReport> {
  const random = new SeededRandom(seed)
  const folder = temporaryFolder(t)
  const ledger = new Ledger()
  const router = await PluggedRouter.start(t, folder)
  const load = await Load.start(router, ledger, random)
  const taken: Copy[] = []
  for (let i = 0; i < copies; i++) {
    await new Promise((resolve) => setTimeout(resolve, random.below(400)))
    const acknowledged = load.ring.filter(({ ackedAt }) => ackedAt < Infinity).length
    const target = temporaryFolder(t)
    copyDatabase(folder, target)
    taken.push({ folder: target, acknowledged })
  }
  await router.pull()
  await load.ended()

  const { problems } = ledger
  const found: number[] = []
  for (const [i, copy] of taken.entries()) {
    const length = statSync(logIn(copy.folder)).size
    const cut = random.below(length + 1)
    const rubbish = random.bytes(random.below(10_000))
    const medium = temporaryFolder(t)
    copyParts(copy.folder, medium)
    truncateSync(logIn(medium), cut)
    appendFileSync(logIn(medium), rubbish)
    const tell = (words: string) => problems.push(`copy ${i}: ${words}`)
    const whole = await countIn(t, copy.folder, load.ring, tell)
    if (whole < copy.acknowledged) tell(`${whole} writes are there, ${copy.acknowledged} had been acknowledged`)
    const tellCut = (words: string) =>
      tell(`${cut} of ${length} bytes of the log, ${rubbish.length} of rubbish: ${words}`)
    const left = await countIn(t, medium, load.ring, tellCut)
    if (left > whole) tellCut(`${left} writes are there, without the cut only ${whole}`)
    found.push(whole, left)
  }
  return { seed, problems, written: load.ring.length, found }
}

export function told({ seed, written, found }: PowerCutReport): string {
  return `CLASP_PLUG_SEED=${seed}: of ${written} writes in a row the copies held ${found.join(', ')}`
}

/** How many of the writes a start on this folder brings back: all up to some moment, in the state and in the history. */
async function countIn(
  t: TestContext,
  folder: string,
  written: readonly Write[],
  tell: (problem: string) => void,
): Promise<number> {
  const router = await PluggedRouter.start(t, folder)
  const client = await router.connect('auditor')
  const { facts } = await router.journal()
  if (facts.state !== 'durable') tell(`the journal is ${facts.state}: ${facts.reason}`)
  const entries = await replay(client, RING, 0)
  const params = await client.snapshot(RING)
  await router.pull()
  const count = entries.length
  const wrong = entries.findIndex(({ text }, i) => text !== textOf(written[i]?.token ?? 0))
  if (wrong >= 0) tell(`entry ${wrong} of the history is ${entries[wrong].text.slice(0, 20)}`)
  const newest = new Map(written.slice(0, count).map(({ address, token }) => [address, textOf(token)]))
  for (const { address, value } of params) {
    if (value.type !== 'string' || value.value !== newest.get(address)) tell(`${address} is not that of write ${count}`)
  }
  if (params.length !== newest.size) tell(`${params.length} params after ${count} writes`)
  return count
}

/**
 * The database, then its log, while it is in use. Only a copy during which nothing was written back from the log into the
 * database is what a medium can hold after a power cut: SQLite flushes the log before it does so.
 */
function copyDatabase(folder: string, target: string): void {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const before = fingerprint(folder)
    copyParts(folder, target)
    if (before !== '' && fingerprint(folder) === before) return
  }
  throw new Error('the database was written back to during every attempt to copy it')
}

function copyParts(folder: string, target: string): void {
  mkdirSync(target, { recursive: true })
  for (const name of ['journal.db', 'journal.db-wal']) copyFileSync(join(folder, name), join(target, name))
}

/** Changes when the log is written back or begun anew; empty while there is none. */
function fingerprint(folder: string): string {
  const { mtimeNs, size } = statSync(join(folder, 'journal.db'), { bigint: true })
  const header = Buffer.alloc(LOG_HEADER_BYTES)
  const file = openSync(logIn(folder), 'r')
  const length = readSync(file, header, 0, header.length, 0)
  closeSync(file)
  return length < header.length ? '' : `${mtimeNs} ${size} ${header.toString('hex')}`
}

function logIn(folder: string): string {
  return join(folder, 'journal.db-wal')
}
