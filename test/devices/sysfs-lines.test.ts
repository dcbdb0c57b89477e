import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ensureLineHolder } from '../../.scripts/native.mjs'
import { LineHolder } from '../../devices/io/line-holder.ts'
import type { Edge, LineError, LineRequest, OutputRequest } from '../../devices/io/lines.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { until } from '../until.ts'

/** Where kernels since 6.6 start to count. */
const BASE = 512
const LINES = 4

/** The files of the old interface for one chip of which all lines are exported; a file does not answer to what is written. */
class Files {
  readonly root: string

  constructor(t: TestContext) {
    this.root = mkdtempSync(join(tmpdir(), 'clasp-sysfs-'))
    t.after(() => rmSync(this.root, { recursive: true, force: true }))
    this.write(`gpiochip${BASE}/base`, `${BASE}\n`)
    this.write(`gpiochip${BASE}/ngpio`, `${LINES}\n`)
    this.write(`gpiochip${BASE}/label`, 'pinctrl-bcm2835\n')
    this.write('export', '')
    this.write('unexport', '')
    for (let offset = 0; offset < LINES - 1; offset++) {
      for (const name of ['active_low', 'value']) this.write(`gpio${BASE + offset}/${name}`, '0\n')
      this.write(`gpio${BASE + offset}/direction`, 'in\n')
    }
  }

  read(path: string): string {
    return readFileSync(join(this.root, path), 'latin1')
  }

  write(path: string, text: string): void {
    mkdirSync(join(this.root, path, '..'), { recursive: true })
    writeFileSync(join(this.root, path), text)
  }
}

function holderOf(t: TestContext, files: Files): LineHolder {
  process.env.CLASP_IO_SYSFS = files.root
  const { path, reason } = ensureLineHolder('.')
  assert.ok(path, reason)
  const pins = [{ number: 11, name: 'GPIO17', line: { names: [], label: 'pinctrl-bcm2835', offset: 1 } }]
  const holder = new LineHolder({ program: path, clock: systemClock, watchdogMs: 2000, lingerMs: 0, pins })
  t.after(() => holder.stop())
  return holder
}

function requestOf(line: string, rest: Partial<LineRequest> = {}): LineRequest {
  return { line, consumer: `clasp:${line}`, activeLow: false, bias: 'asis', onLost: () => {}, ...rest }
}

function outputOf(line: string, rest: Partial<OutputRequest> = {}): OutputRequest {
  const forced = { drive: 'push-pull', isOn: false, safe: 'off', maxOnMs: 0, onForced: () => {} } as const
  return { ...requestOf(line), ...forced, ...rest }
}

test('lines of the old interface are listed by their chip, and found by the pin of the header', async (t) => {
  const files = new Files(t)
  const holder = holderOf(t, files)
  const lines = await holder.list()
  const chip = { chip: 'gpiochip512', label: 'pinctrl-bcm2835', name: '' }
  assert.deepEqual(lines, [
    { ...chip, offset: 0, consumer: 'sysfs' },
    { ...chip, offset: 1, consumer: 'sysfs' },
    { ...chip, offset: 2, consumer: 'sysfs' },
    { ...chip, offset: 3, consumer: '' },
  ])
  await holder.output(outputOf('GPIO17', { isOn: true }))
  assert.equal(files.read('gpio513/direction'), 'high')
})

test('an output of the old interface starts with its level, follows, and is safe and free when it is closed', async (t) => {
  const files = new Files(t)
  const holder = holderOf(t, files)
  const line = await holder.output(outputOf('gpiochip512:2', { isOn: true, activeLow: true }))
  assert.equal(files.read('gpio514/active_low'), '1')
  // On is low here; the first level is that of the line.
  assert.equal(files.read('gpio514/direction'), 'low')
  line.set(false)
  assert.equal(await line.read(), false)
  line.set(true)
  assert.equal(await line.read(), true)
  await line.close()
  assert.equal(files.read('gpio514/value').trim(), '0')
  assert.equal(files.read('unexport'), '514')
})

test('an output of the old interface that holds its level is taken over as it is', async (t) => {
  const files = new Files(t)
  const holder = holderOf(t, files)
  for (const [offset, direction] of ['out', 'in'].entries()) {
    files.write(`gpio${BASE + offset}/direction`, `${direction}\n`)
    files.write(`gpio${BASE + offset}/value`, '1\n')
    const line = await holder.output(outputOf(`gpiochip512:${offset}`, { safe: 'hold', isKept: true }))
    // What is an input was driven by nobody.
    const isOutput = direction === 'out'
    const level = files.read(`gpio${BASE + offset}/direction`).trim()
    assert.deepEqual([line.isOn, level], [isOutput, isOutput ? 'high' : 'low'])
  }
})

test('an output of the old interface becomes an input when it is let go', async (t) => {
  const files = new Files(t)
  const holder = holderOf(t, files)
  const line = await holder.output(outputOf('gpiochip512:0', { isOn: true, safe: 'release' }))
  await line.close()
  assert.equal(files.read('gpio512/direction'), 'in')
})

test('a line without interrupts is looked at, and what is shorter than the debounce time is left out', async (t) => {
  const files = new Files(t)
  const holder = holderOf(t, files)
  const edges: Edge[] = []
  const onEdge = (edge: Edge) => edges.push(edge)
  files.write('gpio512/value', '1\n')
  const line = await holder.input({ ...requestOf('gpiochip512:0'), debounceMs: 50, onEdge })
  assert.equal(line.isOn, true)
  for (const [at, level] of ['0', '1', '0'].entries()) {
    files.write('gpio512/value', level)
    await until(() => edges.length > at, 'the edge')
  }
  assert.deepEqual(
    edges.map(({ isOn, sequence }) => [isOn, sequence]),
    [
      [false, 1],
      [true, 2],
      [false, 3],
    ],
  )
  assert.ok(edges.every(({ atMs }) => atMs <= systemClock.now()))
})

test('what the old interface cannot do is refused, and so is a line that another holder has', async (t) => {
  const files = new Files(t)
  const holder = holderOf(t, files)
  const refused = async (opening: Promise<unknown>) =>
    (await opening.then(
      () => assert.fail('it was opened'),
      (error) => error,
    )) as LineError
  const withBias = await refused(
    holder.input({ ...requestOf('gpiochip512:0', { bias: 'up' }), debounceMs: 0, onEdge: () => {} }),
  )
  assert.equal(withBias.code, 'unsupported')
  assert.match(withBias.message, /gpiochip512:0: try bias: asis, drive: push-pull/)
  const withDrive = await refused(holder.output(outputOf('gpiochip512:0', { drive: 'open-drain' })))
  assert.equal(withDrive.code, 'unsupported')
  const other = holderOf(t, files)
  await other.output(outputOf('gpiochip512:1'))
  assert.equal((await refused(holder.output(outputOf('gpiochip512:1')))).code, 'busy')
  assert.equal((await refused(holder.output(outputOf('gpiochip512:9')))).code, 'unknown')
})

test('outputs of the old interface are safe when the holder ends, and stay exported for its successor', async (t) => {
  const files = new Files(t)
  const holder = holderOf(t, files)
  await holder.output(outputOf('gpiochip512:2', { isOn: true, safe: 'off' }))
  files.write('gpio514/value', '1')
  await holder.stop()
  assert.equal(files.read('gpio514/value').trim(), '0')
  const successor = holderOf(t, files)
  await successor.output(outputOf('gpiochip512:2', { isOn: true }))
  assert.equal(files.read('gpio514/direction'), 'high')
})
