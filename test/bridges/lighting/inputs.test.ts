import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inputScene } from './lighting-scene.ts'

test('of the first frame only lit channels are told, of the following ones what changed, in one bundle each', async () => {
  const { input, source, pass, told } = inputScene()
  const a = source('a')
  input.frame(a, Uint8Array.of(0, 5, 6, 0, 99))
  await pass(0)
  assert.deepEqual(told(), [{ '/in/1/2': 5, '/in/1/3': 6 }])
  input.frame(a, Uint8Array.of(1, 5, 0, 0, 99))
  await pass(100)
  assert.deepEqual(told().at(-1), { '/in/1/1': 1, '/in/1/3': 0 })
})

test('all channels are told at first where that is wanted', async () => {
  const { input, source, pass, told } = inputScene({ initial: 'all' })
  input.frame(source('a'), new Uint8Array(512))
  await pass(0)
  assert.deepEqual(told(), [{ '/in/1/1': 0, '/in/1/2': 0, '/in/1/3': 0, '/in/1/4': 0 }])
})

test('params are told at their rate, and the last value always', async () => {
  const { input, source, pass, told } = inputScene()
  const a = source('a')
  for (let level = 1; level <= 44; level++) {
    input.frame(a, Uint8Array.of(level))
    await pass(22)
  }
  await pass(100)
  assert.ok(told().length >= 9 && told().length <= 11, `${told().length} bundles`)
  assert.deepEqual(told().at(-1), { '/in/1/1': 44 })
})

test('a stream has each frame that changed, and is told again once a second', async () => {
  const { input, source, pass, router } = inputScene({ mode: 'universe' })
  const a = source('a')
  for (let i = 0; i < 100; i++) {
    input.frame(a, Uint8Array.of(i < 3 ? i + 1 : 3))
    await pass(22)
  }
  const bytes = router.streams.map((value) => (value.type === 'bytes' ? [...value.value] : []))
  assert.deepEqual(bytes, [[1], [2], [3], [3], [3]])
  assert.equal(router.bundles.length, 0)
})

test('a source that is silent among others leaves after its time, a universe without frames is lost sooner', async () => {
  const { input, source, pass, told, changes } = inputScene({ onLoss: 'zero', lossHold: 500 })
  const [a, b] = [source('a'), source('b')]
  input.frame(a, Uint8Array.of(10))
  input.frame(b, Uint8Array.of(5))
  await pass(0)
  for (let i = 0; i < 10; i++) {
    await pass(1000)
    input.frame(b, Uint8Array.of(5))
  }
  await pass(100)
  assert.deepEqual(told(), [{ '/in/1/1': 10 }, { '/in/1/1': 5 }])
  await pass(3000)
  assert.equal(input.hasSignal, false)
  assert.equal(told().length, 2)
  await pass(500)
  assert.deepEqual(told().at(-1), { '/in/1/1': 0 })
  assert.deepEqual(changes, [true, true, false])
  input.frame(source('a'), Uint8Array.of(7))
  await pass(100)
  assert.deepEqual(told().at(-1), { '/in/1/1': 7 })
})

test('after a loss the levels stay, or a scene is told', async () => {
  for (const [onLoss, expected] of [
    ['hold', 1],
    ['scene:1', 2],
  ] as const) {
    const { input, source, pass, told } = inputScene({ onLoss })
    const a = source('a')
    input.frame(a, Uint8Array.of(200))
    await pass(200)
    input.close(a)
    await pass(200)
    assert.equal(told().length, expected)
    assert.deepEqual(told().at(-1), { '/in/1/1': expected === 1 ? 200 : 10 })
  }
})

test('the last levels before a loss are told, and not that nobody asserts any more', async () => {
  for (const lossHold of [0, 500]) {
    const { input, source, pass, told } = inputScene({ lossHold })
    const a = source('a')
    input.frame(a, Uint8Array.of(200))
    await pass(0)
    // Within the pause between two params.
    await pass(30)
    input.frame(a, Uint8Array.of(210))
    input.close(a)
    await pass(1000)
    assert.deepEqual(told(), [{ '/in/1/1': 200 }, { '/in/1/1': 210 }])
  }
})

test('so they are where the source falls silent', async () => {
  const { input, source, pass, told } = inputScene({}, 60, 10_000)
  const a = source('a')
  input.frame(a, Uint8Array.of(200))
  await pass(0)
  await pass(30)
  input.frame(a, Uint8Array.of(210))
  await pass(1000)
  assert.deepEqual(told(), [{ '/in/1/1': 200 }, { '/in/1/1': 210 }])
})

test('what the router still knows of an earlier time is corrected by the first frame', async () => {
  const { input, source, pass, told } = inputScene()
  input.known(2)
  input.frame(source('a'), Uint8Array.of(7, 0, 0))
  await pass(0)
  assert.deepEqual(told(), [{ '/in/1/1': 7, '/in/1/2': 0 }])
})
