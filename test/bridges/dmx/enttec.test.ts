import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { Line } from '../../line/line.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { FakeWidget, type FakeWidgetOptions } from './fake-widget.ts'

const int = (value: number): Value => ({ type: 'i64', value })

async function line(t: TestContext): Promise<Line> {
  const folder = mkdtempSync(join(tmpdir(), 'dmx-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return Line.open({ a: join(folder, 'ttyUSB0'), b: join(folder, 'widget') }, t)
}

const entry = (port: string, more = '') =>
  `- { id: stage, kind: dmx, type: enttec-pro, port: "${port}", slots: 24${more === '' ? '' : `, ${more}`} }`

async function scene(t: TestContext, more: string, options?: FakeWidgetOptions, clock?: SteppedClock) {
  const { a, b } = await line(t)
  const widget = new FakeWidget(b, t, options)
  return { widget, scene: await BridgeScene.start(t, entry(a, more), { clock }) }
}

function member(value: Value | undefined, name: string): unknown {
  const found = value?.type === 'map' ? value.value.find(([key]) => key === name)?.[1] : undefined
  return found !== undefined && 'value' in found ? found.value : undefined
}

test('a widget is asked who it is, set up only where it differs, and gets each channel in a frame', async (t) => {
  const { widget, scene: one } = await scene(t, 'refresh: 30, breakUs: 176, markUs: 20')
  assert.deepEqual(
    widget.told.slice(0, 4).map(({ label }) => label),
    [10, 3, 77, 78],
  )
  // 176 µs are 16.5 units of 10.67 µs, 20 are 1.9.
  await until(() => widget.labels(4).length > 0, 'parameters')
  assert.deepEqual([...widget.labels(4)[0]], [0, 0, 16, 2, 30])
  assert.equal(widget.frames.length, 0)
  await one.set('/dmx/0/1', int(255))
  await one.set('/dmx/0/24', { type: 'f64', value: 0.5 })
  await until(() => widget.frames.at(-1)?.[24] === 128, 'a frame')
  assert.deepEqual([...(widget.frames.at(-1) ?? [])], [0, 255, ...new Array(22).fill(0), 128])
  const device = one.param('/_meta/bridges/stage/device')
  assert.deepEqual(
    ['serial', 'manufacturer', 'model', 'firmware'].map((name) => member(device, name)),
    ['12345678', 'ENTTEC', 'DMX USB PRO', '1.44'],
  )
})

test('an unchanged frame is repeated every second, and its flash memory is spared', async (t) => {
  const clock = new SteppedClock()
  const parameters = [0, 1, 16, 2, 40]
  const { widget, scene: one } = await scene(t, 'onStart: zero, refresh: 40', { parameters }, clock)
  clock.advance(1)
  await until(() => widget.frames.length === 1, 'the first frame')
  clock.advance(1000)
  await until(() => widget.frames.length === 2, 'the second frame')
  assert.deepEqual(widget.labels(4), [])
  assert.deepEqual([...widget.frames[1]], new Array(25).fill(0))
  assert.equal(one.report('stage').state, 'running')
})

test('a fade goes up step by step and ends at its level, which the param then has', async (t) => {
  const clock = new SteppedClock()
  const { widget, scene: one } = await scene(t, '', {}, clock)
  await one.event('/dmx/0/fade', {
    type: 'map',
    value: [
      ['to', { type: 'map', value: [['3', int(200)]] }],
      ['ms', int(200)],
    ],
  })
  for (let frame = 0; frame < 10; frame++) {
    clock.advance(25)
    await one.settle()
  }
  await until(() => widget.frames.at(-1)?.[3] === 200, 'the end of the fade')
  const levels = widget.frames.map((frame) => frame[3])
  assert.deepEqual(
    levels,
    [...levels].sort((a, b) => a - b),
  )
  assert.ok(new Set(levels).size >= 6, `${levels}`)
  assert.deepEqual(await one.untilParam('/dmx/0/3'), int(200))
})

test('at its start it shows a scene, at its end another', async (t) => {
  const scenes = 'scenes: [{ scene: 1, levels: "1@100" }, { scene: 2, levels: "2-3@20%" }]'
  const { widget, scene: one } = await scene(t, `onStart: "scene:1", onStop: "scene:2", ${scenes}`)
  await until(() => widget.frames.length > 0, 'the look of the start')
  assert.deepEqual([...widget.frames[0].subarray(0, 5)], [0, 100, 0, 0, 0])
  await one.host.stop()
  await until(() => widget.frames.at(-1)?.[2] === 51, 'the look of the end')
  assert.deepEqual([...(widget.frames.at(-1)?.subarray(0, 5) ?? [])], [0, 0, 51, 51, 0])
})

test('frames that come in become params, in any way that the widget tells them', async (t) => {
  const { widget, scene: one } = await scene(t, 'direction: in, inRate: 44')
  await until(() => widget.labels(8).length > 0, 'the mode of receiving')
  assert.deepEqual([...widget.labels(8)[0]], [0])
  widget.receiveDmx(0, [10, 0, 255])
  await one.untilParam('/dmx/0/3')
  assert.deepEqual(one.param('/dmx/0/1'), int(10))
  assert.equal(one.param('/dmx/0/2'), undefined)
  // Start codes of others, and changes of state.
  widget.receiveDmx(0xcc, [1, 2, 3])
  widget.say(9, [0, 0b100, 0, 0, 0, 0, 77])
  await one.untilParam('/dmx/0/2', (value) => 'value' in value && value.value === 77)
  assert.deepEqual(one.param('/dmx/0/1'), int(10))
  widget.receiveDmx(0, [1], 2)
  await until(() => one.report('stage').errors > 0, 'an error')
  assert.match(one.report('stage').lastError, /could not follow/)
})

test('garbage and messages that make no sense are counted, and what follows is heard', async (t) => {
  const { widget, scene: one } = await scene(t, 'direction: in')
  widget.raw([1, 2, 3, 0x7e, 5, 0xff, 0xff])
  widget.say(5, [])
  widget.say(5, [0])
  widget.say(5, new Array(600).fill(0))
  widget.say(9, [255, 1, 1, 1, 1, 1])
  widget.say(200, [1, 2, 3])
  widget.receiveDmx(0, [0, 42])
  assert.deepEqual(await one.untilParam('/dmx/0/2'), int(42))
  assert.equal(one.report('stage').state, 'running')
  assert.ok(one.report('stage').inDropped >= 5, `${one.report('stage').inDropped}`)
})

test('a widget that speaks RDM is not asked for a mode that it does not have', async (t) => {
  const { widget, scene: one } = await scene(t, 'direction: in', { parameters: [1, 2, 9, 1, 40] })
  widget.receiveDmx(0, [5])
  await one.untilParam('/dmx/0/1')
  assert.deepEqual(widget.labels(8), [])
})

test('the second port of a widget is used with its key and its labels', async (t) => {
  const out = await scene(t, 'key: 01ab23cd, labels: { send: 169, assign: 203 }')
  await out.scene.set('/dmx/0/1', int(7))
  await until(() => out.widget.labels(169).length > 0, 'a frame')
  assert.deepEqual([...out.widget.labels(169)[0].subarray(0, 3)], [0, 7, 0])
  assert.equal(out.widget.labels(13)[0].toString('hex'), '01ab23cd')
  assert.deepEqual([...out.widget.labels(203)[0]], [1, 1])
  assert.equal(out.widget.frames.length, 0)
  const input = await scene(t, 'direction: in, labels: { received: 170 }')
  input.widget.say(5, [0, 0, 1])
  input.widget.say(170, [0, 0, 2])
  assert.deepEqual(await input.scene.untilParam('/dmx/0/1'), int(2))
})

test('a widget that was unplugged is found again, and shows at once what it showed', async (t) => {
  const wire = await line(t)
  const first = new FakeWidget(wire.b, t)
  const one = await BridgeScene.start(t, entry(wire.a))
  await one.set('/dmx/0/7', int(99))
  await until(() => first.frames.length > 0, 'a frame')
  await wire.unplug('a')
  await until(() => one.report('stage').state === 'degraded', 'the loss')
  assert.match(one.report('stage').reason, /ttyUSB0/)
  await one.set('/dmx/0/8', int(100))
  first.close()
  await wire.unplug('b')
  await wire.plug('b')
  const second = new FakeWidget(wire.b, t)
  await wire.plug('a')
  await until(() => second.frames.length > 0, 'a frame after it came back')
  assert.deepEqual([...second.frames[0].subarray(7, 9)], [99, 100])
  assert.equal(one.report('stage').state, 'running')
})

test('a port where nothing answers is told, with what to do', async (t) => {
  const { scene: one } = await scene(t, '', { answers: [] })
  assert.equal(one.report('stage').state, 'degraded')
  assert.match(one.report('stage').reason, /nothing answers at .*ttyUSB0 as an ENTTEC DMX USB Pro does.*type: ftdi/)
})

test('a port that is not there is told, with those that are', async (t) => {
  const one = await BridgeScene.start(t, entry('/dev/ttyUSB77'))
  assert.match(one.report('stage').reason, /no serial port \/dev\/ttyUSB77: plug it in/)
})

test('a look for the end reaches a widget that is behind', async (t) => {
  const { a, b } = await line(t)
  const widget = new FakeWidget(b, t)
  const clock = new SteppedClock()
  const yaml = `- { id: stage, kind: dmx, type: enttec-pro, port: "${a}", onStop: zero }`
  const one = await BridgeScene.start(t, yaml, { clock })
  await one.set('/dmx/0/1', int(255))
  await until(() => widget.frames.length > 0, 'a frame')
  widget.pause()
  for (let i = 0; i < 600; i++) {
    await one.set('/dmx/0/2', int(i & 255))
    clock.advance(25)
  }
  const stopped = one.host.stop()
  await one.settle()
  widget.resume()
  await stopped
  await until(() => widget.frames.at(-1)?.[1] === 0, 'the look')
  assert.ok(widget.frames.length < 600, `${widget.frames.length} frames: it was never behind`)
})

test('a level that fell while nothing was received is told, though the first frame has it dark', async (t) => {
  const { a, b } = await line(t)
  const widget = new FakeWidget(b, t)
  const one = await BridgeScene.start(t, '[]')
  await one.set('/dmx/0/3', int(200))
  await one.apply(entry(a, 'direction: in'))
  widget.receiveDmx(0, [0, 0, 0])
  await one.untilParam('/dmx/0/3', (value) => 'value' in value && value.value === 0)
})
