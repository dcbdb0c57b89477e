import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SysExParts } from '../../../runtime/bridges/midi/sysex-parts.ts'
import { Line } from '../../line/line.ts'
import { RawEnd } from '../../line/raw-end.ts'
import { until } from '../../until.ts'
import { MidiScene } from './midi-scene.ts'

const int = (value: number): Value => ({ type: 'i64', value })
const float = (value: number): Value => ({ type: 'f64', value })
const at = (rest: string) => `/midi/test/${rest}`

/** SysEx of so many bytes, no two neighbours of which are equal. */
function sysExOf(length: number): Buffer {
  const sysEx = Buffer.from(Uint8Array.from({ length }, (_, at) => at % 127))
  sysEx[0] = 0xf0
  sysEx[length - 1] = 0xf7
  return sysEx
}

test('SysEx of 64 KiB goes through two bridges whole', async (t) => {
  const midi = await MidiScene.start(t)
  const folder = mkdtempSync(join(tmpdir(), 'midi-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const other = await Line.open({ a: join(folder, 'a'), b: join(folder, 'b') }, t)
  const gear = new RawEnd(other.b, t)
  const bridge = (id: string, port: string) =>
    `- {id: ${id}, kind: midi, namespace: /${id}, sysex: true, ports: [{port: ${port}, name: x, rate: 10000000}]`
  const rules = (to: string) =>
    `, map: [{match: /${to === 'two' ? 'one' : 'two'}/x/sysex, to: /${to}/x/sysex, direction: in}]}`
  await midi.scene.apply(`${bridge('one', midi.line.a)}${rules('two')}\n${bridge('two', other.a)}${rules('one')}`)
  await until(() => ['one', 'two'].every((id) => midi.scene.report(id).peers === 1), 'both ports')
  const sysEx = sysExOf(65_536)
  await midi.gear.write(sysEx)
  await until(() => gear.received.length >= sysEx.length, 'it at the other gear')
  assert.ok(gear.received.equals(sysEx))
  await gear.write(sysEx)
  await until(() => midi.gear.received.length >= sysEx.length, 'it on its way back')
  assert.ok(midi.gear.received.equals(sysEx))
})

test('SysEx is one event as long as it fits a frame, and parts with numbers beyond', async (t) => {
  const midi = await MidiScene.start(t, 'sysex: true')
  // Of 65 535 bytes, 16 are the message and 16 its address.
  const fitting = sysExOf(65_503)
  await midi.gear.write(fitting)
  await midi.untilTold(`event sysex "${fitting.toString('hex')}"`)
  await midi.gear.write(sysExOf(65_504))
  await until(() => midi.told.length === 3, 'the parts')
  const parts = midi.told.slice(1).map((text) => JSON.parse(text.slice('event sysex '.length)))
  assert.deepEqual(
    parts.map(({ part, parts, bytes }) => [part, parts, bytes.length / 2]),
    [
      [0, 2, 60_000],
      [1, 2, 5504],
    ],
  )
  assert.equal(parts[0].id, parts[1].id)
  assert.equal(parts[0].bytes + parts[1].bytes, sysExOf(65_504).toString('hex'))
})

test('SysEx that clients send in parts is put together, whatever comes between them', async (t) => {
  const midi = await MidiScene.start(t, 'sysex: true')
  const part = (id: number, part: number, parts: number, bytes: string) =>
    midi.scene.event(at('sysex'), {
      type: 'map',
      value: [
        ['id', int(id)],
        ['part', int(part)],
        ['parts', int(parts)],
        ['bytes', { type: 'bytes', value: Buffer.from(bytes, 'hex') }],
      ],
    })
  const bare = (hex: string) => midi.scene.event(at('sysex'), { type: 'bytes', value: Buffer.from(hex, 'hex') })
  await part(1, 0, 3, 'f001')
  await part(2, 0, 2, 'f011')
  await bare('f021')
  await part(1, 1, 3, '02')
  await part(2, 1, 2, '12f7')
  await bare('22f7')
  await part(1, 2, 3, '03f7')
  await midi.untilReceived('f01112f7 f02122f7 f0010203f7')
  assert.equal(midi.scene.report('midi').outDropped, 0)
  await part(3, 1, 2, '02f7')
  await part(4, 0, 2, 'f0ff')
  await part(4, 1, 2, '02f7')
  await part(5, 0, 1, 'f001')
  assert.equal(midi.scene.report('midi').outDropped, 4)
})

test('what is no SysEx does not go out', async (t) => {
  const midi = await MidiScene.start(t, 'sysex: true')
  for (const hex of ['', '01f7', 'f001f801f7', 'f7', 'f0f7f7']) {
    await midi.scene.event(at('sysex'), { type: 'bytes', value: Buffer.from(hex, 'hex') })
  }
  assert.equal(midi.scene.report('midi').outDropped, 5)
  await midi.scene.event(at('sysex'), { type: 'array', value: [int(0xf0), int(0x7e), float(0xf7)] })
  await midi.untilReceived('f07ef7')
})

test('parts of SysEx without bytes are none', () => {
  const parts = new SysExParts()
  const take = (...value: number[]) => parts.take({ type: 'bytes', value: Uint8Array.from(value) })
  assert.equal(take(0xf0, 1), null)
  assert.equal(take(), undefined)
  assert.equal(take(2, 0xf7), undefined)
})

test('of messages in parts that never end only four are kept', () => {
  const parts = new SysExParts()
  const take = (id: number, part: number, ...bytes: number[]) =>
    parts.take({
      type: 'map',
      value: [
        ['id', int(id)],
        ['part', int(part)],
        ['parts', int(2)],
        ['bytes', { type: 'bytes', value: Uint8Array.from(bytes) }],
      ],
    })
  for (let id = 0; id < 5; id++) assert.equal(take(id, 0, 0xf0, id), null)
  assert.equal(take(0, 1, 0xf7), undefined)
  assert.deepEqual([...(take(1, 1, 0xf7) ?? [])], [0xf0, 1, 0xf7])
})
