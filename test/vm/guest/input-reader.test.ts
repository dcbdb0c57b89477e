import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { listEventDevices } from '../../../devices/hid/event-devices.ts'
import { InputReader, type InputRecord, RecordType } from '../../../devices/hid/input-reader.ts'
import { systemClock } from '../../../runtime/router/clock.ts'
import { programPath } from './programs.ts'
import { until } from './until.ts'

const [KEY_1, KEY_2, KEY_3] = [2, 3, 4]
const ABS_X = 0

type Happening = readonly [type: number, code: number, value: number]

/** A gamepad of this machine's kernel, until the test ends; see c/virtual-pad.c. */
class VirtualPad {
  readonly name: string
  private readonly child: ChildProcess
  private wanted = 1
  private happened = 0

  private constructor(t: TestContext, name: string) {
    this.name = name
    this.child = spawn(programPath('virtual-pad'), [name], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child.stdout?.on('data', (dots: Buffer) => {
      this.happened += dots.length
    })
    t.after(() => this.child.kill('SIGKILL'))
  }

  static async plug(t: TestContext, name: string): Promise<VirtualPad> {
    const pad = new VirtualPad(t, name)
    await pad.done()
    return pad
  }

  /** Resolves when the kernel has got them. */
  async say(...happenings: readonly Happening[]): Promise<void> {
    this.wanted += happenings.length
    this.child.stdin?.write(happenings.map((one) => `${one.join(' ')}\n`).join(''))
    await this.done()
  }

  async unplug(): Promise<void> {
    this.child.stdin?.end()
    await once(this.child, 'exit')
  }

  private done(): Promise<void> {
    return until(() => this.happened === this.wanted, `${this.wanted} dots of ${this.name}`)
  }
}

/** clasp-input of the product, which reads a pad until the test ends. */
async function readerOf(t: TestContext, pad: VirtualPad, isGrabbed: boolean) {
  const device = (await listEventDevices('/sys', '/dev')).find(({ name }) => name === pad.name)
  if (device === undefined) throw new Error(`${pad.name} is not in /sys`)
  const records: InputRecord[] = []
  const ends: Error[] = []
  const reader = await InputReader.open({
    program: programPath('clasp-input'),
    paths: [device.path],
    isGrabbed,
    clock: systemClock,
    onRecord: (record) => records.push(record),
    onEnded: (error) => ends.push(error),
  })
  t.after(() => reader.close())
  const keys = () => records.filter(({ type }) => type === RecordType.key).map(({ code, value }) => [code, value])
  return { device, records, ends, keys }
}

/** '' when the process has ended meanwhile. */
function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return ''
  }
}

/** Process numbers of this process's children. */
function childrenCalled(program: string): number[] {
  const processes = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))
  return processes.map(Number).filter((pid) => {
    const [, name, parent] = /\((.*)\) \S (\d+)/.exec(statOf(pid)) ?? []
    return name === program && Number(parent) === process.pid
  })
}

test('an input device says its numbers, the ranges of its axes, and what happens with the time of day', async (t) => {
  const pad = await VirtualPad.plug(t, 'Pad with an axis')
  const { device, records } = await readerOf(t, pad, false)
  assert.deepEqual([device.vendor, device.product], ['1209', '0002'])
  const before = Date.now()
  await pad.say([RecordType.axis, ABS_X, 50])
  await until(() => records.some(({ value }) => value === 50), 'the axis')
  const axis = records.map(({ type, code, value }) => [type, code, value])
  assert.deepEqual(axis, [
    [RecordType.ready, 1, 0],
    [RecordType.axisMin, ABS_X, -100],
    [RecordType.axisMax, ABS_X, 100],
    [RecordType.axis, ABS_X, 0],
    [RecordType.axis, ABS_X, 50],
  ])
  assert.ok(Math.abs((records.at(-1)?.us ?? 0) / 1000 - before) < 60_000)
})

test('a grabbed input device belongs to one program, and its end is told', async (t) => {
  const pad = await VirtualPad.plug(t, 'Grabbed pad')
  const { keys, ends } = await readerOf(t, pad, true)
  await assert.rejects(readerOf(t, pad, true), /is grabbed by another program/)
  const other = await readerOf(t, pad, false)
  await pad.say([RecordType.key, KEY_1, 1], [RecordType.key, KEY_1, 0])
  await until(() => keys().length === 2, 'two keys')
  await pad.unplug()
  await until(() => ends.length === 1 && other.ends.length === 1, 'the end')
  assert.match(ends[0].message, /has gone: plug it in again/)
  assert.deepEqual(other.keys(), [])
})

test('a key that is let go while events get lost is told as let go', async (t) => {
  const pad = await VirtualPad.plug(t, 'Fast pad')
  const { keys } = await readerOf(t, pad, false)
  await pad.say([RecordType.key, KEY_2, 1])
  await until(() => keys().length === 1, 'the key')
  const [pid] = childrenCalled('clasp-input')
  process.kill(pid, 'SIGSTOP')
  // More than the kernel keeps.
  const flood = Array.from({ length: 1000 }, (_, at): Happening => [RecordType.key, KEY_1, (at + 1) % 2])
  await pad.say([RecordType.key, KEY_2, 0], ...flood)
  process.kill(pid, 'SIGCONT')
  await until(() => keys().some(([code, value]) => code === KEY_2 && value === 0), 'the release')
  await pad.say([RecordType.key, KEY_3, 1], [RecordType.key, KEY_3, 0])
  await until(() => keys().some(([code, value]) => code === KEY_3 && value === 0), 'what came last')
  const ofFlood = keys().filter(([code]) => code === KEY_1)
  assert.notEqual(ofFlood.at(-1)?.[1], 1)
  assert.ok(ofFlood.length < 1000, `${ofFlood.length} records: nothing was lost`)
})
