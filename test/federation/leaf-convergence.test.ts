import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConflictPolicy } from '../../runtime/federation/leaf/reconcile.ts'
import { isSameValue } from '../../runtime/federation/leaf/same-value.ts'
import { SeededRandom } from '../firmware-protocol/seeded-random.ts'
import { int } from '../router/fixture.ts'
import { until } from '../until.ts'
import { LeafBench } from './leaf-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

const ADDRESSES = Array.from({ length: 8 }, (_, i) => `/site-a/p${i}`)
const POLICIES: ConflictPolicy[] = ['owner', 'lww', 'hub', 'owner-strict']
const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

describe('a leaf and a hub that are both written to, cut off, restarted and robbed of messages', () => {
  for (let seed = 1; seed <= Number(process.env.CLASP_TEST_SEEDS ?? 8); seed++) {
    const conflict = POLICIES[seed % POLICIES.length]
    it(`hold the same values in the end (${conflict}, seed ${seed})`, async (t) => {
      const random = new SeededRandom(seed)
      const hub = await UpstreamHub.start(t)
      const leaf = new LeafBench(t, {
        url: hub.url,
        policy: [{ pattern: '/**', conflict }],
        backOff: { baseMs: 3, capMs: 10 },
      })
      if (seed % 5 === 0) hub.inlineReceivers = 0
      // A loss is found by the next comparison; without one the broadcasts alone must do.
      const losesMessages = seed % 8 < 4
      let value = 0
      for (let step = 0; step < 150; step++) {
        const address = ADDRESSES[random.below(ADDRESSES.length)]
        const dice = random.below(100)
        if (dice < 40) leaf.set(address, int(++value))
        else if (dice < 65) hub.set(address, int(++value))
        else if (dice < 69) for (const each of ADDRESSES) leaf.set(each, int(++value))
        else if (dice < 72) for (let i = 0; i < 60; i++) leaf.set(`/site-a/bulk/${i}`, int(++value))
        else if (dice < 76) hub.openSessions[0]?.connection.cut()
        else if (dice < 78 && losesMessages) hub.faults.dropBroadcasts(1 + random.below(4))
        else if (dice < 80) await hub.restart({ state: (['empty', 'snapshot', 'journal'] as const)[random.below(3)] })
        else await turn()
      }
      hub.faults.dropBroadcasts(0)
      await leaf.active()
      if (losesMessages) {
        leaf.leaf.reconnectNow()
        await until(() => leaf.leaf.statistics.state !== 'active', 'the end of the link')
      }
      const differences = () =>
        [...new Set([...hub.params.keys(), ...ADDRESSES])].filter((address) => {
          if (address.includes('/_leaf/')) return false
          const there = hub.params.get(address)?.value
          const here = leaf.get(address)
          return (there === undefined) !== (here === undefined) || (there && here && !isSameValue(there, here))
        })
      await leaf.active()
      await until(
        () => differences().length === 0 && leaf.leaf.statistics.queue.params === 0,
        'equal sides',
        3000,
      ).catch(() => {})
      const words = differences().map(
        (address) =>
          `${address}: ${JSON.stringify(hub.params.get(address)?.value)} / ${JSON.stringify(leaf.get(address))}`,
      )
      assert.deepEqual(words, [])
    })
  }
})
