import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { Line } from '../../line/line.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { FakeWidget } from './fake-widget.ts'
import { Ola, olaMissing } from './ola.ts'

const int = (value: number): Value => ({ type: 'i64', value })

/** A widget at a serial port: `port` is what its host opens. */
async function widgetAt(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'dmx-ola-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const line = await Line.open({ a: join(folder, 'ttyUSB0'), b: join(folder, 'far') }, t)
  return { folder, port: line.a, widget: new FakeWidget(line.b, t) }
}

test('OLA and our bridge drive the same widget, and hear each other over DMX, both ways', {
  skip: olaMissing(),
}, async (t) => {
  const theirs = await widgetAt(t)
  const ola = await Ola.start(t, theirs.port, theirs.folder)
  const ports = await ola.widgetPorts()
  assert.match(ports[0].device, /ENTTEC|DMX USB PRO/i)
  const [output, input] = [ports.find((port) => port.is_output), ports.find((port) => !port.is_output)]
  assert.ok(output && input, JSON.stringify(ports))

  // OLA sends: its widget's frame reaches ours by cable, and the router hears of it.
  const receiving = await widgetAt(t)
  const entry = (id: string, port: string, more: string) =>
    `- { id: ${id}, kind: dmx, type: enttec-pro, namespace: /${id}, port: "${port}", ${more} }`
  const one = await BridgeScene.start(t, entry('in', receiving.port, 'direction: in'))
  await ola.patch(1, output)
  await ola.setDmx(1, [11, 0, 255])
  await until(() => theirs.widget.frames.at(-1)?.[3] === 255, 'a frame from OLA')
  const frame = theirs.widget.frames.at(-1) ?? Buffer.alloc(0)
  assert.deepEqual([...frame.subarray(0, 4)], [0, 11, 0, 255])
  receiving.widget.receiveDmx(frame[0], [...frame.subarray(1)])
  await one.untilParam('/in/0/3')
  assert.deepEqual([one.param('/in/0/1'), one.param('/in/0/3')], [int(11), int(255)])

  // We send: our widget's frame reaches OLA's, which tells its clients.
  const sending = await widgetAt(t)
  const two = await BridgeScene.start(t, entry('out', sending.port, 'slots: 512'))
  await ola.patch(2, input)
  await two.set('/out/0', { type: 'bytes', value: Uint8Array.of(1, 2, 3) })
  await two.set('/out/0/512', int(77))
  await until(() => sending.widget.frames.at(-1)?.[512] === 77, 'a frame from our bridge')
  const ours = sending.widget.frames.at(-1) ?? Buffer.alloc(0)
  let heard: number[] = []
  const deadline = performance.now() + 10_000
  while (heard[511] !== 77 && performance.now() < deadline) {
    theirs.widget.receiveDmx(ours[0], [...ours.subarray(1)])
    heard = await ola.dmx(2)
  }
  assert.equal(heard.length, 512)
  assert.deepEqual([...heard.slice(0, 4), heard[511]], [1, 2, 3, 0, 77])
})
