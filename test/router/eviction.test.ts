/** What gives way when the store is full; router reference §5.5, D-40. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Ttl } from '../../firmware-protocol/wire/message.ts'
import { until } from '../until.ts'
import { Bench, int, type Peer } from './fixture.ts'

const MAX_PARAMS = 5

describe('a full store', () => {
  let bench: Bench
  let peer: Peer
  let run = 0

  beforeEach(async () => {
    bench = await Bench.start({ options: { maxParams: MAX_PARAMS, eviction: 'lru' } })
    peer = await bench.join()
  })

  afterEach(() => bench.stop())

  async function stored(): Promise<string[]> {
    peer.subscribe(9, '/**')
    const messages = await peer.settle()
    peer.send({ type: 'UNSUBSCRIBE', id: 9 })
    return messages.flatMap((m) => (m.type === 'SNAPSHOT' ? m.params.map(({ address }) => address) : [])).sort()
  }

  test('gives up the param that was written longest ago, whatever was locked, kept for ever and freed meanwhile', async () => {
    const step = fc.record({
      name: fc.integer({ min: 0, max: 9 }),
      lock: fc.boolean(),
      unlock: fc.boolean(),
      // Rarely, or soon nothing could give way any more.
      ttl: fc.nat(20).map((n): Ttl | undefined => {
        if (n > 1) return undefined
        return n === 0 ? { mode: 'never' } : { mode: 'sliding', seconds: 999 }
      }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 60 }), async (steps) => {
        // Addresses of earlier runs are in the way: a router of its own for each.
        const own = await Bench.start({ options: { maxParams: MAX_PARAMS, eviction: 'lru' } })
        try {
          const writer = await own.join()
          /** Oldest first, as a Map keeps them. */
          const expected = new Map<string, { locked: boolean; forever: boolean }>()
          for (const { name, lock, unlock, ttl } of steps) {
            const address = `/p/${name}`
            writer.set(address, int(run++), { lock, unlock, ttl })
            const known = expected.get(address)
            const victim = [...expected].find(([, { locked, forever }]) => !locked && !forever)?.[0]
            const isRefused = known === undefined && expected.size === MAX_PARAMS && victim === undefined
            const [reply] = await writer.settle()
            assert.equal(reply.type, isRefused ? 'ERROR' : 'ACK')
            if (isRefused) continue
            if (known === undefined && expected.size === MAX_PARAMS) expected.delete(victim as string)
            expected.delete(address)
            const locked = lock || (known?.locked === true && !unlock)
            expected.set(address, {
              locked,
              forever: ttl === undefined ? known?.forever === true : ttl.mode === 'never',
            })
          }
          writer.subscribe(1, '/p/*')
          const found = (await writer.settle()).flatMap((m) => (m.type === 'SNAPSHOT' ? m.params : []))
          assert.deepEqual(found.map(({ address }) => address).sort(), [...expected.keys()].sort())
        } finally {
          await own.stop()
        }
      }),
      { numRuns: 60 },
    )
  })

  test('may give up what a session had locked once that session is gone', async () => {
    const holder = await bench.join('holder')
    for (let i = 0; i < MAX_PARAMS; i++) holder.set(`/held/${i}`, int(i), { lock: true })
    await holder.settle()
    peer.set('/new', int(1))
    assert.equal((await peer.next('ERROR')).message, 'AtCapacity')
    holder.close()
    await until(() => bench.router.statistics.sessions === 1, 'end of the session')
    peer.set('/new', int(1))
    assert.equal((await peer.next('ACK')).revision, 1)
    assert.deepEqual(await stored(), ['/held/1', '/held/2', '/held/3', '/held/4', '/new'])
  })

  test('takes a bundle of new params only when there is room for all of them', async () => {
    peer.set('/locked', int(1), { lock: true })
    for (let i = 0; i < 3; i++) peer.set(`/old/${i}`, int(i))
    await peer.settle()
    const messages = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ type: 'SET' as const, address: `/new/${i}`, value: int(i) }))
    peer.send({ type: 'BUNDLE', messages: messages(3) })
    assert.equal((await peer.next('ACK')).revision, 1)
    assert.deepEqual(await stored(), ['/locked', '/new/0', '/new/1', '/new/2', '/old/2'])
    const locking = messages(6).map((message) => ({ ...message, address: `${message.address}/more`, lock: true }))
    peer.send({ type: 'BUNDLE', messages: locking })
    assert.equal((await peer.next('ERROR')).message, 'AtCapacity')
    assert.deepEqual(await stored(), ['/locked', '/new/0', '/new/1', '/new/2', '/old/2'])
  })

  test('tells nobody of what it gives up, and writes to known params are never refused', async () => {
    const watcher = await bench.join('watcher')
    watcher.subscribe(1, '/**')
    for (let i = 0; i < 3 * MAX_PARAMS; i++) peer.set(`/p/${i}`, int(i))
    await peer.settle()
    assert.equal((await watcher.settle()).length, 3 * MAX_PARAMS)
    assert.equal(bench.router.statistics.evictions, 2 * MAX_PARAMS)
    assert.equal(bench.router.statistics.params, MAX_PARAMS)
    for (let i = 2 * MAX_PARAMS; i < 3 * MAX_PARAMS; i++) peer.set(`/p/${i}`, int(0))
    assert.ok((await peer.settle()).every((message) => message.type === 'ACK' && message.revision === 2))
  })
})
