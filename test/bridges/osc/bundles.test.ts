import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { bundle, Gear, hex, int32, message, startOsc } from './osc-scene.ts'

const int = (value: number): Value => ({ type: 'i64', value })

test('a bundle is applied as one, and its parts that cannot be read do not spoil the rest', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  const broken = hex('2f620000 2c660000')
  gear.send(bundle(0, message('/a', 'i', int32(1)), broken, message('/c', 'i', int32(3))))
  assert.deepEqual(await scene.untilParam('/osc/c'), int(3))
  assert.deepEqual(scene.param('/osc/a'), int(1))
  assert.equal(scene.param('/osc/b'), undefined)
  assert.equal(scene.report('osc').inDropped, 1)
  assert.match(scene.report('osc').lastError, /\/b: arguments are missing/)
})

test('a bundle with a time waits for it, a nested one for its own', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await startOsc(t, ', autoSubscribe: true', { clock })
  const gear = await Gear.open(t, port)
  const other = await Gear.open(t, port)
  other.send(message('/clasp/ping'))
  await other.hears('/clasp/pong')
  const now = clock.wallUs()
  const inner = bundle(now + 500_000, message('/b', 'i', int32(2)))
  const tooEarly = bundle(now + 1000, message('/c', 'i', int32(3)))
  gear.send(bundle(now + 200_000, message('/a', 'i', int32(1)), inner, tooEarly), message('/sent'))
  await scene.untilParam('/osc/sent')
  assert.equal(scene.param('/osc/a'), undefined)
  const pass = async (ms: number) => {
    for (let i = 0; i < ms; i += 50) {
      clock.advance(50)
      await scene.settle()
    }
  }
  await pass(100)
  assert.equal(scene.param('/osc/a'), undefined)
  await pass(150)
  assert.deepEqual(scene.param('/osc/a'), int(1))
  assert.deepEqual(scene.param('/osc/c'), int(3))
  assert.equal(scene.param('/osc/b'), undefined)
  await pass(300)
  assert.deepEqual(scene.param('/osc/b'), int(2))
  // It knows whose they are even then.
  await other.hears('/b')
  assert.deepEqual(gear.packets, [])
})

test('a bundle of the past is applied or dropped as set, one of the far future at once', async (t) => {
  const { port, scene } = await startOsc(t, ', late: drop, maxAhead: 1s')
  const gear = await Gear.open(t, port)
  const now = Date.now() * 1000
  gear.send(bundle(now - 5_000_000, message('/late', 'i', int32(1))))
  gear.send(bundle(now + 3_600_000_000, message('/far', 'i', int32(2))))
  assert.deepEqual(await scene.untilParam('/osc/far'), int(2))
  assert.equal(scene.param('/osc/late'), undefined)
  assert.equal(scene.report('osc').inDropped, 1)
  assert.match(scene.report('osc').lastError, /3600 s from now/)
})

test('values that change together leave as one bundle where a target wants that', async (t) => {
  const target = await Gear.open(t)
  const { scene } = await startOsc(t, `, targets: [{host: 127.0.0.1, port: ${target.port}, bundle: true}]`)
  await scene.send({
    type: 'BUNDLE',
    messages: [
      { type: 'SET', address: '/osc/a', value: int(1) },
      { type: 'SET', address: '/osc/b', value: int(2) },
    ],
  })
  await target.hears('/b')
  assert.deepEqual(target.packets, [bundle(0, message('/a', 'i', int32(1)), message('/b', 'i', int32(2)))])
})

test('bundles for a target with a latency have its time tag, one value alone as well', async (t) => {
  const clock = new SteppedClock()
  const target = await Gear.open(t)
  const { scene } = await startOsc(
    t,
    `, targets: [{host: 127.0.0.1, port: ${target.port}, bundle: true, latency: 500ms}]`,
    { clock },
  )
  assert.equal(clock.wallUs(), 1_700_000_005_000_000)
  await scene.set('/osc/a', int(1))
  await target.hears('/a')
  // Seconds since 1900, and half of one.
  assert.deepEqual(target.packets, [hex('2362756e646c6500 e8fe6f85 80000000 0000000c 2f610000 2c690000 00000001')])
})

test('a BUNDLE with a time leaves when it takes effect, as one bundle', async (t) => {
  const clock = new SteppedClock()
  const target = await Gear.open(t)
  const { scene } = await startOsc(t, `, targets: [{host: 127.0.0.1, port: ${target.port}, bundle: true}]`, { clock })
  await scene.send({
    type: 'BUNDLE',
    timestamp: clock.wallUs() + 300_000,
    messages: [
      { type: 'SET', address: '/osc/a', value: int(1) },
      { type: 'PUBLISH', address: '/osc/go', signal: 'event', payload: int(2) },
    ],
  })
  await scene.set('/osc/now', int(3))
  await target.hears('/now')
  clock.advance(300)
  await target.hears('/go')
  assert.deepEqual(target.packets, [
    message('/now', 'i', int32(3)),
    bundle(0, message('/a', 'i', int32(1)), message('/go', 'i', int32(2))),
  ])
})
