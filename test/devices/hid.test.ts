import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { explainInputEnd, InputEnd } from '../../devices/hid/input-failure.ts'
import { KeypadSignals } from '../../devices/hid/keypad-signals.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { AXIS, EventFifo, inputReader, KEY } from './event-fifo.ts'
import { FakeSysfs } from './fake-sysfs.ts'
import { Scene } from './scene.ts'

/** Codes of linux/input-event-codes.h. */
const [KEY_1, KEY_2, KEY_A, KEY_LEFTSHIFT, KEY_BACKSPACE, KEY_ESC] = [2, 3, 30, 42, 14, 1]
const [KEY_ENTER, KEY_KPENTER, KEY_KP1, KEY_KP0] = [28, 96, 79, 82]

const [SYN, SYN_REPORT, SYN_DROPPED] = [0, 0, 3]

async function start(t: TestContext, device: string, options = '', sysfs?: FakeSysfs): Promise<Scene> {
  const yaml = `- {name: pad, kind: keypad, simulate: false, device: '${device}'${options}}`
  const root = sysfs?.root ?? '/nowhere'
  return Scene.start(t, yaml, { program: inputReader(), sysfs: root, dev: join(root, 'dev') })
}

const told = (scene: Scene, count: number, address = '/input/pad/key') =>
  until(() => scene.told(address).length >= count, `${count} events at ${address}`)

test('every key is an event with its name and the time of the kernel', async (t) => {
  const fifo = new EventFifo(t)
  const scene = await start(t, fifo.path)
  const us = scene.clock.wallUs() - 3000
  fifo.say(KEY, KEY_KP1, 1, us)
  fifo.say(KEY, KEY_KP1, 2, us + 1000)
  fifo.say(KEY, KEY_KP1, 0, us + 2000)
  fifo.type(0x130, 700)
  await told(scene, 7)
  assert.deepEqual(scene.told('/input/pad/key').slice(0, 4), ['press', 'repeat', 'release', 'press'])
  assert.deepEqual(scene.told('/input/pad/key', 't').slice(0, 3), [us, us + 1000, us + 2000])
  const names = scene.told('/input/pad/key', 'key')
  assert.deepEqual([names[0], names[3], names[5]], ['KEY_KP1', 'BTN_SOUTH', 'code_700'])
})

test('a configured key has a state and tells long presses, other keys do not touch it', async (t) => {
  const fifo = new EventFifo(t)
  const scene = await start(t, fifo.path, ', long: 500ms, keys: [{key: KEY_KP0, name: go}, {key: enter}]')
  assert.equal(scene.params.get('/input/pad/go'), false)
  fifo.say(KEY, KEY_KP1, 1)
  fifo.say(KEY, KEY_KP0, 1)
  await told(scene, 2)
  assert.equal(scene.params.get('/input/pad/go'), true)
  assert.equal(scene.params.get('/input/pad/enter'), false)
  await scene.pass(600)
  fifo.say(KEY, KEY_KP0, 0)
  await told(scene, 3)
  await scene.settle()
  assert.deepEqual(scene.told('/input/pad/go/event'), ['press', 'long', 'release'])
  assert.deepEqual(scene.told('/input/pad/go/event', 'held_ms'), [0, 500, 600])
  assert.equal(scene.params.get('/input/pad/go'), false)
})

test('what a reader types until Enter is one event, and nowhere a param', async (t) => {
  const fifo = new EventFifo(t)
  const scene = await start(t, fifo.path, ', mode: text, idle: 1s')
  fifo.type(KEY_1, KEY_2, KEY_KP0)
  fifo.say(KEY, KEY_LEFTSHIFT, 1)
  fifo.type(KEY_A)
  fifo.say(KEY, KEY_LEFTSHIFT, 0)
  fifo.type(KEY_A, KEY_1, KEY_BACKSPACE, KEY_ENTER)
  await told(scene, 1, '/input/pad/text')
  assert.deepEqual(scene.told('/input/pad/text', 'code'), ['120Aa'])
  fifo.type(KEY_1, KEY_ESC, KEY_ENTER, KEY_2, KEY_KPENTER)
  await told(scene, 2, '/input/pad/text')
  assert.deepEqual(scene.told('/input/pad/text', 'code'), ['120Aa', '2'])
  assert.equal(scene.events.filter(({ address }) => address.startsWith('/input/pad')).length, 2)
  assert.ok(![...scene.params.values()].some((value) => JSON.stringify(value ?? '').includes('120Aa')))
})

test('a device that is unplugged is absent, and works again within seconds of its return', async (t) => {
  const fifo = new EventFifo(t)
  const scene = await start(t, fifo.path, ', keys: [{key: KP0}]')
  fifo.say(KEY, KEY_KP0, 1)
  await told(scene, 1)
  assert.equal(scene.params.get('/input/pad/kp0'), true)
  fifo.unplug()
  await until(() => scene.devices.reports[0].state === 'absent', 'absence')
  await scene.settle()
  assert.equal(scene.params.get('/input/pad/kp0'), null)
  assert.match(scene.devices.reports[0].problem, /event0 has gone: plug it in again/)
  fifo.plug()
  await until(() => {
    void scene.pass(1000)
    return scene.devices.reports[0].state === 'running'
  }, 'return')
  await until(() => scene.params.get('/input/pad/kp0') === false, 'released key')
})

/** Those of a keypad of which nothing was set. */
const options = {
  device: '',
  grab: true,
  mode: 'keys',
  keys: [],
  axes: [],
  long: 500,
  repeat: 0,
  double: 0,
  idle: 1000,
} as const

/** Input devices as the kernel shows them: a keypad with two parts, a mouse switch without keys, and a reader. */
function board(t: TestContext): { sysfs: FakeSysfs; fifos: Map<string, EventFifo> } {
  const sysfs = new FakeSysfs(t)
  const fifos = new Map<string, EventFifo>()
  const add = (event: string, name: string, ids: readonly [string, string, string], phys: string, keys = '1000') => {
    const [vendor, product, uniq] = ids
    const folder = `class/input/${event}/device`
    sysfs.write(folder, { name, uniq, phys, 'id/vendor': vendor, 'id/product': product })
    sysfs.write(folder, { 'capabilities/key': keys, 'capabilities/abs': 0 })
    const path = join(sysfs.root, 'dev/input', event)
    mkdirSync(dirname(path), { recursive: true })
    fifos.set(event, new EventFifo(t, path))
  }
  add('event1', 'Pad', ['1a2c', '0e24', ''], 'usb-1.2/input0')
  add('event2', 'Pad Consumer Control', ['1a2c', '0e24', ''], 'usb-1.2/input1')
  add('event10', 'Lid', ['0000', '0000', ''], 'lid', '0')
  add('event11', 'Reader', ['ffff', '0035', 'A1'], 'usb-1.3/input0')
  add('event12', 'Reader', ['ffff', '0035', 'B2'], 'usb-1.4/input0')
  return { sysfs, fifos }
}

test('a USB device is found by its numbers, with all its parts, and one of two by its serial number', async (t) => {
  const { sysfs, fifos } = board(t)
  const pad = await start(t, 'usb:1A2C:e24', '', sysfs)
  fifos.get('event1')?.type(KEY_1)
  fifos.get('event2')?.type(113)
  await told(pad, 4)
  assert.deepEqual(new Set(pad.told('/input/pad/key', 'key')), new Set(['KEY_1', 'KEY_MUTE']))
  const reader = await start(t, 'usb:ffff:0035:B2', '', sysfs)
  fifos.get('event12')?.type(KEY_2)
  await told(reader, 2)
  const named = await start(t, 'pad consumer control', '', sysfs)
  assert.equal(named.devices.reports[0].state, 'running')
})

test('what is missing or meant by two is said with what there is', async (t) => {
  const { sysfs } = board(t)
  const problem = async (device: string, from = sysfs) => (await start(t, device, '', from)).devices.reports[0].problem
  assert.match(
    await problem('Reader'),
    /^2 devices are Reader: name one by its path .*event11\); "Reader" .*event12\)$/,
  )
  const missing = await problem('usb:0001:0002')
  assert.match(missing, /there is no input device usb:0001:0002: plug it in, .*"Pad" \(usb:1a2c:0e24, .*event1\)/)
  assert.doesNotMatch(missing, /Lid/)
  assert.match(await problem('/dev/input/event99'), /there is no input device \/dev\/input\/event99/)
  assert.match(await problem('x', new FakeSysfs(t)), /this machine has none/)
  assert.match(await problem('/dev/null'), /\/dev\/null is no event device/)
  const none = await Scene.start(t, '- {name: pad, kind: keypad, simulate: false, device: Pad}', { sysfs: sysfs.root })
  assert.match(none.devices.reports[0].problem, /clasp-input, .*is not installed/)
})

test('who may not open it is told the group or the rule', async (t) => {
  const sysfs = new FakeSysfs(t)
  sysfs.write('dev', { event0: '' })
  const path = join(sysfs.root, 'dev/event0')
  chmodSync(path, 0o600)
  const { message } = await explainInputEnd(InputEnd.denied, [path], 'clasp-input')
  assert.match(message, /not allowed to open .*event0: put this line into .*SUBSYSTEM=="input", .*GROUP="input"/)
})

test('an axis is -1 to 1 over the range that the device tells', () => {
  const seen: unknown[] = []
  const signals = new KeypadSignals(
    { ...options, axes: [{ axis: 'ABS_RZ', name: undefined }] },
    { set: (key, value) => seen.push(key, value), emit: () => {}, clock: new SteppedClock() },
  )
  signals.axis(5, 10)
  signals.setAxisMin(5, 0)
  signals.setAxisMax(5, 200)
  for (const value of [0, 100, 150, 230]) signals.axis(5, value)
  signals.axis(4, 100)
  assert.deepEqual(seen, ['rz', -1, 'rz', 0, 'rz', 0.5, 'rz', 1])
})

test('a simulated keypad is played by key, by text, by state and by axis', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: pad, kind: keypad, device: any, keys: [{key: KP1, name: one}], axes: [{axis: ABS_X, name: pan}]}
- {name: cards, kind: keypad, device: any, mode: text}`,
  )
  await scene.publish('/input/pad/simulated/key', 'KEY_A')
  await scene.publish('/input/pad/simulated/key', { key: 'KEY_KP1', type: 'press' })
  assert.deepEqual(scene.told('/input/pad/key', 'key'), ['KEY_A', 'KEY_A', 'KEY_KP1'])
  assert.equal(scene.params.get('/input/pad/one'), true)
  await scene.set('/input/pad/simulated/one', false)
  assert.deepEqual(scene.told('/input/pad/one/event'), ['press', 'release', 'click'])
  await scene.set('/input/pad/simulated/pan', -0.5)
  assert.equal(scene.params.get('/input/pad/pan'), -0.5)
  await scene.publish('/input/cards/simulated/text', '0004711')
  assert.deepEqual(scene.told('/input/cards/text', 'code'), ['0004711'])
  await scene.publish('/input/pad/simulated/key', 'KEY_NONE')
  assert.match(String(scene.told('/input/pad/error', 'message')), /there is no key KEY_NONE/)
})

test('keys and axes that do not exist, or are named twice, are mistakes of the configuration', async () => {
  const config = (options: string) =>
    parseConfig(`devices:\n  - {name: x, kind: keypad, device: a, ${options}}\n`, 'test.yaml')
  await assert.rejects(config('keys: [{key: KEY_KP_1}]'), /there is no key KEY_KP_1: names are such as/)
  await assert.rejects(config('axes: [{axis: KP1}]'), /there is no axis KP1/)
  await assert.rejects(config('keys: [{key: KP1}, {key: KP2, name: kp1}]'), /kp1 is used twice/)
  await assert.rejects(config('keys: [{key: KP1}, {key: KEY_KP1, name: b}]'), /KEY_KP1 is listed twice/)
  await assert.rejects(config('keys: [{key: A, name: text}]'), /text is used twice/)
})

test('clasp-input passes keys and axes on as records, and ends when it is not needed any more', async (t) => {
  const fifo = new EventFifo(t)
  const child = spawn(inputReader(), ['--grab', fifo.path], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  const bytes = () => Buffer.concat(chunks)
  fifo.say(SYN, SYN_REPORT, 0)
  // The kernel's queue ran over: what is left of it is not to be trusted.
  fifo.say(SYN, SYN_DROPPED, 0)
  fifo.say(KEY, KEY_1, 1)
  fifo.say(SYN, SYN_REPORT, 0)
  fifo.say(KEY, KEY_A, 1, 1_700_000_000_123_456)
  fifo.say(4, 4, 458_756)
  fifo.say(AXIS, 1, -32_768, 1)
  await until(() => bytes().length >= 48, 'three records')
  const expected = Buffer.alloc(48)
  expected.writeUInt16LE(1, 10)
  expected.writeBigUInt64LE(1_700_000_000_123_456n, 16)
  expected.writeUInt16LE(KEY, 24)
  expected.writeUInt16LE(KEY_A, 26)
  expected.writeInt32LE(1, 28)
  expected.writeBigUInt64LE(1n, 32)
  expected.writeUInt16LE(AXIS, 40)
  expected.writeUInt16LE(1, 42)
  expected.writeInt32LE(-32_768, 44)
  assert.deepEqual(bytes(), expected)
  child.stdin.end()
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('clasp-input says by its exit code why it cannot go on', async (t) => {
  const sysfs = new FakeSysfs(t)
  const file = join(sysfs.root, 'events')
  writeFileSync(file, '')
  const codeOf = async (...args: string[]) => {
    const child = spawn(inputReader(), args, { stdio: ['pipe', 'ignore', 'ignore'] })
    t.after(() => child.kill('SIGKILL'))
    return (await once(child, 'exit'))[0]
  }
  const cases = [[], ['--help'], [file], [join(sysfs.root, 'none')], ['/dev/null']]
  assert.deepEqual(await Promise.all(cases.map((args) => codeOf(...args))), [2, 2, 3, 5, 7])
})
