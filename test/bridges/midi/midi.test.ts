import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { MidiScene } from './midi-scene.ts'

const int = (value: number): Value => ({ type: 'i64', value })
const float = (value: number): Value => ({ type: 'f64', value })
const text = (value: string): Value => ({ type: 'string', value })
const nothing: Value = { type: 'null' }
const note = (members: Record<string, number | boolean>): Value => ({
  type: 'map',
  value: Object.entries(members).map(([key, value]) => [
    key,
    typeof value === 'boolean' ? { type: 'bool', value } : int(value),
  ]),
})
const at = (rest: string) => `/midi/test/${rest}`

test('messages of the gear become values at their addresses', async (t) => {
  const midi = await MidiScene.start(t)
  await midi.say('90 3c 64  80 3c 40  b0 01 40  e0 00 40  e1 00 00  e2 7f 7f  c5 2a  d3 11  a4 3c 22  b0 7b 00')
  await midi.say('f2 02 01  f3 05  f6  fa  fb  fc  ff  f1 00 f1 11 f1 24 f1 33 f1 45 f1 52 f1 61 f1 76')
  const mtc = 'stream mtc {"h":1,"m":37,"s":52,"f":16,"rate":30}'
  await midi.untilTold(mtc)
  assert.deepEqual(midi.told, [
    'event ch/0/note {"note":60,"velocity":100,"on":true}',
    'event ch/0/note {"note":60,"velocity":64,"on":false}',
    'ch/0/cc/1 = 64',
    'ch/0/bend = 0',
    'ch/1/bend = -8192',
    'ch/2/bend = 8191',
    'event ch/5/program 42',
    'ch/3/pressure = 17',
    'ch/4/poly/60 = 34',
    'ch/0/cc/123 = 0',
    'event ch/0/mode "all_notes_off"',
    'songpos = 130',
    'event song 5',
    'event tune null',
    'event transport "start"',
    'event transport "continue"',
    'event transport "stop"',
    'event reset null',
    mtc,
  ])
})

test('values of the router become messages of the gear', async (t) => {
  const midi = await MidiScene.start(t)
  const { scene } = midi
  await scene.set(at('ch/0/cc/7'), int(64))
  await scene.set(at('ch/1/cc/7'), float(300.7))
  await scene.set(at('ch/2/bend'), int(-8192))
  await scene.set(at('ch/3/pressure'), int(17))
  await scene.set(at('ch/4/poly/60'), int(34))
  await scene.set(at('ch/0/cc14/1'), int(8197))
  await scene.set(at('ch/0/cc14/1'), int(8198))
  await scene.set(at('ch/0/nrpn/136'), int(12_803))
  await scene.set(at('songpos'), int(130))
  await scene.event(at('ch/0/note'), note({ note: 60, velocity: 100 }))
  await scene.event(at('ch/0/note'), note({ note: 60, velocity: 64, on: false }))
  await scene.event(at('ch/5/program'), int(42))
  await scene.event(at('ch/6/mode'), text('local_off'))
  for (const state of ['start', 'continue', 'stop']) await scene.event(at('transport'), text(state))
  await scene.event(at('clock'), nothing)
  await scene.event(at('song'), int(5))
  await scene.event(at('tune'), nothing)
  await scene.event(at('reset'), nothing)
  await scene.event(at('mtc'), note({ h: 1, m: 37, s: 52, f: 16, rate: 30 }))
  await midi.untilReceived(
    `b00740 b1077f e20000 d311 a43c22  b00140 b02105 b02106
     b06301 b06208 b00664 b02603 b0657f b0647f  f20201  903c64 803c40 c52a b67a00
     fa fb fc f8 f305 f6 ff  f07f7f010161253410f7`.replaceAll(/\s/g, ''),
  )
  assert.equal(scene.report('midi').outDropped, 0)
})

test('a time code that runs in the router goes out as quarter frames', async (t) => {
  const clock = new SteppedClock()
  const midi = await MidiScene.start(t, '', 'rate: 1000000', { clock })
  for (const f of [12, 14, 16]) {
    await midi.scene.event(at('mtc'), note({ h: 1, m: 37, s: 52, f, rate: 30 }))
    clock.advance(66)
  }
  await midi.untilReceived('f07f7f01016125340cf7 f07f7f01016125340ef7 f100 f111 f124 f133 f145 f152 f161 f176')
})

test('addresses of older bridges are understood, and what is none is counted', async (t) => {
  const midi = await MidiScene.start(t)
  const { scene } = midi
  await scene.set(at('3/cc/7'), int(1))
  for (const rest of ['ch/16/cc/7', 'ch/0/cc/128', 'ch/0/cc/07', 'ch/0/cc', 'ch/0/cc/1/2', 'cc/7', 'ch/0/what', 'x']) {
    await scene.set(at(rest), int(1))
  }
  await scene.set(at('ch/0/cc/8'), text('loud'))
  await scene.event(at('ch/0/note'), note({ note: 60 }))
  await scene.event(at('sysex'), { type: 'bytes', value: Uint8Array.of(0xf0, 1, 0xf7) })
  await scene.set(at('ch/0/cc/9'), int(2))
  await midi.untilReceived('b30701 b00902')
  assert.equal(scene.report('midi').outDropped, 11)
})

test('a value that the gear has is not sent, and one that it hands back is not told', async (t) => {
  const midi = await MidiScene.start(t, 'echoWindow: 10s')
  const { scene } = midi
  await midi.say('b0 07 40')
  await midi.untilTold('ch/0/cc/7 = 64')
  await scene.set(at('ch/0/cc/7'), int(64))
  await scene.set(at('ch/0/cc/7'), int(65))
  await midi.untilReceived('b00741')
  await midi.say('b0 07 41  b0 08 01')
  await midi.untilTold('ch/0/cc/8 = 1')
  // The client's own two, and one of the gear.
  assert.equal(midi.told.filter((one) => one.startsWith('ch/0/cc/7')).length, 3)
})

test('a port that opens gets the values that the router has for it, but no commands', async (t) => {
  const midi = await MidiScene.start(t)
  const { scene } = midi
  await midi.line.unplug('a')
  await until(() => scene.report('midi').peers === 0, 'the loss of the port')
  assert.equal(scene.report('midi').state, 'degraded')
  await scene.set(at('ch/0/cc/7'), int(99))
  await scene.set(at('ch/0/cc/123'), int(0))
  await scene.set(at('ch/0/bend'), int(1))
  const before = midi.received.length
  await midi.line.plug('a')
  await until(() => scene.report('midi').state === 'running', 'the return of the port')
  await until(() => midi.received.length >= before + 12, 'what the router has')
  assert.ok(['b00763e00140', 'e00140b00763'].includes(midi.received.slice(before)), midi.received)
})

test('notes end when the port goes, on the side that is left', async (t) => {
  const midi = await MidiScene.start(t, 'noteState: true')
  await midi.say('90 3c 64')
  await midi.untilTold('ch/0/notes/60 = 100')
  await midi.line.unplug('a')
  await midi.untilTold('event ch/0/note {"note":60,"velocity":0,"on":false}', 'ch/0/notes/60 = 0')
})

test('the gear is silent after the bridge was stopped', async (t) => {
  const midi = await MidiScene.start(t)
  await midi.scene.event(at('ch/2/note'), note({ note: 60, velocity: 100 }))
  await midi.untilReceived('923c64')
  await midi.scene.apply('[]')
  await midi.untilReceived('923c64 823c00 b27b00')
})

test('gear that promised to be heard and is silent has its notes ended', async (t) => {
  const clock = new SteppedClock()
  const midi = await MidiScene.start(t, '', 'rate: 1000000', { clock })
  await midi.say('fe 90 3c 64')
  await midi.untilTold('event ch/0/note {"note":60,"velocity":100,"on":true}')
  clock.advance(329)
  await midi.scene.settle()
  assert.equal(midi.told.length, 1)
  clock.advance(2)
  await midi.untilTold('event ch/0/note {"note":60,"velocity":0,"on":false}')
})

test('gear is promised to be heard, where that is wanted, whenever nothing else is said', async (t) => {
  const clock = new SteppedClock()
  const midi = await MidiScene.start(t, 'activeSensing: true', 'rate: 1000000', { clock })
  clock.advance(249)
  await midi.scene.set(at('ch/0/cc/7'), int(1))
  clock.advance(249)
  await midi.scene.set(at('ch/0/cc/7'), int(2))
  clock.advance(501)
  await midi.untilReceived('fe b00701 b00702 fe fe')
})

test('the clock of the gear is a tempo, beats and, where wanted, ticks', async (t) => {
  const clock = new SteppedClock()
  const midi = await MidiScene.start(t, 'clock: raw', 'rate: 1000000', { clock })
  for (let tick = 1; tick <= 49; tick++) {
    await midi.say('f8')
    await until(() => midi.told.filter((one) => one === 'event clock null').length === tick, 'the tick')
    clock.advance(20)
  }
  assert.equal(midi.told.filter((one) => one.startsWith('tempo')).join(), 'tempo = 125')
  assert.deepEqual(
    midi.told.filter((one) => one.startsWith('event beat')),
    ['event beat 0', 'event beat 1', 'event beat 2'],
  )
})

test('a flood of clock ticks is cut, and counted', async (t) => {
  const midi = await MidiScene.start(t, 'clock: raw', 'rate: 1000000', { clock: new SteppedClock() })
  await midi.say(`${'f8'.repeat(5000)} b0 01 02`)
  await midi.untilTold('ch/0/cc/1 = 2')
  const ticks = midi.told.filter((one) => one === 'event clock null').length
  assert.equal(ticks, 48)
  assert.equal(midi.scene.report('midi').inDropped, 5000 - ticks)
})

test('a clock is generated at the tempo in the router', async (t) => {
  const midi = await MidiScene.start(t, 'generateClock: true')
  await midi.scene.set(at('tempo'), float(300))
  await until(() => midi.gear.received.length >= 12, 'half a beat')
  await midi.scene.set(at('tempo'), float(0))
  assert.match(midi.received, /^(f8)+$/)
})

test('values are fractions where that is wanted', async (t) => {
  const midi = await MidiScene.start(t, 'normalize: true')
  await midi.say('b0 01 7f  e0 7f 7f  d0 00')
  await midi.untilTold('ch/0/cc/1 = 1', 'ch/0/bend = 1', 'ch/0/pressure = 0')
  await midi.scene.set(at('ch/0/cc/7'), float(0.5))
  await midi.scene.set(at('ch/1/bend'), float(0.5))
  await midi.scene.set(at('ch/2/cc/7'), float(2))
  await midi.untilReceived('b00740 e10040 b2077f')
})

test('addresses may leave out a default channel', async (t) => {
  const midi = await MidiScene.start(t, 'addressStyle: spec\ndefaultChannel: 2')
  await midi.say('b2 01 05  b0 01 06')
  await midi.untilTold('cc/1 = 5', 'ch/0/cc/1 = 6')
  await midi.scene.set(at('cc/7'), int(1))
  await midi.untilReceived('b20701')
  const announced = midi.scene.router.announced(Pattern.parse('/midi/test/**') as Pattern).map(({ address }) => address)
  for (const one of ['cc/*', 'bend', 'note', 'ch/*/cc/*', 'ch/*/note']) assert.ok(announced.includes(at(one)), one)
})

test('pairs of controllers and parameters come in as one value', async (t) => {
  const midi = await MidiScene.start(t, 'cc14: [1]', 'rate: 1000000', { clock: new SteppedClock() })
  await midi.say('b0 01 40  b0 21 05  b0 63 01  b0 62 08  b0 06 64  b0 26 03  b0 02 07')
  await midi.untilTold('ch/0/cc/2 = 7')
  assert.deepEqual(midi.told, ['ch/0/cc14/1 = 8197', 'ch/0/nrpn/136 = 12803', 'ch/0/cc/2 = 7'])
})

test('10 000 updates of one controller end with the last value', async (t) => {
  const midi = await MidiScene.start(t, 'maxRate: 60')
  const flood = Buffer.alloc(30_000)
  for (let at = 0; at < 10_000; at++) flood.set([0xb0, 1, at % 127], at * 3)
  await midi.gear.write(Buffer.concat([flood, Buffer.of(0xb0, 1, 127)]))
  await midi.untilTold('ch/0/cc/1 = 127')
  assert.equal(midi.told.at(-1), 'ch/0/cc/1 = 127')
  assert.ok(midi.told.length < 1000, `${midi.told.length} were told`)
})

test('notes of MPE zones are gestures', async (t) => {
  const midi = await MidiScene.start(t, 'mpe: true\nmpeLower: 0')
  // A zone with 2 members; a note, a bend of a semitone at 48 of them, its end; a note outside of the zone.
  await midi.say('b0 64 06  b0 65 00  b0 06 02  b0 64 7f  b0 65 7f')
  await midi.say('91 3c 64  d1 7f  b1 4a 00  e1 2b 41  81 3c 00  93 3c 64')
  await midi.untilTold('event ch/3/note {"note":60,"velocity":100,"on":true}')
  const gestures = midi.scene.heard.filter(({ signal }) => signal === 'gesture')
  // The router makes one of moves that come fast.
  assert.deepEqual([...new Set(gestures.map(({ phase }) => phase))], ['start', 'move', 'end'])
  assert.ok(gestures.every(({ address }) => address === at('mpe/lower')))
  const last = gestures.at(-1)?.value
  const members = last?.type === 'map' ? Object.fromEntries(last.value) : {}
  assert.deepEqual(members.note, int(60))
  assert.deepEqual([members.pressure, members.timbre], [float(1), float(0)])
  assert.ok(members.bend.type === 'f64' && Math.abs(members.bend.value - 1) < 0.01)
})

test('a port that is not there is awaited, and says so', async (t) => {
  const midi = await MidiScene.start(t)
  await midi.scene.apply('- {id: midi, kind: midi, ports: [{port: /dev/no-such-port}, {port: no such name}]}')
  const { state, reason } = midi.scene.report('midi')
  assert.equal(state, 'degraded')
  assert.match(reason, /no serial port \/dev\/no-such-port: plug it in/)
  assert.match(reason, /ALSA sequencer|"no such name"/)
})

test('two bridges at the ends of one cable do not loop, though one writes what it hears to the other', async (t) => {
  const midi = await MidiScene.start(t)
  midi.gear.close()
  await midi.scene.apply(`- {id: one, kind: midi, namespace: /one, ports: [{port: ${midi.line.a}, name: x}]}
- id: two
  kind: midi
  namespace: /two
  ports: [{port: ${midi.line.b}, name: x}]
  map: [{match: /two/x/ch/*/cc/*, to: /one/x/ch/$1/cc/$2, direction: in, stop: false}]`)
  await midi.scene.set('/one/x/ch/0/cc/7', int(64))
  await midi.scene.set('/one/x/ch/0/cc/8', int(65))
  const { scene } = midi
  await until(() => scene.report('two').in >= 2, 'both at the other end')
  await scene.set('/two/x/ch/1/cc/1', int(1))
  await scene.untilParam('/one/x/ch/1/cc/1')
  assert.deepEqual([scene.report('one').in, scene.report('two').in], [1, 2])
  assert.equal((await midi.line.stats())['a->b'].carried, 6)
})

test('gear goes on from what it was told: half a pair, and steps of a parameter', async (t) => {
  const midi = await MidiScene.start(t, 'cc14: [1]\n')
  await midi.scene.set('/midi/test/ch/0/cc14/1', { type: 'i64', value: 8192 })
  await midi.scene.set('/midi/test/ch/0/nrpn/136', { type: 'i64', value: 8192 })
  await midi.untilReceived('b00140b02100' + 'b06301b06208b00640b02600b0657fb0647f')
  await midi.say('b02105 b06301b06208b06001')
  await midi.untilTold('ch/0/cc14/1 = 8197', 'ch/0/nrpn/136 = 8193')
})
