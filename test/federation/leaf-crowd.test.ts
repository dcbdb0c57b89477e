import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { Hub } from '../../runtime/federation/hub/hub.ts'
import { isSameValue } from '../../runtime/federation/leaf/same-value.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { CloseCode } from '../../runtime/router/link.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { paramValue } from '../../runtime/router/param-value.ts'
import { SeededRandom } from '../firmware-protocol/seeded-random.ts'
import { Bench, int } from '../router/fixture.ts'
import { until } from '../until.ts'
import { LeafBench } from './leaf-fixture.ts'

const NAMES = ['a', 'b', 'c']
const ADDRESSES = NAMES.flatMap((name) => [0, 1, 2].map((i) => `/${name}/p${i}`))

describe('three leaves that write into each other’s namespaces over links that break', () => {
  for (let seed = 1; seed <= Number(process.env.CLASP_TEST_SEEDS ?? 4); seed++) {
    it(`hold the same values as their hub in the end (seed ${seed})`, async (t) => {
      const random = new SeededRandom(seed)
      const bench = await Bench.start({ options: { paramTtlSeconds: 0 } })
      t.after(() => bench.stop())
      bench.router.peers = new Hub(bench.router, { log: silentLog, clock: systemClock, name: 'house' })
      const client = bench.router.openLocal({ name: 'console' })
      const leaves = NAMES.map((name) => {
        const others = NAMES.filter((other) => other !== name).map((other) => `/${other}/**`)
        return new LeafBench(t, {
          url: `tcp://127.0.0.1:${bench.port}`,
          namespaces: [`/${name}/**`],
          routerId: name,
          subscribe: others,
          writeRemote: others,
          policy: [{ pattern: '/**', offline: 'latest' }],
          backOff: { baseMs: 3, capMs: 10 },
        })
      })
      let value = 0
      for (let step = 0; step < 120; step++) {
        const address = random.pick(ADDRESSES)
        const dice = random.below(100)
        if (dice < 50) random.pick(leaves).set(address, int(++value))
        else if (dice < 60) client.send({ type: 'SET', address, value: int(++value) })
        else if (dice < 65) {
          const sessions = [...bench.router.sessions.values()].filter(({ isInternal }) => !isInternal)
          if (sessions.length > 0) random.pick(sessions).close(CloseCode.goingAway, 'cut by the test')
        } else await new Promise((resolve) => setTimeout(resolve, 1))
      }
      const atHub = (address: string): Value | undefined => {
        const param = bench.router.lookup(address)?.param
        return param === null || param === undefined ? undefined : paramValue(bench.router.store, param)
      }
      const differences = () =>
        leaves.flatMap((leaf, i) =>
          ADDRESSES.filter((address) => {
            const here = leaf.get(address)
            const there = atHub(address)
            return (here === undefined) !== (there === undefined) || (here && there && !isSameValue(here, there))
          }).map(
            (address) =>
              `${NAMES[i]}: ${address}: ${JSON.stringify(leaf.get(address))} / ${JSON.stringify(atHub(address))}`,
          ),
        )
      for (const leaf of leaves) await leaf.active()
      await until(() => differences().length === 0, 'equal values', 3000).catch(() => {})
      assert.deepEqual(differences(), [])
      // No circles: it comes to rest.
      const before = bench.router.statistics.messages.set
      await new Promise((resolve) => setTimeout(resolve, 100))
      assert.ok(bench.router.statistics.messages.set - before < 10)
    })
  }
})
