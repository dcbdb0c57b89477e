import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArtNetReceiver } from '../../../runtime/bridges/artnet/artnet-receiver.ts'
import { inputScene } from '../lighting/lighting-scene.ts'

const [A, B] = ['10.0.0.1', '10.0.0.2']

function receiverScene() {
  const scene = inputScene()
  const exceeded: string[] = []
  const receiver = new ArtNetReceiver({
    clock: scene.clock,
    leaveMs: 10_000,
    onExceeded: (_universe, ip) => exceeded.push(ip),
  })
  const port = { portAddress: 1 }
  receiver.add(scene.input, 100, port)
  const dmx = (ip: string, sequence: number, ...slots: number[]) =>
    receiver.dmx({ type: 'dmx', sequence, physical: 0, portAddress: 1, levels: Uint8Array.from(slots) }, ip)
  const first = () => scene.input.universe.levels[0]
  return { ...scene, receiver, dmx, first, exceeded }
}

test('sequence numbers count for a second, for each source, and not where they are 0', async () => {
  const { dmx, first, pass } = receiverScene()
  dmx(A, 5, 1)
  assert.equal(dmx(A, 4, 2), false)
  assert.equal(dmx(A, 0, 3), true)
  assert.equal(dmx(A, 5, 4), true)
  assert.equal(dmx(B, 1, 4), true)
  assert.equal(dmx(A, 200, 5), true)
  assert.equal(dmx(A, 199, 6), false)
  await pass(1000)
  assert.equal(dmx(A, 199, 6), true)
  assert.equal(first(), 6)
})

test('frames no longer wait 4 s after the last ArtSync, and the one that waited is shown', async () => {
  const { dmx, first, pass, receiver, clock } = receiverScene()
  dmx(A, 0, 1)
  receiver.sync(A)
  dmx(A, 0, 2)
  await pass(2000)
  receiver.sync(A)
  assert.equal(first(), 2)
  dmx(A, 0, 3)
  await pass(2500)
  dmx(A, 0, 3)
  assert.equal(first(), 2)
  await pass(1500)
  assert.equal(first(), 3)
  dmx(A, 0, 4)
  assert.equal(first(), 4)
  receiver.stop()
  assert.ok(clock.pendingTimers <= 1)
})

test('ArtSync of somebody else, or while sources are merged, means nothing', () => {
  const { dmx, first, receiver } = receiverScene()
  dmx(A, 0, 1)
  receiver.sync(B)
  dmx(A, 0, 2)
  assert.equal(first(), 2)
  dmx(B, 0, 1)
  receiver.sync(B)
  dmx(B, 0, 9)
  assert.equal(first(), 9)
})

test('merging ends with the next frame where that is asked for', () => {
  const { dmx, first, receiver, input } = receiverScene()
  dmx(A, 0, 200)
  dmx(B, 0, 100)
  receiver.cancelMerge(1)
  dmx(B, 0, 100)
  assert.equal(first(), 100)
  assert.equal(input.universe.sourceCount, 1)
})

test('a third source is left out until another has been silent for its time', async () => {
  const { dmx, exceeded, pass } = receiverScene()
  dmx(A, 0, 1)
  dmx(B, 0, 1)
  assert.equal(dmx('10.0.0.3', 0, 1), false)
  assert.deepEqual(exceeded, ['10.0.0.3'])
  for (let i = 0; i < 10; i++) {
    await pass(1000)
    dmx(A, 0, 1)
  }
  assert.equal(dmx('10.0.0.3', 0, 1), true)
})
