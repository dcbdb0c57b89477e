import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LineHolder } from '../../devices/io/line-holder.ts'
import type { Edge, ForcedReason, LineError, OutputRequest } from '../../devices/io/lines.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { FakeChip, fakeHolder } from './holder.ts'

const NAMES = ['GPIO0', 'GPIO1', 'GPIO2', 'GPIO3', 'GPIO4']

function holderOf(t: TestContext, chip: FakeChip, watchdogMs = 2000): LineHolder {
  process.env.CLASP_IO_FAKE = chip.root
  const pins = [
    { number: 9, name: 'GND' },
    { number: 11, name: 'IO17', line: { names: ['GPIO1'], label: 'fake', offset: 1 } },
    { number: 13, name: 'IO18', line: { names: [], label: 'fake', offset: 2 } },
  ]
  const holder = new LineHolder({ program: fakeHolder(), clock: systemClock, watchdogMs, lingerMs: 0, pins })
  t.after(() => holder.stop())
  return holder
}

const usual = { activeLow: false, bias: 'asis', onLost: () => {} } as const

function outputOf(line: string, rest: Partial<OutputRequest> = {}): OutputRequest {
  const forced = { drive: 'push-pull', isOn: false, safe: 'off', maxOnMs: 0, onForced: () => {} } as const
  return { ...usual, line, consumer: `clasp:${line}`, ...forced, ...rest }
}

test('edges come in order, with rising times and without gaps', async (t) => {
  const chip = new FakeChip(t, NAMES)
  const holder = holderOf(t, chip)
  const edges: Edge[] = []
  const request = {
    ...usual,
    line: 'pin 11',
    consumer: 'clasp:in',
    debounceMs: 5,
    onEdge: (edge: Edge) => edges.push(edge),
  }
  const line = await holder.input(request)
  assert.equal(line.isOn, false)
  for (let i = 0; i < 100; i++) await chip.drive(1, '10'.repeat(50))
  await until(() => edges.length >= 10_000, 'edges')
  assert.ok(edges.every(({ isOn, sequence }, i) => isOn === (i % 2 === 0) && sequence === i + 1))
  assert.ok(edges.every(({ atMs }, i) => i === 0 || atMs >= edges[i - 1].atMs))
  assert.ok(edges[edges.length - 1].atMs <= systemClock.now())
  assert.equal(await line.read(), false)
})

test('an output has its first level at once, follows what it is told, and is safe when it is closed', async (t) => {
  const chip = new FakeChip(t, NAMES)
  const holder = holderOf(t, chip)
  const line = await holder.output(outputOf('GPIO2', { isOn: true }))
  assert.equal(chip.level(2), '1')
  line.set(false)
  assert.equal(await line.read(), false)
  line.set(true)
  assert.equal(await line.read(), true)
  await line.close()
  assert.equal(chip.level(2), '0')
  const again = await holder.output(outputOf('gpiochip0:2', { safe: 'release', isOn: true }))
  await again.close()
  assert.equal(chip.level(2), 'z')
})

test('an output that holds its level begins with the one that it has', async (t) => {
  const chip = new FakeChip(t, NAMES)
  const holder = holderOf(t, chip)
  const hold = { safe: 'hold', isKept: true } as const
  const first = await holder.output(outputOf('GPIO2', hold))
  assert.deepEqual([first.isOn, chip.level(2)], [false, '0'])
  first.set(true)
  await first.close()
  const again = await holder.output(outputOf('GPIO2', hold))
  assert.deepEqual([again.isOn, chip.level(2)], [true, '1'])
  await again.close()
  assert.equal((await holder.output(outputOf('GPIO2'))).isOn, false)
})

test('two outputs of one interlock are never on together, and the second waits for its dead time', async (t) => {
  const chip = new FakeChip(t, NAMES)
  const holder = holderOf(t, chip)
  const forced: string[] = []
  const withLock = (line: string, mode: 'exclusive' | 'reject') =>
    holder.output(
      outputOf(line, {
        interlock: { name: 'motor', mode, deadTimeMs: 50 },
        onForced: (isOn, reason) => forced.push(`${line} ${isOn} ${reason}`),
      }),
    )
  const up = await withLock('GPIO0', 'exclusive')
  const down = await withLock('GPIO1', 'exclusive')
  const third = await withLock('GPIO2', 'reject')
  up.set(true)
  down.set(true)
  assert.equal(await down.read(), false)
  assert.equal(chip.level(0), '0')
  await until(() => forced.includes('GPIO1 true interlock'), 'the other one going on')
  assert.equal(chip.level(1), '1')
  third.set(true)
  assert.equal(await third.read(), false)
  assert.deepEqual(forced, ['GPIO0 false interlock', 'GPIO1 true interlock', 'GPIO2 false interlock'])
})

test('an output goes off after its longest time on, however often it is told to be on', async (t) => {
  const chip = new FakeChip(t, NAMES)
  const holder = holderOf(t, chip)
  const forced: ForcedReason[] = []
  const line = await holder.output(outputOf('GPIO3', { maxOnMs: 100, onForced: (_, reason) => forced.push(reason) }))
  const startedAt = performance.now()
  while (forced.length === 0) {
    assert.ok(performance.now() - startedAt < 10_000)
    line.set(true)
    await line.read()
  }
  assert.deepEqual(forced, ['maxOn'])
})

test('pulses are counted out and end low', async (t) => {
  const chip = new FakeChip(t, NAMES)
  const holder = holderOf(t, chip)
  const line = await holder.output(outputOf('GPIO4'))
  const pulses = (count: number, periodUs: number) =>
    new Promise<number>((resolve) => line.pulses(count, periodUs, resolve))
  assert.equal(await pulses(20, 1000), 20)
  assert.equal(chip.level(4), '0')
})

test('pulses that are cut short are counted: the one that has begun with those before it', async (t) => {
  const chip = new FakeChip(t, NAMES)
  const holder = holderOf(t, chip)
  const line = await holder.output(outputOf('GPIO4'))
  const made: number[] = []
  const note = (count: number) => made.push(count)
  // An hour each: the first one is on when the next command comes.
  line.pulses(100, 3_600_000_000, note)
  await until(() => chip.level(4) === '1', 'first edge')
  line.pulses(0, 0, () => assert.fail('there were none'))
  line.pulses(5, 3_600_000_000, note)
  line.pulses(7, 500, note)
  await until(() => made.length === 3, 'third answer')
  assert.equal(made[0], 1)
  assert.ok(made[1] === 0 || made[1] === 1, `${made[1]}`)
  assert.equal(made[2], 7)
  line.pulses(5, 3_600_000_000, note)
  await line.close()
  assert.equal(made.length, 4)
  assert.equal(chip.level(4), '0')
})

test('what is wrong with a line is said with what to do', async (t) => {
  const chip = new FakeChip(t, NAMES)
  const holder = holderOf(t, chip)
  chip.occupy(3, 'spi0 CS0')
  const problem = async (line: string, code: string) => {
    const error = (await holder.output(outputOf(line)).then(
      () => assert.fail(`${line} was opened`),
      (reason) => reason,
    )) as LineError
    assert.equal(error.code, code, error.message)
    return error.message
  }
  assert.match(await problem('GPIO3', 'busy'), /GPIO3 is in use by spi0 CS0: stop it, or take another line/)
  assert.match(await problem('GPIO7', 'unknown'), /no line GPIO7: the nearest are GPIO4, GPIO3, GPIO2/)
  assert.match(await problem('pin 12', 'unknown'), /pin 12 of the header is not there: the nearest are pin 11 \(IO17\)/)
  assert.match(await problem('pin 9', 'unknown'), /pin 9 of the header is no GPIO but GND: the nearest are pin 11/)
  assert.match(await problem('gpiochip4:0', 'missing'), /no GPIO chip gpiochip4: there is gpiochip0/)
  assert.match(await problem('gpiochip0:9', 'unknown'), /gpiochip0 has no line 9: it has 0 to 4/)
  await holder.output(outputOf('GPIO0'))
  assert.match(await problem('gpiochip0:0', 'busy'), /gpiochip0:0 is used by clasp:GPIO0 already/)
  chip.free(3)
  await holder.output(outputOf('GPIO3'))
  await holder.output(outputOf('IO18'))
  assert.match(await problem('gpiochip0:2', 'busy'), /used by clasp:IO18 already/)
})

test('when the holder dies, who had a line hears of it, and the next request starts another', async (t) => {
  const chip = new FakeChip(t, NAMES)
  const holder = holderOf(t, chip)
  const lost: LineError[] = []
  await holder.output(outputOf('GPIO0', { onLost: (error) => lost.push(error) }))
  const { pid } = holder
  process.kill(pid as number, 'SIGKILL')
  await until(() => lost.length > 0, 'loss')
  assert.equal(lost[0].code, 'lost')
  const line = await holder.output(outputOf('GPIO0'))
  assert.notEqual(holder.pid, pid)
  line.set(true)
  assert.equal(await line.read(), true)
})

test('guarded files get what is safe when nobody beats, as outputs do, and its new text after a change', async (t) => {
  const chip = new FakeChip(t, NAMES)
  process.env.CLASP_IO_FAKE = chip.root
  const path = join(chip.root, 'duty_cycle')
  writeFileSync(path, '9\n')
  // Time that stands still: no beats.
  const holder = new LineHolder({ program: fakeHolder(), clock: new SteppedClock(), watchdogMs: 200, lingerMs: 0 })
  t.after(() => holder.stop())
  const reasons: string[] = []
  const onForced = (reason: ForcedReason) => reasons.push(reason)
  const before = { path: join(chip.root, 'trigger'), safe: 'none\n' }
  writeFileSync(before.path, 'mmc0\n')
  const guard = await holder.guard({ path, safe: '5\n', before, onForced, onLost: () => {} })
  guard.change('7\n')
  // It steps in before the change on a machine that is slow enough, and again after it.
  await until(() => reasons.length > 0 && readFileSync(path, 'latin1') === '7\n', 'watchdog')
  assert.equal(readFileSync(before.path, 'latin1'), 'none\n')
  writeFileSync(path, '9\n')
  await guard.close()
  assert.equal(readFileSync(path, 'latin1'), '7\n')
})

test('outputs that were safe anyway are not told of the watchdog, and take commands afterwards', async (t) => {
  const chip = new FakeChip(t, NAMES)
  process.env.CLASP_IO_FAKE = chip.root
  const holder = new LineHolder({ program: fakeHolder(), clock: new SteppedClock(), watchdogMs: 50, lingerMs: 0 })
  t.after(() => holder.stop())
  const forced: string[] = []
  const on = await holder.output(outputOf('GPIO0', { onForced: () => forced.push('GPIO0') }))
  const off = await holder.output(outputOf('GPIO1', { onForced: () => forced.push('GPIO1') }))
  on.set(true)
  await until(() => forced.length > 0, 'watchdog')
  assert.equal(chip.level(0), '0')
  // Its answer comes after what there was to tell.
  await off.read()
  assert.deepEqual(forced, ['GPIO0'])
  off.set(true)
  assert.equal(await off.read(), true)
})
