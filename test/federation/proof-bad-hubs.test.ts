/** Hubs that do not do as they should: how long the leaf waits, what it says, and how it recovers. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { LeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { someOf } from '../long-run.ts'
import { int } from '../router/fixture.ts'
import { Chance } from './proof-scene.ts'
import { SimulatedLink } from './simulated-link.ts'
import type { UpstreamHub } from './upstream-hub.ts'
import type { FrameKind } from './upstream-record.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/** The link of a leaf that has some of everything to bring. */
async function busyLink(t: TestContext, uplink: Partial<LeafOptions> = {}): Promise<SimulatedLink> {
  const link = await SimulatedLink.start(t, { uplink: { subscribe: ['/site-b/**'], ...uplink } })
  for (let i = 0; i < 60; i++) link.site.set(`/site-a/p${i}`, int(i))
  for (let i = 0; i < 60; i++) link.hub.set(`/site-a/q${i}`, int(i))
  return link
}

describe('a hub that', () => {
  it('lies about revisions ends with the same values as the leaf, and is not asked for ever', async (t) => {
    const chance = new Chance(3)
    const link = await busyLink(t)
    await link.equal()
    link.hub.faults.ackRevision = (_address, revision) => chance.pick([0, 1, revision, revision + 1000, 2 ** 40])
    link.hub.faults.echoRevision = (_address, revision) => chance.pick([0, 1, revision, revision - 1, revision + 1000])
    for (let i = 0; i < 300; i++) {
      link.site.set(`/site-a/p${i % 60}`, int(1000 + i))
      link.hub.set(`/site-a/q${i % 60}`, int(2000 + i))
      await link.time.pass(100)
    }
    link.hub.faults.ackRevision = undefined
    link.hub.faults.echoRevision = undefined
    await link.equal(20 * MINUTE_MS)
    const before = link.hub.seen.total
    await link.time.pass(MINUTE_MS)
    assert.ok(link.hub.seen.total - before < 30, `${link.hub.seen.total - before} frames in a quiet minute`)
  })

  it('sends snapshots without end is left with a reason, and memory stays', async (t) => {
    const link = await busyLink(t)
    link.hub.faults.endlessSnapshot = Array.from({ length: 100 }, (_, i) => ({
      address: `/site-a/endless${i}`,
      value: int(i),
      revision: 1,
    }))
    await link.time.pass(10 * MINUTE_MS, 1000)
    assert.ok(!link.site.isActive)
    assert.ok(
      link.site.attempts.length >= 2 && link.site.attempts.length <= 60,
      `${link.site.attempts.length} attempts`,
    )
    assert.notEqual(link.site.status.lastError, '')
    assert.ok(link.site.status.mirrored <= 300, `${link.site.status.mirrored} params are kept of it`)
    link.hub.faults.endlessSnapshot = undefined
    await link.equal()
  })

  for (const [code, words] of [
    [400, 'ConflictRejected'],
    [429, 'Rate limit exceeded: 30 messages/second'],
    [500, 'Internal error'],
    [503, 'Buffer overflow: messages being dropped (100 drops in last 10 seconds)'],
  ] as const) {
    it(`sends a storm of ERROR ${code} is borne: no storm of frames or of log lines answers it`, async (t) => {
      const link = await busyLink(t)
      await link.equal()
      const before = { frames: link.hub.seen.total, lines: link.site.complaints.length }
      for (let i = 0; i < 5000; i++) {
        const address = code === 400 ? `/site-a/p${i % 100}` : undefined
        const frame = encodeFrame({ type: 'ERROR', code, message: words, address })
        for (const { connection } of link.hub.openSessions) connection.sendRaw(frame)
        if (i % 50 === 0) await link.time.pass(100)
      }
      const frames = link.hub.seen.total - before.frames
      const lines = link.site.complaints.length - before.lines
      t.diagnostic(`${frames} frames and ${lines} log lines for 10 000 errors in 10 s`)
      assert.ok(frames <= 500, `${frames} frames`)
      assert.ok(lines <= 100, `${lines} log lines`)
      link.site.set('/site-a/after', int(1))
      await link.equal(15 * MINUTE_MS)
    })
  }

  const incoming: FrameKind[] = ['HELLO', 'PING', 'DECLARE_NAMESPACES', 'SUBSCRIBE', 'SYNC', 'GET', 'REQUEST_SYNC']
  const outgoing: FrameKind[] = ['WELCOME', 'SNAPSHOT', 'PONG', 'ACK', 'SYNC', 'SYNC_COMPLETE', 'SET']
  for (const [fault, kinds] of [
    ['cutsOn', [...incoming, 'REVISION_VECTOR', 'BUNDLE', 'SET']],
    ['cutsBefore', outgoing],
    ['ignores', [...incoming, 'REVISION_VECTOR', 'BUNDLE', 'SET']],
    ['withholds', outgoing],
  ] as [keyof Pick<UpstreamHub['faults'], 'cutsOn' | 'cutsBefore' | 'ignores' | 'withholds'>, FrameKind[]][]) {
    for (const kind of someOf(kinds)) {
      it(`${fault} ${kind} again and again is met with patience, and served when it does so no more`, async (t) => {
        const link = await busyLink(t)
        link.hub.faults[fault].add(kind)
        await link.time.pass(10 * MINUTE_MS, 250)
        const tries = link.site.attempts.length
        assert.ok(tries <= 60, `${tries} attempts in ten minutes`)
        assert.ok(link.hub.seen.total <= 3000, `${link.hub.seen.total} frames in ten minutes`)
        if (!link.site.isActive) assert.match(link.site.status.lastError, /\w{4}/)
        link.hub.faults[fault].delete(kind)
        await link.equal(HOUR_MS + 20 * MINUTE_MS)
      })
    }
  }
})
