import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SacnData } from '../../../runtime/bridges/sacn/sacn-packet.ts'
import { SacnReceiver } from '../../../runtime/bridges/sacn/sacn-receiver.ts'
import { inputScene } from '../lighting/lighting-scene.ts'

const FORCE_SYNC = 0x20

function receiverScene() {
  const scene = inputScene({}, Number.POSITIVE_INFINITY)
  const asked: number[] = []
  const exceeded: string[] = []
  const receiver = new SacnReceiver({
    clock: scene.clock,
    lossMs: 2500,
    onSyncAddress: (universe) => asked.push(universe),
    onExceeded: (_universe, cid) => exceeded.push(cid),
    onSources: () => {},
  })
  receiver.add(scene.input, true, 'live')
  let sequence = 0
  const data = (slots: number[], more: Partial<SacnData> = {}) =>
    receiver.data(
      {
        type: 'data',
        cid: 'a',
        priority: 100,
        syncAddress: 0,
        sequence: sequence++ & 255,
        options: 0,
        universe: 1,
        startCode: 0,
        slots: Uint8Array.from(slots),
        ...more,
      },
      () => 'name',
    )
  const sync = (syncAddress: number) => receiver.sync({ type: 'sync', cid: 'a', sequence: 0, syncAddress })
  return { ...scene, data, sync, asked, exceeded, first: () => scene.input.universe.levels[0] }
}

test('when synchronization is lost frames are held, or shown where the source says so', async () => {
  const { data, sync, asked, first, pass } = receiverScene()
  const syncAddress = 7
  data([1], { syncAddress })
  assert.deepEqual(asked, [7])
  assert.equal(first(), 1)
  sync(7)
  data([2], { syncAddress })
  assert.equal(first(), 1)
  for (let i = 0; i < 3; i++) {
    await pass(1000)
    data([3], { syncAddress })
  }
  assert.equal(first(), 1)
  data([4], { syncAddress, options: FORCE_SYNC })
  assert.equal(first(), 4)
  data([5], { syncAddress })
  sync(7)
  assert.equal(first(), 5)
})

test('a source that waits for synchronization has not gone', async () => {
  const { data, sync, input, pass } = receiverScene()
  data([1], { syncAddress: 7 })
  sync(7)
  for (let i = 0; i < 10; i++) {
    await pass(1000)
    data([2], { syncAddress: 7 })
  }
  assert.equal(input.hasSignal, true)
  await pass(2500)
  assert.equal(input.hasSignal, false)
})

test('priorities of single slots count until they are no longer told', async () => {
  const { data, first, pass } = receiverScene()
  const other = { cid: 'b', priority: 120 }
  data([10], other)
  data([20])
  assert.equal(first(), 10)
  data([150], { startCode: 0xdd })
  assert.equal(first(), 20)
  for (let i = 0; i < 3; i++) {
    await pass(1000)
    data([10], other)
    data([20])
  }
  assert.equal(first(), 10)
})

test('sequence numbers run for each source, and a source that begins anew is heard', () => {
  const { data, first } = receiverScene()
  data([1], { sequence: 100 })
  assert.equal(data([2], { sequence: 100 }), false)
  assert.equal(data([2], { sequence: 81 }), false)
  assert.equal(data([3], { sequence: 80 }), true)
  assert.equal(first(), 3)
})

test('sources that never send a level make room again', async () => {
  const { data, input, pass, exceeded } = receiverScene()
  data([], { cid: 'x' })
  data([100], { cid: 'y', startCode: 0xdd })
  assert.equal(data([1], { cid: 'a' }), false)
  assert.equal(exceeded.length, 1)
  await pass(2600)
  assert.equal(data([1], { cid: 'a' }), true)
  assert.equal(input.hasSignal, true)
})
