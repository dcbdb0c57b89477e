import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ensureDmxLine } from '../../../.scripts/native.mjs'
import { FromProgram, MessageDeframer, ProgramMessage } from '../../../devices/process/program-messages.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { DMX_VERSION, FromDmx, PortFlag, ToDmx } from '../../../runtime/bridges/dmx/dmx-program-messages.ts'
import type { Clock } from '../../../runtime/router/clock.ts'
import { Line } from '../../line/line.ts'
import { RawEnd } from '../../line/raw-end.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'

const int = (value: number): Value => ({ type: 'i64', value })
const SLOTS = 24
const FRAME = 1 + SLOTS

function program(): string {
  const native = ensureDmxLine('.')
  if (native.path === undefined) throw new Error(native.reason)
  return native.path
}

async function wire(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'dmx-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const line = await Line.open({ a: join(folder, 'ttyAMA0'), b: join(folder, 'far') }, t)
  return { line, far: new RawEnd(line.b, t) }
}

async function scene(t: TestContext, more = '') {
  const { line, far } = await wire(t)
  const rest = more === '' ? '' : `, ${more}`
  const yaml = `- { id: stage, kind: dmx, type: uart, port: "${line.a}", slots: ${SLOTS}${rest} }`
  const one = await BridgeScene.start(t, yaml, { programs: dirname(program()) })
  return { line, far, one }
}

/** What the line brought as frames of this length; a break is nothing on a pseudo-terminal. */
function framesOf(far: RawEnd): Buffer[] {
  const { received } = far
  const count = Math.floor(received.length / FRAME)
  return Array.from({ length: count }, (_, i) => received.subarray(i * FRAME, (i + 1) * FRAME))
}

const lastOf = (far: RawEnd) => framesOf(far).at(-1) ?? Buffer.alloc(0)

/** Processes of this machine that run clasp-dmx at that port. */
function pidOf(port: string, parent = process.pid): number {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'latin1').trim().split(' ')
  const found = children.find((pid) => {
    const path = `/proc/${pid}/cmdline`
    return existsSync(path) && readFileSync(path, 'latin1').includes(`clasp-dmx\0${port}`)
  })
  assert.ok(found, `clasp-dmx at ${port} does not run`)
  return Number(found)
}

test('frames go out at the set rate by themselves, with start code 0 and all slots; the pace is measured', async (t) => {
  const { far, one } = await scene(t, 'refresh: 40')
  assert.equal(one.report('stage').state, 'running')
  assert.equal(far.received.length, 0)
  await one.set('/dmx/0/2', int(200))
  await until(() => far.received.length > 0, 'the first frame')
  const [before, since] = [framesOf(far).length, performance.now()]
  await one.untilParam('/_meta/bridges/stage/jitter')
  const rate = (framesOf(far).length - before) / ((performance.now() - since) / 1000)
  assert.ok(rate > 2 && rate < 48, `${rate} frames a second`)
  assert.deepEqual([...lastOf(far).subarray(0, 4)], [0, 0, 200, 0])
  assert.ok(framesOf(far).every((frame) => frame[0] === 0))
  const refresh = one.param('/_meta/bridges/stage/refresh')
  assert.ok(refresh?.type === 'f64' && refresh.value > 2 && refresh.value < 41, JSON.stringify(refresh))
})

test('the port is set to 250 000 baud', async (t) => {
  const { line } = await scene(t)
  assert.equal((await line.stats()).a.baud, 250_000)
})

test('a stop look goes out at the end', async (t) => {
  const { far, one } = await scene(t, 'onStop: "scene:7", scenes: [{ scene: 7, levels: "1@17" }]')
  await one.set('/dmx/0/1', int(255))
  await until(() => lastOf(far)[1] === 255, 'a level')
  await one.host.stop()
  await until(() => framesOf(far).filter((frame) => frame[1] === 17).length >= 3, 'the look of the end')
})

test('without a stop look the line falls silent after a whole frame of what was', async (t) => {
  const { line, far, one } = await scene(t)
  await one.set('/dmx/0/1', int(255))
  await until(() => lastOf(far)[1] === 255, 'a level')
  const holder = pidOf(line.a)
  await one.host.stop()
  assert.ok(!existsSync(`/proc/${holder}`))
  // That the port is closed is known when all was read that had been written to it.
  let stats = await line.stats()
  while (stats.a.isOpen) stats = await line.stats()
  const { carried } = stats['a->b']
  await until(() => far.received.length === carried, 'all that was sent')
  assert.equal(carried % FRAME, 0)
  assert.deepEqual([...lastOf(far)], [0, 255, ...new Array(SLOTS - 1).fill(0)])
})

test('nothing goes out at the end when nothing went out before', async (t) => {
  const { one, far } = await scene(t, 'onStop: zero')
  await one.host.stop()
  assert.equal(far.received.length, 0)
})

test('when its program is killed it starts again, with the same levels', async (t) => {
  const { line, far, one } = await scene(t)
  await one.set('/dmx/0/5', int(55))
  await until(() => lastOf(far)[5] === 55, 'a level')
  process.kill(pidOf(line.a), 'SIGKILL')
  await until(() => one.report('stage').state === 'degraded', 'the loss')
  assert.match(one.report('stage').reason, /clasp-dmx at .*SIGKILL/)
  const count = far.received.length
  await until(() => far.received.length >= count + 2 * FRAME, 'frames again')
  assert.equal(one.report('stage').state, 'running')
  assert.equal(lastOf(far)[5], 55)
})

test('a port that vanished is used again when it is back', async (t) => {
  const { line, far, one } = await scene(t)
  await one.set('/dmx/0/5', int(55))
  await until(() => lastOf(far)[5] === 55, 'a level')
  await line.unplug('a')
  await until(() => one.report('stage').state === 'degraded', 'the loss')
  assert.match(one.report('stage').reason, /ttyAMA0/)
  await line.plug('a')
  const count = far.received.length
  await until(() => far.received.length > count + FRAME, 'frames again')
})

test('a port that another process has is told', async (t) => {
  const { line } = await scene(t)
  const yaml = `- { id: second, kind: dmx, type: uart, port: "${line.a}" }`
  const two = await BridgeScene.start(t, yaml, { programs: dirname(program()) })
  assert.equal(two.report('second').state, 'degraded')
  assert.match(two.report('second').reason, /ttyAMA0 is in use by/)
})

test('without its program the bridge says what to install', async (t) => {
  const { line } = await wire(t)
  const one = await BridgeScene.start(t, `- { id: stage, kind: dmx, type: uart, port: "${line.a}" }`)
  assert.match(one.report('stage').reason, /clasp-dmx, which is not installed/)
})

/** Port, far end and messages of a clasp-dmx that this test speaks to itself. */
async function start(t: TestContext, flags: number) {
  const { line, far } = await wire(t)
  const args = [line.a, '--watchdog', '300', '--linger', '200']
  const child = spawn(program(), args, { stdio: ['pipe', 'pipe', 'ignore'] })
  t.after(() => child.kill('SIGKILL'))
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const messages: { type: number; body: Buffer }[] = []
  const deframer = new MessageDeframer()
  child.stdout.on('data', (chunk) => {
    deframer.add(chunk)
    deframer.take(1000, (type, body) => messages.push({ type, body: Buffer.from(body.rest()) }))
  })
  const send = (message: ProgramMessage) => child.stdin.write(message.finish())
  send(new ProgramMessage(ToDmx.open).u8(flags).u32(25_000).u32(176).u32(20))
  await until(() => messages.some(({ type }) => type === FromDmx.opened), 'an answer')
  return { child, far, ended, messages, send }
}

/** One that sends level 9 and has a look for the end. */
async function sending(t: TestContext, last: number) {
  const one = await start(t, 0)
  one.send(new ProgramMessage(ToDmx.last).raw(new Uint8Array(SLOTS).fill(last)))
  const levels = (level: number) => one.send(new ProgramMessage(ToDmx.levels).raw(new Uint8Array(SLOTS).fill(level)))
  levels(9)
  await until(() => lastOf(one.far)[1] === 9, 'levels')
  return { ...one, levels }
}

test('when the router is gone without a goodbye its look for the end goes out, then the port is free', async (t) => {
  const { child, far, ended } = await sending(t, 3)
  child.stdin.end()
  assert.equal(await ended, 0)
  await until(() => lastOf(far)[1] === 3, 'the look')
  assert.ok(framesOf(far).filter((frame) => frame[1] === 3).length >= 3)
})

test('a router that hangs is noticed, told so, and heard again when it goes on', async (t) => {
  const { far, levels, messages } = await sending(t, 4)
  await until(() => lastOf(far)[1] === 4, 'the look')
  assert.ok(messages.some(({ type }) => type === FromDmx.silent))
  levels(5)
  await until(() => lastOf(far)[1] === 5, 'new levels')
})

test('bytes that come in are marked by the kernel, so that a break can be told from a zero', async (t) => {
  const { far, messages } = await start(t, PortFlag.input)
  await far.write(Buffer.from([1, 0xff, 0, 2]))
  const input = () => Buffer.concat(messages.filter(({ type }) => type === FromDmx.input).map(({ body }) => body))
  await until(() => input().length >= 5, 'input')
  assert.deepEqual([...input()], [1, 0xff, 0xff, 0, 2])
})

test('a message that makes no sense ends the program without a word', async (t) => {
  const { child, ended } = await start(t, 0)
  child.stdin.write(Buffer.from([0xff, 0xff, 1, 2, 3]))
  assert.equal(await ended, 0)
})

/** Bytes of a message, as a shell's printf wants them. */
function octal(type: number, ...body: readonly number[]): string {
  const bytes = [body.length + 1, 0, type, ...body]
  return bytes.map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}

/** A bridge with a script for a clasp-dmx: a pseudo-terminal has no breaks. */
async function scripted(t: TestContext, more: string, messages: readonly string[], clock?: Clock) {
  const { line } = await wire(t)
  const programs = dirname(line.a)
  const hello = octal(FromProgram.ready, DMX_VERSION) + octal(FromDmx.priority, 2) + octal(FromDmx.opened, 0, 0, 0, 0)
  // It hears of the opening before it says so.
  const script = `#!/bin/sh\nhead -c 1 > /dev/null\nprintf '${hello}${messages.join('')}'\nexec cat > /dev/null\n`
  writeFileSync(join(programs, 'clasp-dmx'), script, { mode: 0o755 })
  const yaml = `- { id: stage, kind: dmx, type: uart, port: "${line.a}", ${more} }`
  return BridgeScene.start(t, yaml, { programs, clock })
}

test('frames between two breaks become params; a framing error is counted, and they go on', async (t) => {
  const frame = (...slots: number[]) => octal(FromDmx.input, 0xff, 0, 0, 0, ...slots)
  const faulty = octal(FromDmx.input, 0xff, 0, 0x41)
  const end = octal(FromDmx.input, 0xff, 0, 0)
  const one = await scripted(t, 'direction: in', [frame(5, 0), frame(9), faulty, frame(5, 0, 0xff, 0xff), end])
  assert.deepEqual(await one.untilParam('/dmx/0/3'), int(255))
  assert.deepEqual([one.param('/dmx/0/1'), one.param('/dmx/0/2')], [int(5), undefined])
  assert.match(one.report('stage').lastError, /framing errors at/)
  assert.equal(one.report('stage').inDropped, 1)
})

test('pace and priority of the program are params, and a port without breaks is told', async (t) => {
  const us = (value: number) => [value & 255, value >> 8, 0, 0]
  const pace = octal(FromDmx.pace, ...us(40), ...us(24_000), ...us(25_000), ...us(26_500))
  const one = await scripted(t, 'direction: out', [pace, octal(FromDmx.noBreak, 25, 0, 0, 0)])
  assert.deepEqual(await one.untilParam('/_meta/bridges/stage/refresh'), { type: 'f64', value: 40 })
  assert.deepEqual(await one.untilParam('/_meta/bridges/stage/jitter'), { type: 'f64', value: 2.5 })
  assert.match(JSON.stringify(await one.untilParam('/_meta/bridges/stage/device')), /real time/)
  await until(() => /cannot send a break/.test(one.report('stage').lastError), 'the error')
})

test('a port that takes nothing any more is told, and opened again', async (t) => {
  const clock = new SteppedClock()
  const one = await scripted(t, 'direction: out', [], clock)
  assert.equal(one.report('stage').state, 'running')
  await one.set('/dmx/0/1', int(1))
  clock.advance(0)
  await one.settle()
  for (let second = 0; second < 5; second++) clock.advance(1000)
  await until(() => one.report('stage').state === 'degraded', 'the end')
  assert.match(one.report('stage').reason, /took nothing for 5 s/)
  clock.advance(250)
  await until(() => one.report('stage').state === 'running', 'a new start')
})

test('a router that is killed leaves its look for the end on the line', async (t) => {
  const { line, far } = await wire(t)
  const folder = dirname(line.a)
  const config = [
    'listen: {host: 127.0.0.1, port: 0, udp: false}',
    'discovery: {mdns: false, broadcast: false}',
    'journal: {enabled: false}',
    'simulate: false',
    'bridges:',
    `  - {id: stage, kind: dmx, type: uart, port: "${line.a}", slots: ${SLOTS}, onStart: full, onStop: zero}`,
  ]
  writeFileSync(join(folder, 'config.yaml'), config.join('\n'))
  program()
  const child = spawn(process.execPath, ['dist/clasp-edge.cjs', 'run', '--config', join(folder, 'config.yaml')], {
    stdio: 'ignore',
  })
  t.after(() => child.kill('SIGKILL'))
  await until(() => lastOf(far)[1] === 255, 'the look of the start')
  const holder = pidOf(line.a, child.pid)
  child.kill('SIGKILL')
  await until(() => lastOf(far)[1] === 0, 'the look of the end')
  await until(() => !existsSync(`/proc/${holder}`), 'end of clasp-dmx')
})
