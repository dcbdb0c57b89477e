/** A power cut as far as a process can have one. `test/torture/pull-the-plug.test.ts` does the same for longer. */
import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { PluggedRouter, temporaryFolder } from './plug.ts'
import { killAtBirth, pullThePlug, told } from './plug-run.ts'
import { cutThePower, told as toldCut } from './power-cut.ts'

const SEED = Number(process.env.CLASP_PLUG_SEED ?? Date.now() % 1_000_000)

describe('after a power cut', { concurrency: true }, () => {
  it('nothing acknowledged as durable is missing after 4 kills, and nothing comes back older', async (t) => {
    const report = await pullThePlug(t, 4, SEED)
    t.diagnostic(told(report))
    assert.deepEqual(report.problems, [])
  })

  it('a first start that was killed leaves nothing to repair', async (t) => {
    assert.deepEqual(await killAtBirth(t, 2, SEED), [])
  })

  it('a medium that has not taken the end of the log holds everything up to some moment', async (t) => {
    const report = await cutThePower(t, 2, SEED)
    t.diagnostic(toldCut(report))
    assert.deepEqual(report.problems, [])
  })
})

test('100 000 params are back after a kill before the first client is served', async (t) => {
  const folder = temporaryFolder(t)
  const first = await PluggedRouter.start(t, folder)
  const writer = await first.connect('writer')
  for (let i = 0; i < 100_000; i += 500) {
    const messages = Array.from({ length: 500 }, (_, n): Message => {
      return { type: 'SET', address: `/batched/fill/${i + n}`, value: { type: 'f64', value: i + n } }
    })
    await writer.bundle(messages)
  }
  await first.journalIs(({ pendingParams, isCommitting }) => !isCommitting && pendingParams === 0, 'stored params')
  await first.pull()

  const times: number[] = []
  for (let start = 0; start < 1; start++) {
    const router = new PluggedRouter(t, folder)
    times.push(Math.round(await router.ready()))
    const { facts } = await router.journal()
    assert.equal(facts.restored, 100_000)
    const client = await router.connect('reader')
    const last = await client.get('/batched/fill/99999')
    assert.deepEqual(last?.value, { type: 'f64', value: 99_999 })
    await router.pull()
  }
  t.diagnostic(`served after ${times.join(', ')} ms`)
  // Promised are 2 s on an idle machine; this one may be busy with other things.
  assert.ok(Math.min(...times) <= 10_000, `${times.join(', ')} ms`)
})
