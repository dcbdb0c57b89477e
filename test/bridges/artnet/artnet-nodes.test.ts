import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArtNetNodes } from '../../../runtime/bridges/artnet/artnet-nodes.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { Told } from '../lighting/lighting-scene.ts'

const reply = (ip: string, bindIndex: number, portAddress: number) => ({
  ip,
  bindIndex,
  shortName: 'n',
  longName: 'n',
  style: 0,
  ports: [{ portAddress, direction: 'output' as const }],
})

test('replies are kept up to a number, which those of nodes that have gone make free', () => {
  const clock = new SteppedClock()
  const nodes = new ArtNetNodes(new Told(), '/a', clock)
  for (let bind = 1; bind <= 256; bind++) {
    for (let host = 1; host <= 16; host++) assert.equal(nodes.heard(reply(`10.0.0.${host}`, bind, bind)), true)
  }
  assert.equal(nodes.heard(reply('10.0.0.17', 1, 1)), false)
  assert.equal(nodes.heard(reply('10.0.0.1', 1, 400)), true)
  assert.deepEqual(nodes.subscribersOf(400), ['10.0.0.1'])
  assert.equal(nodes.subscribersOf(1).length, 15)
  clock.advance(31_000)
  nodes.refresh()
  assert.deepEqual(nodes.subscribersOf(400), [])
  assert.equal(nodes.heard(reply('10.0.0.17', 1, 1)), true)
  assert.deepEqual(nodes.subscribersOf(1), ['10.0.0.17'])
})

test('the replies of a node that come together are told once', () => {
  const clock = new SteppedClock()
  const told: string[] = []
  const router = Object.assign(new Told(), { set: (address: string) => void told.push(address) })
  const nodes = new ArtNetNodes(router, '/a', clock)
  for (let bind = 1; bind <= 4; bind++) nodes.heard(reply('10.0.0.1', bind, bind))
  nodes.heard(reply('10.0.0.2', 1, 9))
  clock.advance(100)
  assert.deepEqual(told, ['/a/nodes/10.0.0.1', '/a/nodes/10.0.0.2'])
  nodes.heard(reply('10.0.0.1', 4, 4))
  clock.advance(100)
  assert.equal(told.length, 2)
})
