import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { LeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import type { ConflictPolicy } from '../../runtime/federation/leaf/reconcile.ts'
import { int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { Chance, differences, hubValues, isEqual, Site, shown, type Test } from './proof-scene.ts'
import { SimulatedTime } from './simulated-time.ts'
import { UpstreamHub } from './upstream-hub.ts'

export const PARAMS = 5000
export const HOUR_MS = 3_600_000
export const LONG = { updates: 1_000_000, awayMs: 24 * HOUR_MS }
export const SHORT = { updates: 50_000, awayMs: 2 * HOUR_MS }
const CHUNKS = 200
/** What a day of updates may leave behind: nothing but the latest values, the marks and the queue. */
const MAX_GROWTH_BYTES = 12_000_000
const POLICIES: ConflictPolicy[] = ['owner', 'lww', 'hub']
const CUE_AGE_MS = 60_000

const UPLINK = {
  policy: [
    ...POLICIES.map((conflict) => ({ pattern: `/site-a/${conflict}/**`, conflict })),
    { pattern: '/site-a/cue/**', offline: 'all' as const, maxAgeMs: CUE_AGE_MS },
  ],
}

export type Return = 'empty' | 'an older snapshot' | 'foreign writes in between'

/** The hub, of whichever kind. */
interface Remote {
  url: string
  set(address: string, value: Value): void
  values(): Map<string, Value>
  /** Keeps the present state, to come back with it. */
  save(): void
  leave(): Promise<void>
  comeBack(how: Return): Promise<void>
  /** Addresses of the events that came since the start. */
  events(): string[]
}

interface Write {
  value: Value
  atMs: number
}

export const addressOf = (i: number) => `/site-a/${POLICIES[i % 3]}/${i}`

export async function upstreamRemote(t: Test, clock: SteppedClock): Promise<Remote> {
  const hub = await UpstreamHub.start(t, { clock })
  return {
    url: hub.url,
    set: (address, value) => void hub.set(address, value),
    values: () => hubValues(hub, '/site-a'),
    save: () => hub.state.save(),
    leave: () => hub.kill(),
    comeBack: (how) =>
      hub.reopen({ state: how === 'empty' ? 'empty' : how === 'an older snapshot' ? 'snapshot' : 'kept' }),
    events: () => hub.log.flatMap(({ message }) => (message.type === 'PUBLISH' ? [message.address] : [])),
  }
}

export async function ownRemote(t: Test, clock: SteppedClock): Promise<Remote> {
  let hub = await Site.start(t, { name: 'hub', clock, isHub: true })
  let saved = new Map<string, Value>()
  hub.subscribe(1, '/site-a/cue/**')
  return {
    url: hub.url,
    set: (address, value) => hub.set(address, value),
    values: () => hub.values('/site-a'),
    save: () => {
      saved = hub.values('/site-a')
    },
    leave: () => hub.goAway(),
    comeBack: async (how) => {
      if (how === 'foreign writes in between') return hub.comeBack()
      const { port } = hub
      await hub.stop()
      hub = await Site.start(t, { name: 'hub', clock, isHub: true, port })
      hub.subscribe(1, '/site-a/cue/**')
      if (how === 'an older snapshot') for (const [address, value] of saved) hub.set(address, value)
    },
    events: () => hub.heard.flatMap((message) => (message.type === 'PUBLISH' ? [message.address] : [])),
  }
}

/** Bytes on the heap that are in use. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
}

/**
 * Three writers update the params while the hub is away; then it returns. Both sides must end equal, by policy, and neither
 * the heap nor the queue of the leaf may have grown with the number of updates.
 */
export async function timeWithout(
  t: Test & { diagnostic(text: string): void },
  remoteOf: typeof upstreamRemote,
  how: Return,
  { updates, awayMs }: typeof LONG,
  outbox: LeafOptions['outbox'],
): Promise<void> {
  const clock = new SteppedClock()
  const time = new SimulatedTime(clock)
  const remote = await remoteOf(t, clock)
  const site = await Site.start(t, { clock, uplink: { ...UPLINK, outbox, url: remote.url } })
  const chance = new Chance(7)
  const local = new Map<string, Write>()
  const foreign = new Map<string, Write>()
  const writers = [1, 2, 3].map((n) => site.router.openLocal({ name: `writer ${n}` }))
  const write = (i: number, n: number) => {
    const address = addressOf(i)
    const value = int(n)
    writers[n % 3].send({ type: 'SET', address, value })
    local.set(address, { value, atMs: clock.now() })
  }
  const isLevel = () => site.isSettled && differences(site.values('/site-a'), remote.values()).length === 0
  for (let i = 0; i < PARAMS; i++) write(i, i)
  await time.until(isLevel, 'the first equality')
  remote.save()
  const base = remote.values()
  for (let i = 0; i < PARAMS; i += 2) write(i, PARAMS + i)
  await time.until(isLevel, 'equality before the outage')

  await remote.leave()
  await time.until(() => !site.isActive, 'loss of the link')
  local.clear()
  const heapBefore = heapBytes()
  const started = performance.now()
  let longestQueue = 0
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    // A tenth of the params rests, so that foreign writes meet such as well.
    for (let n = 0; n < updates / CHUNKS; n++) write(chance.below(PARAMS * 0.9), 100_000 + chunk * 10_000 + n)
    site.publish(`/site-a/cue/${chunk}`, int(chunk))
    site.publish('/site-a/plain', int(chunk))
    longestQueue = Math.max(longestQueue, site.status.queue.params + site.status.queue.events)
    await time.pass(awayMs / CHUNKS / 2, 30_000)
    if (how === 'foreign writes in between') {
      for (let n = 0; n < 20; n++) {
        const address = addressOf(chance.below(PARAMS))
        const value = int(-1 - chunk * 100 - n)
        remote.set(address, value)
        foreign.set(address, { value, atMs: clock.now() })
      }
    }
    await time.pass(awayMs / CHUNKS / 2, 30_000)
  }
  for (const writer of writers) writer.close()
  const wroteMs = performance.now() - started
  const growth = heapBytes() - heapBefore
  site.publish('/site-a/cue/last', int(1))
  await remote.comeBack(how)
  const tookMs = await time.until(isLevel, () => `equality: ${differences(site.values('/site-a'), remote.values())}`)
  await time.pass(20_000)

  t.diagnostic(
    `${updates} updates in ${(wroteMs / 1000).toFixed(1)} s; heap ${(growth / 1e6).toFixed(1)} MB more, longest queue ${longestQueue}; equal after ${tookMs} simulated ms`,
  )
  assert.deepEqual(differences(site.values('/site-a'), remote.values()), [])
  assert.ok(longestQueue <= outbox.maxParams + outbox.maxEvents, `a queue of ${longestQueue}`)
  assert.ok(growth < MAX_GROWTH_BYTES, `${growth} bytes more`)
  const wrong: string[] = []
  for (let i = 0; i < PARAMS; i++) {
    const address = addressOf(i)
    const mine = local.get(address)
    const theirs = foreign.get(address)
    const value = site.get(address)
    const allowed = allowedAfter(how, POLICIES[i % 3], mine, theirs, base.get(address))
    if (allowed.length > 0 && !allowed.some((one) => isEqual(one, value)))
      wrong.push(`${address}: ${shown(value)}, not ${allowed.map((value) => shown(value))}`)
  }
  assert.deepEqual(wrong.slice(0, 10), [])
  const cues = remote.events()
  assert.ok(cues.includes('/site-a/cue/last'), 'the fresh cue has arrived')
  assert.ok(cues.length <= 2 && !cues.includes('/site-a/plain'), `${cues}`)
  assert.ok(site.status.dropped.events >= 2 * CHUNKS - 1, `${site.status.dropped.events} events dropped and counted`)
}

/** What both sides may end with; empty = whatever they agree on. */
function allowedAfter(
  how: Return,
  policy: ConflictPolicy,
  mine: Write | undefined,
  theirs: Write | undefined,
  base: Value | undefined,
): (Value | undefined)[] {
  if (how === 'empty') return mine === undefined ? [] : [mine.value]
  if (how === 'an older snapshot') {
    if (policy === 'owner') return mine === undefined ? [] : [mine.value]
    if (policy === 'hub') return [base]
    return mine === undefined ? [] : [mine.value, base]
  }
  if (mine === undefined) return theirs === undefined ? [] : [theirs.value]
  if (theirs === undefined || policy === 'owner') return [mine.value]
  if (policy === 'hub') return [theirs.value]
  return [mine.atMs > theirs.atMs ? mine.value : theirs.value]
}
