import { test } from 'node:test'
import { MidiScene } from './midi-scene.ts'
test('dbg', async (t) => {
  const midi = await MidiScene.start(t, 'map: [{match: /midi/test/ch/0/cc/7, to: /mix/1, direction: both}]')
  await midi.say('b0 07 40')
  await midi.scene.untilParam('/mix/1')
  await midi.scene.set('/mix/1', { type: 'i64', value: 9 })
  await new Promise((r) => setTimeout(r, 500))
  console.log(midi.scene.report('midi'), midi.received)
})
