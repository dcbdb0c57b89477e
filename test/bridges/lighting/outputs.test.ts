import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, float, int, map, outputScene } from './lighting-scene.ts'

test('nothing is sent before somebody sets a slot; the first change goes at once, as one frame for a turn', async () => {
  const { router, frames, pass, clock } = outputScene()
  await pass(5000)
  assert.equal(frames.length, 0)
  const now = clock.now()
  router.update('/x/y/0/1', int(10))
  router.update('/x/y/0/2', float(1))
  router.update('/x/y/0/1/1/4', int(4))
  await pass(0)
  assert.deepEqual(frames, [
    { at: now, universe: 0, levels: [10, 255, 0, 0] },
    { at: now, universe: 17, levels: [0, 0, 0, 4] },
  ])
})

test('changes that follow are gathered into at most 40 frames a second, and the last one is sent', async () => {
  const { router, frames, pass } = outputScene()
  for (let level = 1; level <= 100; level++) {
    router.update('/x/y/0/1', int(level))
    await pass(1)
  }
  await pass(25)
  const gaps = frames.slice(1).map(({ at }, i) => at - frames[i].at)
  assert.ok(gaps.every((gap) => gap >= 25))
  assert.equal(frames.length, 5)
  assert.equal(frames.at(-1)?.levels[0], 100)
})

test('without a change a frame is sent every 900 ms; where wanted, some follow a change at once', async () => {
  const { router, frames, pass } = outputScene({}, [], 3)
  router.update('/x/y/0/1', int(1))
  await pass(0)
  const start = frames[0].at
  await pass(2000)
  assert.deepEqual(
    frames.map(({ at }) => at - start),
    [0, 25, 50, 75, 975, 1875],
  )
  // The same value is no change.
  router.update('/x/y/0/1', int(1))
  await pass(0)
  assert.equal(frames.length, 6)
})

test('whole universes come as bytes, lists and streams; null in a list leaves a slot as it is', async () => {
  const { router, frames, pass } = outputScene()
  const last = async () => {
    await pass(25)
    return frames.at(-1)?.levels
  }
  router.update('/x/y/0', { type: 'bytes', value: Uint8Array.of(1, 2, 3, 4) }, 'stream')
  assert.deepEqual(await last(), [1, 2, 3, 4])
  router.update('/x/y/0', array(int(9), { type: 'null' }, float(0.2)))
  assert.deepEqual(await last(), [9, 2, 51, 4])
  router.update('/x/y/0', { type: 'null' }, 'stream', { samples: [0, 1] })
  assert.deepEqual(await last(), [0, 255, 51, 4])
})

test('a 16-bit pair is written together', async () => {
  const { router, frames, pass } = outputScene()
  router.update('/x/y/0/2/16', int(0x1234))
  await pass(0)
  assert.deepEqual(frames[0].levels, [0, 0x12, 0x34, 0])
})

test('values that are no levels and universes that do not exist are counted with a word', async () => {
  const { router, frames, pass, problems, counters } = outputScene()
  router.update('/x/y/0/1', { type: 'string', value: 'on' })
  router.update('/x/y/0', { type: 'bytes', value: new Uint8Array(513) })
  router.update('/x/y/5/1', int(1))
  router.update('/x/y/0/513', int(1))
  router.update('/x/y/0/1/fade', int(1), 'event')
  router.update('/x/y/0/1/fade', map({ to: int(1), ms: float(-1) }), 'event')
  await pass(100)
  assert.deepEqual(problems, ['value', 'value', 'universe', 'address', 'fade', 'fade'])
  assert.equal(counters.outDropped, 6)
  assert.equal(frames.length, 0)
})

test('a fade is interpolated at the frame rate and ends on its level, which the router is told', async () => {
  const { router, frames, pass } = outputScene()
  router.update('/x/y/0/1', int(100))
  await pass(0)
  router.update('/x/y/0/1/fade', map({ to: int(200), ms: int(1000) }), 'event')
  await pass(500)
  assert.equal(frames.at(-1)?.levels[0], 150)
  await pass(500)
  assert.equal(frames.at(-1)?.levels[0], 200)
  assert.ok(frames.length > 35 && frames.length < 45, `${frames.length} frames`)
  assert.deepEqual(router.bundles, [[{ address: '/x/y/0/1', value: int(200) }]])
})

test('a fade of a universe moves what it names; a write to a slot ends its fade', async () => {
  const { router, frames, pass } = outputScene()
  router.update('/x/y/0/fade', map({ to: map({ 1: int(200), 3: int(100) }), ms: int(1000) }), 'event')
  await pass(500)
  assert.deepEqual(frames.at(-1)?.levels, [100, 0, 50, 0])
  router.update('/x/y/0/1', int(7))
  await pass(600)
  assert.deepEqual(frames.at(-1)?.levels, [7, 0, 100, 0])
  router.update('/x/y/0/fade', map({ to: array(int(0), { type: 'null' }, int(0)), ms: int(0) }), 'event')
  await pass(25)
  assert.deepEqual(frames.at(-1)?.levels, [0, 0, 0, 0])
  assert.deepEqual(router.bundles.at(-1), [{ address: '/x/y/0', value: { type: 'bytes', value: new Uint8Array(3) } }])
})

test('a 16-bit fade passes through the fine levels', async () => {
  const { router, frames, pass } = outputScene()
  router.update('/x/y/0/1/16/fade', map({ to: float(1), ms: int(1000) }), 'event')
  await pass(500)
  assert.deepEqual(frames.at(-1)?.levels, [0x80, 0x00, 0, 0])
  await pass(500)
  assert.deepEqual(frames.at(-1)?.levels, [255, 255, 0, 0])
})

test('the looks for start, loss and end are shown', async () => {
  const scenes = [{ scene: 4, levels: '2@40' }]
  const { router, frames, pass, outputs, clock } = outputScene(
    { onStart: 'scene:4', onLoss: 'full', lossHold: 300, onStop: 'zero' },
    scenes,
  )
  await pass(0)
  assert.deepEqual(frames[0].levels, [0, 40, 0, 0])
  router.update('/x/y/0/1', int(1))
  await pass(25)
  assert.deepEqual(frames.at(-1)?.levels, [1, 0, 0, 0])
  router.update('/x/y/0/1', { type: 'null' })
  await pass(299)
  assert.deepEqual(frames.at(-1)?.levels, [1, 0, 0, 0])
  // It is noticed with the next frame.
  await pass(26)
  assert.deepEqual(frames.at(-1)?.levels, [255, 255, 255, 255])
  outputs.stop()
  assert.deepEqual(
    frames.slice(-2).map(({ universe, levels }) => [universe, levels]),
    [
      [0, [0, 0, 0, 0]],
      [17, [0, 0, 0, 0]],
    ],
  )
  assert.equal(clock.pendingTimers, 0)
})

test('what comes in on another universe is merged into an output', async () => {
  const { router, frames, pass, outputs } = outputScene()
  outputs.find(0)?.relay(Uint8Array.of(50, 50), 100)
  router.update('/x/y/0/1', int(60))
  await pass(0)
  assert.deepEqual(frames.at(-1)?.levels, [60, 50, 0, 0])
  outputs.find(0)?.relay(null, 100)
  await pass(25)
  assert.deepEqual(frames.at(-1)?.levels, [60, 0, 0, 0])
})

test('a look that is to stay as it is sends nothing at the start', async () => {
  const { frames, pass } = outputScene({ onStart: 'hold' })
  await pass(5000)
  assert.equal(frames.length, 0)
})

test('the level at which a fade arrived means the same level later, whatever the scale', async () => {
  for (const scale of ['normalized', 'auto', 'raw'] as const) {
    const { router, frames, pass } = outputScene({}, [], 0, scale)
    const half = scale === 'raw' ? int(128) : float(128 / 255)
    const halfOfPair = scale === 'raw' ? int(0x8001) : float(0x8001 / 65_535)
    router.update('/x/y/0/1/fade', map({ to: half, ms: int(100) }), 'event')
    router.update('/x/y/0/2/16/fade', map({ to: halfOfPair, ms: int(100) }), 'event')
    await pass(200)
    assert.deepEqual(frames.at(-1)?.levels, [128, 0x80, 0x01, 0], scale)
    const later = outputScene({}, [], 0, scale)
    for (const { address, value } of router.bundles.flat()) later.router.update(address, value)
    await later.pass(0)
    assert.deepEqual(later.frames.at(-1)?.levels, [128, 0x80, 0x01, 0], scale)
  }
})

test('at the end a fade stays where it is, and the router knows', async () => {
  const { router, pass, outputs } = outputScene()
  router.update('/x/y/0/1', int(100))
  await pass(0)
  router.update('/x/y/0/1/fade', map({ to: int(200), ms: int(1000) }), 'event')
  router.update('/x/y/17/1', int(1))
  await pass(500)
  outputs.stop()
  assert.deepEqual(router.bundles, [[{ address: '/x/y/0/1', value: int(150) }]])
})

test('a gesture that ends without a value and a stream without samples release nothing', async () => {
  const { router, frames, pass } = outputScene()
  router.update('/x/y/0/1', int(100))
  await pass(25)
  router.update('/x/y/0/1', { type: 'null' }, 'gesture', { phase: 'end' })
  router.update('/x/y/0', { type: 'null' }, 'gesture', { phase: 'end' })
  router.update('/x/y/0/1', { type: 'null' }, 'stream', { samples: [] })
  await pass(500)
  assert.equal(frames.length, 1)
})
