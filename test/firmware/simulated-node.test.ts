import assert from 'node:assert/strict'
import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ensureNative } from '../../.scripts/native.mjs'
import { startSimulatedBoard } from '../../devices/simulated/simulated-board.ts'
import type { Announce } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { Line } from '../line/line.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { portFolder, Runtime } from './runtime-fixture.ts'
import { SimulatedNode } from './simulated-node.ts'

const { reason } = ensureNative()
const bool = (value: boolean): Value => ({ type: 'bool', value })
const float = (value: number): Value => ({ type: 'f64', value })

/** Asks until the answer is yes, with a wide limit. */
async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `it never came: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** What the board that needs no compiler announces. */
function announcedByBoard(): Announce['signals'] {
  let signals: Announce['signals'] = []
  const clock = new SteppedClock()
  const board = startSimulatedBoard({
    connect: () => ({
      send(message) {
        if (message.type === 'ANNOUNCE') signals = message.signals
      },
      close() {},
    }),
    clock,
  })
  clock.advance(1)
  board.stop()
  return signals
}

describe('the simulated microcontroller', { skip: reason }, () => {
  it('has the signals of the simulated board', async (t) => {
    const pty = join(portFolder(t), 'tty')
    const runtime = await Runtime.start(t, { serial: [{ port: pty }] })
    const node = await SimulatedNode.start({ pty }, t)
    await node.online()
    const { devices } = await runtime.online()
    const client = await runtime.client()
    const units = new Map(devices[0].signals.map(({ address, unit }) => [address, unit]))
    const expected = announcedByBoard()
    // The answer to QUERY has no units: they come from the report.
    const announced = await client.query('/sim/**')
    const actual = announced.map((signal) => ({ ...signal, meta: { unit: units.get(signal.address) } }))
    const essence = ({ address, type, datatype, access, meta }: Announce['signals'][number]) => ({
      address,
      type,
      // A device declares a type for events, too.
      datatype: type === 'event' ? undefined : datatype,
      access,
      unit: meta?.unit,
    })
    const sorted = (signals: Announce['signals']) =>
      signals.map(essence).sort((a, b) => (a.address < b.address ? -1 : 1))
    assert.equal(expected.length, 7)
    assert.deepEqual(sorted(actual), sorted(expected))
  })

  it('takes writes, counts them, and falls back when the link dies', async (t) => {
    const pty = join(portFolder(t), 'tty')
    const runtime = await Runtime.start(t, { serial: [{ port: pty }], keepalive: 200 })
    const node = await SimulatedNode.start({ pty }, t)
    await runtime.online()
    const client = await runtime.client()
    await client.set('/sim/led', bool(true))
    await node.until(({ input, value, why }) => input === '/sim/led' && value === true && why === 'changed')
    assert.deepEqual((await node.command('value /sim/led/changes')).value, 1)
    await node.command('unplug')
    const fallen = await node.until(({ why }) => why === 'fellBack')
    assert.deepEqual([fallen.input, fallen.value], ['/sim/led', false])
    assert.equal(existsSync(pty), false)
    const before = node.happened.length
    await node.command('plug')
    await node.until(({ state }) => state === 'running', before)
  })

  it('is a new boot after a reset, and the router notices', async (t) => {
    const pty = join(portFolder(t), 'tty')
    const runtime = await Runtime.start(t, { serial: [{ port: pty }] })
    const node = await SimulatedNode.start(
      { pty, signals: ['level,f32,out,range=0:10,unit=V', 'go,null,event+out'] },
      t,
    )
    await runtime.online()
    const client = await runtime.client()
    await node.command('set level 2.5')
    const before = node.happened.length
    await node.command('reset')
    await node.until(({ state }) => state === 'running', before)
    await node.command('set level 7.5')
    await eventually(async () => {
      const value = (await client.get('/dev/node/level'))?.value
      return value !== undefined && 'value' in value && value.value === 7.5
    })
    const { devices } = await runtime.report()
    assert.equal(devices[0].signals[0].unit, 'V')
  })

  it('hears what it subscribed to, under the address that matched', async (t) => {
    const pty = join(portFolder(t), 'tty')
    const runtime = await Runtime.start(t, { serial: [{ port: pty }] })
    const node = await SimulatedNode.start({ pty, signals: 'echo' }, t)
    await runtime.online()
    const client = await runtime.client()
    await node.command('sub 0 /scene/*')
    await client.set('/scene/main', float(0.25))
    const input = await node.until((message) => message.input === '/scene/main')
    assert.equal(input.value, 0.25)
  })

  it('sleeps and wakes at command', async (t) => {
    const pty = join(portFolder(t), 'tty')
    const runtime = await Runtime.start(t, { serial: [{ port: pty }] })
    const node = await SimulatedNode.start({ pty, signals: 'echo', sleepy: true }, t)
    await runtime.online()
    await node.command('sleep 60')
    await node.until(({ state }) => state === 'asleep')
    await runtime.shows(({ devices }) => devices[0].state !== 'online')
    await node.command('wake')
    await runtime.online()
  })

  it('is many devices over UDP', async (t) => {
    const runtime = await Runtime.start(t, { udp: true })
    const udp = `127.0.0.1:${runtime.port}`
    const node = await SimulatedNode.start({ udp, count: 20, name: 'u', signals: 'bench:2', rate: 50, lossy: true }, t)
    await node.online(20)
    const { devices } = await runtime.online(20)
    const names = devices.map(({ name }) => name).sort()
    assert.deepEqual(names, Array.from({ length: 20 }, (_, i) => `u${i + 1}`).sort())
    const client = await runtime.client()
    await eventually(async () => (await client.snapshot('/dev/*/p1')).length === 20)
  })

  it('keeps to the speed of its line', async (t) => {
    const pty = join(portFolder(t), 'tty')
    const runtime = await Runtime.start(t, { serial: [{ port: pty }] })
    const node = await SimulatedNode.start({ pty, lineRate: 115_200, signals: 'bench:8', rate: 'max', lossy: true }, t)
    await runtime.online()
    const startedAt = performance.now()
    const { bytesOut } = await node.stats()
    await runtime.shows(({ devices }) => devices[0].counters.bytesIn > bytesOut + 5000)
    const sent = (await node.stats()).bytesOut - bytesOut
    const seconds = (performance.now() - startedAt) / 1000
    // 64 bytes may be on their way already.
    assert.ok(sent <= seconds * 11_520 + 64, `${sent} bytes in ${seconds} s`)
  })

  it('knows the time of the router although its own clock is wrong', async (t) => {
    const pty = join(portFolder(t), 'tty')
    const runtime = await Runtime.start(t, { serial: [{ port: pty }] })
    const node = await SimulatedNode.start({ pty, signals: 'echo', driftPpm: 200 }, t)
    await runtime.online()
    let errorUs: number | null = null
    await eventually(async () => {
      errorUs = (await node.time()).errorUs
      return errorUs !== null
    })
    assert.ok(Math.abs(errorUs ?? Infinity) < 50_000, `${errorUs} µs`)
  })

  it('goes faster with the router, over a cable that garbles any other speed', async (t) => {
    const folder = portFolder(t)
    const line = await Line.open({ a: join(folder, 'router'), b: join(folder, 'device'), baud: 'follow' }, t)
    const node = await SimulatedNode.start({ port: line.b, maxBaud: 1_000_000, signals: 'echo' }, t)
    const runtime = await Runtime.start(t, { serial: [{ port: line.a, maxBaudRate: 500_000 }] })
    await node.until(({ baud }) => baud === 500_000)
    await runtime.shows(({ ports }) => ports[0].baudRate === 500_000)
    const client = await runtime.client()
    await client.set('/dev/node/in1', float(3))
    await node.until(({ input, value }) => input === 'in1' && value === 3)
    assert.equal((await line.stats()).b.baud, 500_000)
    // The cable is out for so long that both ends are at their first speed again.
    await line.unplug('b')
    await node.until(({ state }) => state === 'announcing')
    const before = node.happened.length
    await line.plug('b')
    await node.until(({ state }) => state === 'running', before)
  })

  it('ends without a trace', async (t) => {
    const pty = join(portFolder(t), 'tty')
    const node = await SimulatedNode.start({ pty, signals: 'echo' }, t)
    assert.ok(lstatSync(pty).isSymbolicLink())
    assert.equal(await node.stop(), 0)
    assert.equal(existsSync(pty), false)
  })

  it('says what is wrong with its options and commands', async (t) => {
    const pty = join(portFolder(t), 'tty')
    await assert.rejects(SimulatedNode.start({ pty, signals: 'nothing' }, t), /--signals is board, bench:N or echo/)
    const node = await SimulatedNode.start({ pty, signals: 'echo' }, t)
    await assert.rejects(node.command('set nowhere 1'), /no such signal/)
    await assert.rejects(node.command('set out0 x'), /no value of the signal's type/)
    await assert.rejects(node.command('fly'), /unknown command/)
  })
})
