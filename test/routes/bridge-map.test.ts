import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BridgeContext, defineBridge, type Update } from '../../runtime/bridges/bridge.ts'
import { BridgeScene } from '../bridges/bridge-scene.ts'
import { toy } from '../bridges/toy-bridge.ts'
import { float, int } from './rule-scene.ts'

test('the rules of a bridge lead between its own addresses and any others, both ways', async (t) => {
  const updates: Update[] = []
  let context: BridgeContext | undefined
  const kind = defineBridge({
    kind: 'toy',
    description: 'A test.',
    namespace: '/toy',
    options: { members: {} } as never,
    load: async () => async (given) => {
      context = given
      given.router.subscribe('/toy/**', (update) => updates.push(update))
      return { async stop() {} }
    },
  })
  const scene = await BridgeScene.start(t, '[]', { kinds: [kind] })
  await scene.set('/mix/1', float(0.5))
  const scale = { type: 'scale', from_min: 0, from_max: 127, to_min: 0, to_max: 1 }
  const map = [{ direction: 'both', match: '/toy/fader/*', to: '/mix/$1', transform: scale }]
  await scene.host.apply([{ id: 'a', kind: 'toy', namespace: '/toy', enabled: true, options: {}, map }])
  await scene.settle()
  const heard = () => updates.map(({ address, value }) => [address, 'value' in value ? value.value : null])
  assert.deepEqual(heard(), [['/toy/fader/1', 63.5]])
  // What the gear says is not said to it again.
  context?.router.set('/toy/fader/2', int(127))
  await scene.settle()
  assert.deepEqual(scene.param('/mix/2'), float(1))
  await scene.set('/mix/2', float(0))
  await scene.set('/toy/other', int(3))
  assert.deepEqual(heard().slice(1), [
    ['/toy/fader/2', 0],
    ['/toy/other', 3],
  ])
})

test('what a rule holds back of a bundle comes after it, and is not lost', async (t) => {
  const { scene, opened, entry, apply, pass } = await toy(t)
  await apply(entry('a', { map: [{ match: '/a/*', to: '/mix/$1', rate: 10 }] }))
  const { router } = opened[0].context
  for (const value of [1, 2, 3]) router.bundle([{ address: '/a/x', value: int(value) }])
  await scene.settle()
  assert.deepEqual(scene.param('/mix/x'), int(1))
  await pass(100)
  assert.deepEqual(scene.param('/mix/x'), int(3))
})

test('what a rule holds back of a bundle for a later time does not come before that time', async (t) => {
  const { scene, opened, entry, apply, pass } = await toy(t)
  await apply(entry('a', { map: [{ match: '/a/*', to: '/mix/$1', rate: 10 }] }))
  const items = [1, 2].map((value) => ({ address: '/a/x', value: int(value) }))
  opened[0].context.router.bundle(items, scene.clock.wallUs() + 1_000_000)
  await pass(500)
  assert.equal(scene.param('/mix/x'), undefined)
  await pass(510)
  assert.deepEqual(scene.param('/mix/x'), int(2))
})
