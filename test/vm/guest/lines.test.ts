import assert from 'node:assert/strict'
import { closeSync, openSync, writeSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { LineHolder } from '../../../devices/io/line-holder.ts'
import type { Edge, LineError, LineRequest } from '../../../devices/io/lines.ts'
import { systemClock } from '../../../runtime/router/clock.ts'
import { programPath } from './programs.ts'
import { SimulatedChip } from './simulated-chip.ts'
import { until } from './until.ts'

const WATCHDOG_MS = 10_000
const LINES = 64
const ROUNDS = 320

/** clasp-io of the product, on the GPIO of this kernel. */
function holderOf(t: TestContext): LineHolder {
  const options = { program: programPath('clasp-io'), clock: systemClock, watchdogMs: WATCHDOG_MS, lingerMs: 0 }
  const holder = new LineHolder(options)
  t.after(() => holder.stop())
  return holder
}

function requestOf(line: string, rest: Partial<LineRequest> = {}): LineRequest {
  return { line, consumer: `clasp:${line}`, activeLow: false, bias: 'asis', onLost: () => {}, ...rest }
}

function outputOf(line: string) {
  const { activeLow, bias, ...rest } = requestOf(line)
  const forced = { isOn: false, safe: 'off', maxOnMs: 0, drive: 'push-pull', onForced: () => {} } as const
  return { ...rest, activeLow, bias, ...forced }
}

test('lines of the kernel are listed with their chip, names and users', async (t) => {
  const chip = new SimulatedChip(t, ['LIST0', 'LIST1'])
  const holder = holderOf(t)
  await holder.output(outputOf('LIST1'))
  const lines = (await holder.list()).filter(({ name }) => name.startsWith('LIST'))
  assert.deepEqual(lines, [
    { chip: chip.chip, label: 'LIST0', offset: 0, name: 'LIST0', consumer: '' },
    { chip: chip.chip, label: 'LIST0', offset: 1, name: 'LIST1', consumer: 'clasp:LIST1' },
  ])
})

test('an input tells its level and its edges, with the time of the kernel', async (t) => {
  const chip = new SimulatedChip(t, ['EDGE0', 'EDGE1'])
  const holder = holderOf(t)
  chip.pull('EDGE1', true)
  const edges: Edge[] = []
  const onEdge = (edge: Edge) => edges.push(edge)
  const line = await holder.input({ ...requestOf(`${chip.chip}:1`), debounceMs: 0, onEdge })
  assert.equal(line.isOn, true)
  const beforeMs = systemClock.now()
  for (const isHigh of [false, true, false]) {
    const seen = edges.length
    chip.pull('EDGE1', isHigh)
    await until(() => edges.length > seen, 'the edge')
  }
  assert.deepEqual(
    edges.map(({ isOn, sequence }) => [isOn, sequence]),
    [
      [false, 1],
      [true, 2],
      [false, 3],
    ],
  )
  assert.ok(edges.every(({ atMs }) => atMs > beforeMs && atMs <= systemClock.now()))
  assert.equal(await line.read(), false)
  await line.close()
  chip.pull('EDGE1', true)
  await holder.list()
  assert.equal(edges.length, 3)
})

test('a pull resistor and active low are the kernel’s', async (t) => {
  const chip = new SimulatedChip(t, ['BIAS0', 'BIAS1', 'BIAS2'])
  const holder = holderOf(t)
  const input = (line: string, rest: Partial<LineRequest>) =>
    holder.input({ ...requestOf(line, rest), debounceMs: 0, onEdge: () => {} })
  assert.equal((await input('BIAS0', { bias: 'up' })).isOn, true)
  assert.equal((await input('BIAS1', { bias: 'up', activeLow: true })).isOn, false)
  const output = await holder.output({ ...outputOf('BIAS2'), activeLow: true, isOn: false })
  assert.equal(chip.levels(), '111')
  output.set(true)
  assert.equal(await output.read(), true)
  assert.equal(chip.level('BIAS2'), false)
})

test('the kernel keeps back what is shorter than the debounce time', async (t) => {
  const chip = new SimulatedChip(t, ['BOUNCE0'])
  const holder = holderOf(t)
  const edges: Edge[] = []
  const onEdge = (edge: Edge) => edges.push(edge)
  await holder.input({ ...requestOf('BOUNCE0'), debounceMs: 500, onEdge })
  for (let i = 0; i < 10; i++) {
    chip.pull('BOUNCE0', true)
    chip.pull('BOUNCE0', false)
  }
  chip.pull('BOUNCE0', true)
  await until(() => edges.length > 0, 'the one edge')
  assert.deepEqual(
    edges.map(({ isOn }) => isOn),
    [true],
  )
})

test('an output follows what it is told, is let go as an input, and is off when it is closed', async (t) => {
  const chip = new SimulatedChip(t, ['OUT0', 'OUT1'])
  const holder = holderOf(t)
  chip.pull('OUT1', true)
  const line = await holder.output({ ...outputOf('OUT0'), isOn: true })
  const floating = await holder.output({ ...outputOf('OUT1'), safe: 'release' })
  assert.equal(chip.levels(), '10')
  line.set(false)
  floating.set(true)
  await floating.read()
  assert.equal(chip.levels(), '01')
  floating.set(false)
  await floating.close()
  // Nobody drives it: the pull resistor does.
  assert.equal(chip.levels(), '01')
})

test('an output that holds its level is taken over as it is, unless it is an input by now', async (t) => {
  const chip = new SimulatedChip(t, ['KEEP0', 'KEEP1'])
  const holder = holderOf(t)
  // The simulator goes back to the pull resistor between two users, and stays an output.
  for (const name of ['KEEP0', 'KEEP1']) chip.pull(name, true)
  await (await holder.output({ ...outputOf('KEEP0'), isOn: true, safe: 'hold' })).close()
  const hold = { safe: 'hold', isKept: true } as const
  const kept = await holder.output({ ...outputOf('KEEP0'), ...hold })
  const other = await holder.output({ ...outputOf('KEEP1'), ...hold })
  assert.deepEqual([kept.isOn, other.isOn, chip.levels()], [true, false, '10'])
  kept.set(false)
  assert.equal(await kept.read(), false)
  assert.equal(chip.levels(), '00')
})

test('pulses come out, and a strobe', async (t) => {
  const chip = new SimulatedChip(t, ['PULSE0'])
  const holder = holderOf(t)
  const line = await holder.output(outputOf('PULSE0'))
  await new Promise<void>((done) => line.pulses(100, 2000, () => done()))
  line.strobe(100)
  assert.equal(await line.read(), false)
  assert.equal(chip.level('PULSE0'), false)
})

test('a line of another program is named with its user, and free when that has gone', async (t) => {
  const chip = new SimulatedChip(t, ['BUSY0'])
  const other = holderOf(t)
  const holder = holderOf(t)
  const theirs = await other.output({ ...outputOf('BUSY0'), consumer: 'spi0 CS0' })
  const error = await holder.output(outputOf('BUSY0')).then(
    () => assert.fail('it was opened'),
    (reason: LineError) => reason,
  )
  assert.equal(error.code, 'busy')
  assert.match(error.message, /BUSY0 is in use by spi0 CS0/)
  await theirs.close()
  await holder.output({ ...outputOf('BUSY0'), isOn: true })
  assert.equal(chip.level('BUSY0'), true)
})

test('a line that is not there is answered with what is near', async (t) => {
  new SimulatedChip(t, ['DRIVE0'])
  const holder = holderOf(t)
  const error = await holder.input({ ...requestOf('DRIVE9'), debounceMs: 0, onEdge: () => {} }).then(
    () => assert.fail('it was opened'),
    (reason: LineError) => reason,
  )
  assert.match(error.message, /this board has no line DRIVE9: the nearest are .*DRIVE0/)
})

test(`${ROUNDS * LINES} edges arrive, each once and in the order of its line`, async (t) => {
  const names = Array.from({ length: LINES }, (_, number) => `MANY${number}`)
  const chip = new SimulatedChip(t, names)
  const holder = holderOf(t)
  let count = 0
  let onRound = () => {}
  const wrong: string[] = []
  for (const name of names) {
    let last = 0
    const onEdge = ({ isOn, sequence }: Edge) => {
      if (sequence !== ++last || isOn !== (last % 2 === 1)) wrong.push(`${name}: ${isOn} ${sequence}`)
      if (++count % LINES === 0) onRound()
    }
    await holder.input({ ...requestOf(name), debounceMs: 0, onEdge })
  }
  const pulls = names.map((name) => openSync(chip.pullFile(name), 'w'))
  const startedAt = performance.now()
  for (let round = 0; round < ROUNDS; round++) {
    // The simulator takes what changes again before its interrupt was served for one edge: no line does within a round.
    const arrived = new Promise<void>((resolve) => {
      onRound = resolve
    })
    for (const pull of pulls) writeSync(pull, round % 2 === 0 ? 'pull-up' : 'pull-down', 0)
    await arrived
  }
  for (const pull of pulls) closeSync(pull)
  t.diagnostic(`${Math.round((count * 1000) / (performance.now() - startedAt))} edges a second`)
  assert.deepEqual(wrong, [])
  assert.equal(count, ROUNDS * LINES)
})

test('a line that changes faster than the kernel tells ends with its right level', async (t) => {
  const chip = new SimulatedChip(t, ['FLOOD0'])
  const holder = holderOf(t)
  let last: Edge | undefined
  const onEdge = (edge: Edge) => {
    last = edge
  }
  const line = await holder.input({ ...requestOf('FLOOD0'), debounceMs: 0, onEdge })
  await flood(chip.pullFile('FLOOD0'), 10_001)
  await until(() => last?.isOn === true, 'the last level')
  assert.equal(await line.read(), true)
})

/** Changes a line, which is low, so many times, from a thread of its own. */
async function flood(file: string, times: number): Promise<void> {
  const source = `
    const { openSync, writeSync } = require('node:fs')
    const { workerData: { file, times } } = require('node:worker_threads')
    const pull = openSync(file, 'w')
    for (let i = 0; i < times; i++) writeSync(pull, i % 2 === 0 ? 'pull-up' : 'pull-down', 0)`
  const worker = new Worker(source, { eval: true, workerData: { file, times } })
  await new Promise<void>((resolve, reject) => {
    worker.on('error', reject)
    worker.on('exit', () => resolve())
  })
}

test('a chip that is unplugged is lost to whoever has its lines, and can be had again', async (t) => {
  const chip = new SimulatedChip(t, ['GONE0', 'GONE1'])
  const holder = holderOf(t)
  const lost: string[] = []
  const onLost = (error: LineError) => lost.push(error.code)
  const request = { ...requestOf('GONE0', { onLost }), debounceMs: 0, onEdge: () => {} }
  await holder.input(request)
  await holder.output({ ...outputOf('GONE1'), onLost })
  chip.unplug()
  await until(() => lost.length === 2, 'the loss of both')
  assert.deepEqual(lost, ['lost', 'lost'])
  const error = await holder.input(request).then(
    () => assert.fail('it was opened'),
    (reason: LineError) => reason,
  )
  assert.ok(['unknown', 'missing'].includes(error.code), error.message)
  chip.plug()
  await holder.input(request)
  const output = await holder.output({ ...outputOf('GONE1'), isOn: true })
  assert.equal(await output.read(), true)
  assert.equal(chip.level('GONE1'), true)
})
