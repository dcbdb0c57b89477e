import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LineHolder } from '../../../devices/io/line-holder.ts'
import type { Edge, LineError, LineRequest, OutputRequest } from '../../../devices/io/lines.ts'
import { systemClock } from '../../../runtime/router/clock.ts'
import { programPath } from './programs.ts'
import { SimulatedChip } from './simulated-chip.ts'
import { until } from './until.ts'

/** clasp-io where no GPIO chip has a character device, as with a kernel that is too old. */
function holderOf(t: TestContext): LineHolder {
  const program = join(mkdtempSync(join(tmpdir(), 'clasp-old-')), 'clasp-io')
  const hide = 'mount -t tmpfs none /dev && exec "$0" "$@"'
  writeFileSync(program, `#!/bin/sh\nexec unshare -m sh -c '${hide}' '${programPath('clasp-io')}' "$@"\n`)
  chmodSync(program, 0o755)
  const holder = new LineHolder({ program, clock: systemClock, watchdogMs: 10_000, lingerMs: 0 })
  t.after(() => holder.stop())
  return holder
}

/** The place of a line, which has no name there. */
async function placeOf(holder: LineHolder, label: string, offset: number): Promise<string> {
  const line = (await holder.list()).find((one) => one.label === label && one.offset === offset)
  return `${line?.chip}:${offset}`
}

function requestOf(line: string, rest: Partial<LineRequest> = {}): LineRequest {
  return { line, consumer: `clasp:${line}`, activeLow: false, bias: 'asis', onLost: () => {}, ...rest }
}

function outputOf(line: string, rest: Partial<OutputRequest> = {}): OutputRequest {
  const forced = { drive: 'push-pull', isOn: false, safe: 'off', maxOnMs: 0, onForced: () => {} } as const
  return { ...requestOf(line), ...forced, ...rest }
}

test('without character devices, edges come over the old interface, and bounces are left out', async (t) => {
  const chip = new SimulatedChip(t, ['OLDIN0', 'OLDIN1'])
  const holder = holderOf(t)
  const quick: Edge[] = []
  const slow: Edge[] = []
  const input = async (offset: number, debounceMs: number, edges: Edge[], activeLow = false) => {
    const line = await placeOf(holder, 'OLDIN0', offset)
    return holder.input({ ...requestOf(line, { activeLow }), debounceMs, onEdge: (edge) => edges.push(edge) })
  }
  assert.equal((await input(0, 0, quick)).isOn, false)
  assert.equal((await input(1, 500, slow, true)).isOn, true)
  for (const isHigh of [true, false, true]) {
    const seen = quick.length
    chip.pull('OLDIN0', isHigh)
    await until(() => quick.length > seen, 'the edge')
  }
  assert.deepEqual(
    quick.map(({ isOn, sequence }) => [isOn, sequence]),
    [
      [true, 1],
      [false, 2],
      [true, 3],
    ],
  )
  for (let i = 0; i < 5; i++) {
    chip.pull('OLDIN1', true)
    chip.pull('OLDIN1', false)
  }
  chip.pull('OLDIN1', true)
  await until(() => slow.length > 0, 'the one edge')
  assert.deepEqual(
    slow.map(({ isOn }) => isOn),
    [false],
  )
})

test('outputs of the old interface are held when the holder is killed, and its successor has them', async (t) => {
  const chip = new SimulatedChip(t, ['OLDOUT0', 'OLDOUT1'])
  const holder = holderOf(t)
  const lost: string[] = []
  const onLost = (error: LineError) => lost.push(error.code)
  const place = await placeOf(holder, 'OLDOUT0', 0)
  const line = await holder.output(outputOf(place, { isOn: true, onLost }))
  const low = await placeOf(holder, 'OLDOUT0', 1)
  await holder.output(outputOf(low, { isOn: false, activeLow: true, onLost }))
  assert.equal(chip.levels(), '11')
  line.set(false)
  assert.equal(await line.read(), false)
  assert.equal(chip.levels(), '01')
  process.kill(Number(holder.pid), 'SIGKILL')
  await until(() => lost.length === 2, 'the loss')
  assert.equal(chip.levels(), '01')
  const again = await holder.output(outputOf(place, { isOn: true }))
  assert.equal(chip.levels(), '11')
  await again.close()
  assert.equal(chip.level('OLDOUT0'), false)
})

test('a chip of the old interface that is unplugged is lost, and can be had again', async (t) => {
  const chip = new SimulatedChip(t, ['OLDGONE0', 'OLDGONE1'])
  const holder = holderOf(t)
  const lost: string[] = []
  const onLost = (error: LineError) => lost.push(error.code)
  const request = { debounceMs: 0, onEdge: () => {} }
  await holder.input({ ...requestOf(await placeOf(holder, 'OLDGONE0', 0), { onLost }), ...request })
  await holder.output(outputOf(await placeOf(holder, 'OLDGONE0', 1), { onLost }))
  chip.unplug()
  await until(() => lost.length === 2, 'the loss of both')
  chip.plug()
  await holder.input({ ...requestOf(await placeOf(holder, 'OLDGONE0', 0)), ...request })
  await holder.output(outputOf(await placeOf(holder, 'OLDGONE0', 1), { isOn: true }))
  assert.equal(chip.level('OLDGONE1'), true)
})
