import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { compile } from '../../.scripts/native.mjs'
import { explainOpenFailure } from '../../devices/io/line-failure.ts'
import { LineHolder } from '../../devices/io/line-holder.ts'
import { LineError, type Lines, type OutputRequest } from '../../devices/io/lines.ts'
import { connect } from '../../runtime/client/connect.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { startDevices } from '../../runtime/devices/device-host.ts'
import { plainOf } from '../../runtime/devices/wire-value.ts'
import { startEdge } from '../../runtime/edge.ts'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { Router } from '../../runtime/router/router.ts'
import { until } from '../until.ts'
import { FakeChip, fakeHolder } from './holder.ts'
import { Mcp23017Chip } from './i2c/mcp23017-chip.ts'
import { Scene } from './scene.ts'
import { ModbusSlaves } from './serial/modbus-slaves.ts'

/** Registers of an MCP23017: directions and output latch of port A. */
const IODIRA = 0x00
const OLATA = 0x14

/** Its seconds are shorter. */
const hastyClock: Clock = { ...systemClock, timer: (delayMs, callback) => systemClock.timer(delayMs / 5, callback) }

const plainOutput: OutputRequest = {
  line: 'GPIO0',
  consumer: 'clasp:valve',
  activeLow: false,
  bias: 'asis',
  drive: 'push-pull',
  isOn: false,
  safe: 'off',
  maxOnMs: 0,
  onForced: () => {},
  onLost: () => {},
}

test('an output that is to be released is so from the start, and whenever it is made safe', async (t) => {
  const scene = await Scene.start(
    t,
    '- {name: valve, kind: relay, line: V, safe: release, deadman: 1s, onHubLoss: safe}',
  )
  const isReleased = () => scene.lines.isReleased('V')
  assert.equal(isReleased(), true)
  await scene.set('/relay/valve', true)
  assert.deepEqual([isReleased(), scene.lines.isOn('V')], [false, true])
  scene.devices.onHub(false)
  await scene.settle()
  assert.deepEqual(
    [isReleased(), scene.params.get('/relay/valve'), scene.params.get('/relay/valve/actual')],
    [true, false, false],
  )
  await scene.pass(1000)
  await scene.set('/relay/valve', true)
  assert.equal(isReleased(), false)
  await scene.pass(1000)
  assert.equal(isReleased(), true)
  await scene.pass(1000)
  await scene.set('/relay/valve', false)
  assert.equal(isReleased(), false)
})

test('clasp-io opens an output released, drives it when it is set, and releases it again', async (t) => {
  const chip = new FakeChip(t, ['GPIO0'])
  process.env.CLASP_IO_FAKE = chip.root
  const holder = new LineHolder({ program: fakeHolder(), clock: systemClock, watchdogMs: 5000, lingerMs: 0 })
  t.after(() => holder.stop())
  const request: OutputRequest = { ...plainOutput, isReleased: true, safe: 'release' }
  const line = await holder.output(request)
  assert.equal(chip.level(0), 'z')
  line.set(true)
  assert.equal(await line.read(), true)
  line.release()
  assert.equal(await line.read(), false)
  assert.equal(chip.level(0), 'z')
})

test('lines with more edges than one round takes stay open, and what cannot be released goes off', () => {
  const sources = ['edges', 'outputs'].map((name) => `devices/io/c/${name}.c`)
  const shared = ['framing', 'program'].map((name) => `devices/process/c/${name}.c`)
  const { path, reason } = compile('edges-burst', ['test/devices/edges-burst.c', ...sources, ...shared], [])
  assert.ok(path, reason)
  assert.deepEqual(spawnSync(path, { encoding: 'latin1' }).stdout.trim().split('\n'), ['12', '0'])
})

test('an interlocked output that goes on and off at once is told as off', async (t) => {
  const scene = await Scene.start(
    t,
    '- {name: up, kind: led, line: U, interlock: blind}\n- {name: down, kind: led, line: D, interlock: blind}',
  )
  void scene.send({ type: 'SET', address: '/gpio/up', value: { type: 'bool', value: true } })
  await scene.set('/gpio/up', false)
  assert.deepEqual([scene.lines.isOn('U'), scene.params.get('/gpio/up/actual')], [false, false])
})

test('an output that was switched off does not go on by itself when its line comes back', async (t) => {
  const scene = await Scene.start(t, '- {name: fan, kind: relay, line: F, initial: on}')
  assert.equal(scene.lines.isOn('F'), true)
  await scene.pass(1000)
  await scene.set('/relay/fan', false)
  scene.lines.unplug('F')
  await scene.pass(3000, 100)
  assert.deepEqual([scene.params.get('/relay/fan/ok'), scene.lines.isOn('F')], [true, false])
  await scene.set('/relay/fan', true)
  scene.lines.unplug('F')
  await scene.pass(3000, 100)
  assert.deepEqual([scene.params.get('/relay/fan/ok'), scene.lines.isOn('F')], [true, true])
})

test('an output whose line comes back while the hub is gone waits for the hub', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: a, kind: relay, line: A, initial: last, onHubLoss: safe, resume: auto}
- {name: b, kind: relay, line: B, initial: on, onHubLoss: safe}`,
  )
  await scene.set('/relay/a', true)
  scene.devices.onHub(false)
  await scene.settle()
  for (const line of ['A', 'B']) scene.lines.unplug(line)
  await scene.pass(3000, 100)
  const levels = () => [scene.lines.isOn('A'), scene.lines.isOn('B')]
  assert.deepEqual([scene.params.get('/relay/a/ok'), scene.params.get('/relay/b/ok')], [true, true])
  assert.deepEqual(levels(), [false, false])
  scene.devices.onHub(true)
  await scene.settle()
  assert.deepEqual(levels(), [true, false])
})

test('an output that was to be made safe while its line was away does not go on when that comes back', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: a, kind: relay, line: A, initial: last, onHubLoss: safe}
- {name: b, kind: relay, line: B, initial: last, ownerTimeout: 100ms}
- {name: c, kind: relay, line: C, initial: on, requires: /guard}`,
    { prepare: (early) => void early.set('/guard', true) },
  )
  const names = ['a', 'b', 'c']
  const levels = () => names.map((name) => scene.lines.isOn(name.toUpperCase()))
  await scene.set('/relay/a', true)
  const panel = scene.connect('panel')
  panel.send({ type: 'SET', address: '/relay/b', value: { type: 'bool', value: true } })
  await scene.settle()
  assert.deepEqual(levels(), [true, true, true])
  for (const name of names) scene.lines.unplug(name.toUpperCase())
  scene.devices.onHub(false)
  scene.devices.onHub(true)
  panel.close()
  await scene.set('/guard', false)
  await scene.set('/guard', true)
  const wasOn: string[] = []
  scene.lines.onOutput = (line, isOn) => isOn && wasOn.push(line)
  await scene.pass(3000, 100)
  assert.deepEqual([...levels(), ...wasOn], [false, false, false])
  assert.deepEqual(
    names.map((name) => scene.params.get(`/relay/${name}`)),
    [false, false, false],
  )
  // A new command counts, also when it is an event; one that was refused does not.
  await scene.publish('/relay/a/toggle', null)
  for (const name of names) scene.lines.unplug(name.toUpperCase())
  await scene.set('/guard', false)
  await scene.set('/relay/c', true)
  await scene.set('/guard', true)
  await scene.pass(3000, 100)
  assert.deepEqual(levels(), [true, false, false])
})

test('an output that worked is opened again at once when the program that holds its line is gone', async (t) => {
  const scene = await Scene.start(t, '- {name: pump, kind: relay, line: P}')
  await scene.pass(20_000, 5000)
  await scene.set('/relay/pump', true)
  scene.lines.unplug('P')
  await scene.settle()
  assert.equal(scene.params.get('/relay/pump/ok'), false)
  await scene.pass(60, 20)
  assert.deepEqual([scene.params.get('/relay/pump/ok'), scene.lines.isOn('P')], [true, false])
  // One that is lost again and again is not.
  scene.lines.unplug('P')
  await scene.pass(400, 20)
  assert.equal(scene.params.get('/relay/pump/ok'), false)
})

test('a device of which several lines are lost at once is tried again after the usual time', async (t) => {
  const scene = await Scene.start(t, '- {name: axis, kind: stepper, step: S, direction: D}')
  for (let i = 0; i < 4; i++) {
    scene.lines.unplug('S')
    scene.lines.unplug('D')
    await scene.pass(1000, 100)
    assert.equal(scene.params.get('/stepper/axis/ok'), true, `loss ${i}`)
  }
})

test('a program that holds the lines and stands still is replaced', async (t) => {
  const chip = new FakeChip(t, ['GPIO0'])
  process.env.CLASP_IO_FAKE = chip.root
  const holder = new LineHolder({ program: fakeHolder(), clock: hastyClock, watchdogMs: 5000, lingerMs: 0 })
  t.after(() => holder.stop())
  const told: string[] = []
  const request: OutputRequest = { ...plainOutput, line: 'GPIO0', onLost: ({ code }) => told.push(code) }
  const line = await holder.output(request)
  const { pid } = holder
  assert.ok(pid)
  process.kill(pid, 'SIGSTOP')
  await assert.rejects(line.read(), /clasp-io.* is gone/)
  assert.deepEqual(told, ['lost'])
  const again = await holder.output(request)
  assert.notEqual(holder.pid, pid)
  again.set(true)
  assert.equal(await again.read(), true)
})

test('devices are stopped although one of them never ends', async (t) => {
  const chip = new FakeChip(t, ['GPIO0'])
  const folder = mkdtempSync(join(tmpdir(), 'clasp-stop-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const { devices: entries } = await parseConfig('devices: [{name: lamp, kind: led, line: GPIO0}]', 'c.yaml')
  const router = new Router({ ...defaultRouterOptions, name: 'stop' }, { clock: systemClock, log: silentLog })
  t.after(() => router.stop())
  process.env.CLASP_IO_FAKE = chip.root
  const holder = new LineHolder({ program: fakeHolder(), clock: systemClock, watchdogMs: 5000, lingerMs: 0 })
  t.after(() => holder.stop())
  const lines: Lines = {
    list: () => holder.list(),
    input: (request) => holder.input(request),
    output: async (request) => ({ ...(await holder.output(request)), close: () => new Promise(() => {}) }),
    guard: (request) => holder.guard(request),
  }
  const host = await startDevices(
    { entries, simulate: false, watchdogMs: 100, lingerMs: 0 },
    { router, clock: hastyClock, log: silentLog, program: null, lines },
  )
  assert.deepEqual(
    host.reports.map(({ state }) => state),
    ['running'],
  )
  await host.stop()
})

test('one of two interlocked pins does not go on as soon as the other one, on from before, was switched off', async (t) => {
  const chip = new Mcp23017Chip()
  chip.write(Uint8Array.of(OLATA, 0b01))
  chip.write(Uint8Array.of(IODIRA, 0xfe))
  const pin = (name: string, pin: string) =>
    `{pin: ${pin}, name: ${name}, direction: out, interlock: blind, deadTime: 500ms}`
  const scene = await Scene.start(
    t,
    `- {name: blind, kind: mcp23017, simulate: false, pins: [${pin('up', 'A0')}, ${pin('down', 'A1')}]}`,
    { prepare: ({ i2c }) => i2c.attach('1', 0x20, chip) },
  )
  await scene.set('/gpio/blind/down', true)
  assert.equal(scene.params.get('/gpio/blind/down/actual'), false)
  await scene.pass(500, 100)
  assert.equal(scene.params.get('/gpio/blind/down/actual'), true)
})

test('an output that needs the hub does not stay on when the hub is never reached', async (t) => {
  const config = await parseConfig(
    `listen: {host: 127.0.0.1, port: 0, udp: false}
discovery: {mdns: false, broadcast: false}
journal: {enabled: false}
hub: {url: 'ws://127.0.0.1:9', namespaces: [/relay/**]}
devices:
  - {name: pump, kind: relay, line: P, simulate: true, initial: on, onHubLoss: safe}
  - {name: lamp, kind: relay, line: L, simulate: true, initial: on}
`,
    'c.yaml',
  )
  // The ten seconds of grace.
  const clock: Clock = {
    ...systemClock,
    timer: (delayMs, callback) => systemClock.timer(delayMs === 10_000 ? 100 : delayMs, callback),
  }
  const edge = await startEdge(config, { log: silentLog, version: 'test', programs: resolve('dist'), clock })
  t.after(() => edge.stop())
  const client = await connect(`tcp://127.0.0.1:${edge.port}`, { name: 'test' })
  t.after(() => client.close())
  const actual = new Map<string, unknown>()
  await client.subscribe(['/relay/*/actual'], ({ address, value }) => {
    if (value !== undefined) actual.set(address, plainOf(value))
  })
  await until(() => actual.get('/relay/pump/actual') === false, 'the pump going off')
  assert.equal(actual.get('/relay/lamp/actual'), true)
})

test('what clients write during a stop does not undo the safe values', async (t) => {
  const slaves = new ModbusSlaves()
  slaves.set(1, 'holding', 0, 0)
  const scene = await Scene.start(
    t,
    `- {name: plant, kind: modbus, port: /dev/ttyX, simulate: false, registers: [{name: speed, register: 0, access: rw, safe: 0}]}`,
    {
      prepare: ({ serial }) => {
        serial.onWritten = (port, bytes) => {
          const answer = slaves.hear(bytes)
          if (answer !== null) serial.feed(port, answer)
        }
      },
    },
  )
  await scene.pass(500, 10)
  await scene.set('/modbus/plant/speed', 40)
  await scene.pass(500, 10)
  assert.equal(slaves.get(1, 'holding', 0), 40)
  const stopped = scene.stop()
  for (let i = 0; i < 10; i++) {
    await scene.set('/modbus/plant/speed', 40 + i)
    await scene.pass(20, 1)
  }
  await scene.pass(3000, 50)
  await stopped
  assert.equal(slaves.get(1, 'holding', 0), 0)
})

test('a file that one router looks after is not taken by another one, and who may not write it hears of no GPIO', async (t) => {
  const chip = new FakeChip(t, ['GPIO0'])
  process.env.CLASP_IO_FAKE = chip.root
  const holders = [0, 1].map(() => {
    const holder = new LineHolder({ program: fakeHolder(), clock: systemClock, watchdogMs: 5000, lingerMs: 0 })
    t.after(() => holder.stop())
    return holder
  })
  const path = join(chip.root, 'duty_cycle')
  writeFileSync(path, '7\n')
  const request = { path, safe: '0\n', onForced: () => {}, onLost: () => {} }
  const guard = await holders[0].guard(request)
  await assert.rejects(holders[1].guard(request), /another clasp-edge looks after .*duty_cycle/)
  assert.equal(readFileSync(path, 'latin1'), '7\n')
  await guard.close()
  assert.equal(readFileSync(path, 'latin1'), '0\n')
  await (await holders[1].guard(request)).close()
  const place = { chip: path, offset: -1, consumer: '' }
  const { message } = await explainOpenFailure(path, place, constants.errno.EACCES)
  assert.match(message, /not allowed to write .*duty_cycle: give it to the user/)
  assert.doesNotMatch(message, /gpiochip|SUBSYSTEM/)
})

test('a PWM that another router looks after is left as it is', async (t) => {
  const sysfs = mkdtempSync(join(tmpdir(), 'clasp-pwm-'))
  t.after(() => rmSync(sysfs, { recursive: true, force: true }))
  const folder = join(sysfs, 'class/pwm/pwmchip0/pwm0')
  mkdirSync(folder, { recursive: true })
  for (const name of ['duty_cycle', 'period', 'enable']) writeFileSync(join(folder, name), '4711\n')
  const scene = await Scene.start(t, '- {name: fan, kind: pwm, simulate: false}', {
    sysfs,
    prepare: ({ lines }) => {
      lines.guard = async ({ path }) => {
        throw new LineError('busy', `another clasp-edge looks after ${path}`)
      }
    },
  })
  assert.deepEqual(
    scene.devices.reports.map(({ state }) => state),
    ['absent'],
  )
  assert.equal(readFileSync(join(folder, 'duty_cycle'), 'latin1'), '4711\n')
})

test('a pulse that has to wait for the shortest time off is not lost', async (t) => {
  const scene = await Scene.start(t, '- {name: door, kind: relay, line: D, maxSwitchHz: 0, minOff: 1s}')
  await scene.set('/relay/door', true)
  await scene.set('/relay/door', false)
  await scene.publish('/relay/door/pulse', { ms: 300 })
  const levels: boolean[] = []
  for (let at = 0; at < 16; at++) {
    await scene.pass(100)
    levels.push(scene.lines.isOn('D'))
  }
  // On from 1000 to 1300 ms.
  assert.deepEqual(levels.map(Number).join(''), '0000000001110000')
})

test('an output chip that answers again is safe within two seconds, however long it was away', async (t) => {
  const chip = new Mcp23017Chip()
  const scene = await Scene.start(
    t,
    '- {name: plates, kind: mcp23017, simulate: false, pins: [{pin: A0, name: pump, direction: out}]}',
    { prepare: ({ i2c }) => i2c.attach('1', 0x20, chip) },
  )
  await scene.set('/gpio/plates/pump', true)
  assert.equal(chip.levels & 1, 1)
  scene.i2c.detach('1', 0x20)
  await scene.pass(120_000, 500)
  assert.equal(scene.params.get('/gpio/plates/ok'), false)
  scene.i2c.attach('1', 0x20, chip)
  assert.equal(chip.levels & 1, 1)
  await scene.pass(2000, 100)
  assert.deepEqual([scene.params.get('/gpio/plates/ok'), chip.levels & 1], [true, 0])
})

test('an interlocked line waits for its dead time after it was opened, for nobody knows what the other one was', async (t) => {
  const chip = new FakeChip(t, ['GPIO0', 'GPIO1'])
  process.env.CLASP_IO_FAKE = chip.root
  const holder = new LineHolder({ program: fakeHolder(), clock: systemClock, watchdogMs: 5000, lingerMs: 0 })
  t.after(() => holder.stop())
  const open = (line: string) =>
    holder.output({ ...plainOutput, line, interlock: { name: 'blind', mode: 'exclusive', deadTimeMs: 1000 } })
  const [up] = [await open('GPIO0'), await open('GPIO1')]
  up.set(true)
  assert.equal(await up.read(), false)
  await until(() => chip.level(0) === '1', 'the end of the dead time')
})
