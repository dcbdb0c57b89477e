import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { RemoteStore } from '../../../runtime/bridges/artnet/artnet-remote-store.ts'
import type { Clock } from '../../../runtime/router/clock.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { udpPeer } from '../lighting/udp-peer.ts'

/** Away from the well-known one, so that other tests can run. */
const PORT = 16_456
const ID = '4172742d4e657400'
const int = (value: number): Value => ({ type: 'i64', value })
const is = (wanted: number) => (value: Value) => 'value' in value && value.value === wanted
const allowed = 'role: node, allowRemoteConfig: true'

interface Desk {
  got: Buffer[]
  send(bytes: Buffer): void
  /** The reply of a port that comes next. */
  reply(bindIndex: number): Promise<Buffer>
}

async function desk(t: TestContext, ip: string, bridge: string): Promise<Desk> {
  const { socket, got } = await udpPeer(t, ip, PORT)
  const reply = async (bindIndex: number) => {
    const from = got.length
    const find = () => got.slice(from).find((bytes) => bytes.readUInt16LE(8) === 0x2100 && bytes[211] === bindIndex)
    await until(() => find() !== undefined, 'a reply')
    return find() as Buffer
  }
  return { got, send: (bytes) => socket.send(bytes, PORT, bridge), reply }
}

const start = (t: TestContext, ip: string, yaml: string, clock?: Clock) =>
  BridgeScene.start(t, `- { id: a, kind: artnet, bind: ${ip}, port: ${PORT}, ${yaml} }`, { clock })

interface Address {
  bind?: number
  net?: number
  sub?: number
  input?: number
  output?: number
  name?: string
  command?: number
}

/** ArtAddress after the specification: 0x7f in a switch changes nothing. */
function artAddress({
  bind = 1,
  net = 0x7f,
  sub = 0x7f,
  input = 0x7f,
  output = 0x7f,
  name = '',
  command = 0,
}: Address) {
  const bytes = Buffer.alloc(107)
  bytes.write(`${ID}0060000e`, 'hex')
  bytes[12] = net
  bytes[13] = bind
  bytes.write(name, 14)
  bytes[96] = input
  bytes[100] = output
  bytes[104] = sub
  bytes[105] = 255
  bytes[106] = command
  return bytes
}

function artDmx(portAddress: number, ...slots: number[]): Buffer {
  const bytes = Buffer.from(`${ID}0050000e0000000000000000`.slice(0, 36), 'hex')
  bytes.writeUInt16LE(portAddress, 14)
  bytes.writeUInt16BE(slots.length, 16)
  return Buffer.concat([bytes, Buffer.from(slots)])
}

function artInput(bind: number, isDisabled: boolean): Buffer {
  return Buffer.from(`${ID}0070000e00${bind.toString(16).padStart(2, '0')}0001${isDisabled ? '01' : '00'}000000`, 'hex')
}

const dmxOf = ({ got }: Desk) => got.filter((bytes) => bytes.readUInt16LE(8) === 0x5000)

test('remote settings change nothing where they are not allowed, and are answered', async (t) => {
  const scene = await start(t, '127.0.30.2', 'role: node, inputs: [{ universe: 0 }], outputs: [{ universe: 1 }]')
  const console_ = await desk(t, '127.0.30.1', '127.0.30.2')
  console_.send(artAddress({ name: 'renamed', output: 0x87, command: 0x10 }))
  const reply = await console_.reply(1)
  assert.equal(reply.toString('latin1', 26, 37), 'clasp-edge\0')
  assert.deepEqual([reply[182] & 0x02, reply[190]], [0, 0])
  console_.send(artInput(2, true))
  assert.equal((await console_.reply(2))[178], 0x80)
  assert.equal(scene.report('a').inDropped, 0)
})

test('a console patches ports to other Port-Addresses, and a restart keeps them', async (t) => {
  const yaml = `${allowed}, inputs: [{ universe: 5 }], outputs: [{ universe: 9, targets: [127.0.31.1] }]`
  const scene = await start(t, '127.0.31.2', yaml)
  const console_ = await desk(t, '127.0.31.1', '127.0.31.2')
  // Net 1, Sub-Net 2, SwOut 7, and a name.
  console_.send(artAddress({ net: 0x81, sub: 0x82, output: 0x87, name: 'stage' }))
  const reply = await console_.reply(1)
  assert.deepEqual([reply[18], reply[19], reply[190]], [1, 2, 7])
  assert.equal(reply.toString('latin1', 26, 32), 'stage\0')
  console_.send(artAddress({ bind: 2, input: 0x83 }))
  assert.equal((await console_.reply(2))[186], 3)
  console_.send(artDmx(5, 50))
  console_.send(artDmx(0x127, 99))
  await scene.untilParam('/artnet/5/1', is(99))
  assert.ok(scene.heard.every(({ value }) => !is(50)(value)))
  await scene.set('/artnet/9/1', int(8))
  await until(() => dmxOf(console_).some((bytes) => bytes[14] === 3 && bytes[18] === 8), 'the patched universe')
  await scene.apply('[]')
  await scene.apply(`- { id: a, kind: artnet, bind: 127.0.31.2, port: ${PORT}, ${yaml} }`)
  console_.send(artDmx(0x127, 98))
  await scene.untilParam('/artnet/5/1', is(98))
  // 0: as configured.
  console_.send(artAddress({ net: 0, sub: 0, output: 0 }))
  const back = await console_.reply(1)
  assert.deepEqual([back[18], back[19], back[190]], [0, 0, 5])
  assert.equal(back.toString('latin1', 26, 32), 'stage\0')
})

test('two ports on one Port-Address both get it', async (t) => {
  const scene = await start(t, '127.0.32.2', `${allowed}, inputs: [{ universe: 5 }, { universe: 6 }]`)
  const console_ = await desk(t, '127.0.32.1', '127.0.32.2')
  console_.send(artAddress({ bind: 2, output: 0x85 }))
  await console_.reply(2)
  console_.send(artDmx(5, 70))
  await scene.untilParam('/artnet/5/1', is(70))
  await scene.untilParam('/artnet/6/1', is(70))
})

test('ArtInput stops and resumes what we put onto Art-Net', async (t) => {
  const outputs = [9, 10].map((universe) => `{ universe: ${universe}, targets: [127.0.33.1] }`)
  const clock = new SteppedClock()
  const scene = await start(t, '127.0.33.2', `${allowed}, outputs: [${outputs}]`, clock)
  const console_ = await desk(t, '127.0.33.1', '127.0.33.2')
  const levels = (universe: number) => dmxOf(console_).flatMap((bytes) => (bytes[14] === universe ? [bytes[18]] : []))
  const set = async (level: number) => {
    clock.advance(100)
    const messages = [9, 10].map(
      (universe) => ({ type: 'SET', address: `/artnet/${universe}/1`, value: int(level) }) as const,
    )
    await scene.send({ type: 'BUNDLE', messages })
    await until(() => levels(10).at(-1) === level, 'a frame')
  }
  await set(8)
  console_.send(artInput(1, true))
  assert.equal((await console_.reply(1))[178], 0x08)
  await set(77)
  console_.send(artInput(1, false))
  assert.equal((await console_.reply(1))[178], 0x80)
  await set(78)
  assert.deepEqual(levels(9), [8, 78])
})

test('merging, the look of a loss and clearing are set for the port of the bind index', async (t) => {
  const clock = new SteppedClock()
  const scene = await start(t, '127.0.34.2', `${allowed}, inputs: [{ universe: 0 }, { universe: 1 }]`, clock)
  const console_ = await desk(t, '127.0.34.1', '127.0.34.2')
  const command = (number: number) => {
    console_.send(artAddress({ bind: 2, command: number }))
    return console_.reply(2)
  }
  assert.equal((await command(0x10))[182] & 0x02, 0x02)
  assert.equal((await command(0x50))[182] & 0x02, 0)
  // Status3: the look of a loss can be chosen, and is hold, zero, full, a scene.
  const status: number[] = []
  for (const number of [0x08, 0x09, 0x0a, 0x0b]) status.push((await command(number))[217])
  assert.deepEqual(status, [0x20, 0x60, 0xa0, 0xe0])
  console_.send(artDmx(1, 40, 50))
  await scene.untilParam('/artnet/1/2', is(50))
  await command(0x0c)
  clock.advance(100)
  await command(0x90)
  await scene.untilParam('/artnet/1/2', is(0))
  clock.advance(5000)
  await scene.untilParam('/artnet/1/2', is(50))
  assert.match(scene.report('a').lastError, /universe 1 has no source any more: recorded/)
})

test('a console that wants to hear of changes is told of those that others make', async (t) => {
  const clock = new SteppedClock()
  await start(t, '127.0.36.2', `${allowed}, inputs: [{ universe: 5 }]`, clock)
  const [listener, other] = await Promise.all(['127.0.36.1', '127.0.36.3'].map((ip) => desk(t, ip, '127.0.36.2')))
  listener.send(Buffer.from(`${ID}0020000e0200`, 'hex'))
  await until(() => {
    clock.advance(100)
    return listener.got.length > 0
  }, 'the answer to the poll')
  other.send(artAddress({ output: 0x87 }))
  assert.equal((await listener.reply(1))[190], 7)
})

test('many requests of what may be a forged address get few replies, and the last one shows how it is then', async (t) => {
  const clock = new SteppedClock()
  const scene = await start(t, '127.0.38.2', `${allowed}, inputs: [{ universe: 5 }]`, clock)
  const console_ = await desk(t, '127.0.38.1', '127.0.38.2')
  for (let i = 0; i < 50; i++) console_.send(artAddress({ name: `name ${i}` }))
  // It comes behind them.
  console_.send(artDmx(5, 9))
  await scene.untilParam('/artnet/5/1')
  clock.advance(1000)
  await until(() => console_.got.at(-1)?.toString('latin1', 26, 34) === 'name 49\0', 'the last name')
  assert.ok(console_.got.length < 25, `${console_.got.length} replies`)
})

test('remote settings are not written more often than once a second, and all are at the end', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'artnet-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const clock = new SteppedClock()
  const store = await RemoteStore.load({ folder, id: 'a', problem: (_code, text) => assert.fail(text), clock })
  const kept = () => JSON.parse(readFileSync(join(folder, 'artnet-a.json'), 'utf8')).shortName
  const name = (shortName: string) => {
    store.settings.shortName = shortName
    store.save()
  }
  name('one')
  await until(() => existsSync(join(folder, 'artnet-a.json')), 'a file')
  name('two')
  name('three')
  assert.equal(clock.pendingTimers, 1)
  assert.equal(kept(), 'one')
  clock.advance(1000)
  await until(() => kept() === 'three', 'the last one')
  name('four')
  await store.saved()
  assert.deepEqual([kept(), clock.pendingTimers], ['four', 0])
})

test('remote settings that could not be written are written at the end, if they can be then', async (t) => {
  const folder = join(mkdtempSync(join(tmpdir(), 'artnet-')), 'state')
  t.after(() => rmSync(join(folder, '..'), { recursive: true }))
  writeFileSync(folder, 'this is no folder')
  const problems: string[] = []
  const problem = (_code: string, text: string) => void problems.push(text)
  const store = await RemoteStore.load({ folder, id: 'a', problem, clock: new SteppedClock() })
  store.settings.shortName = 'one'
  store.save()
  await until(() => problems.length > 0, 'a problem')
  rmSync(folder)
  await store.saved()
  assert.equal(JSON.parse(readFileSync(join(folder, 'artnet-a.json'), 'utf8')).shortName, 'one')
})

test('ArtIpProg is answered with the address as it is', async (t) => {
  await start(t, '127.0.35.2', allowed)
  const console_ = await desk(t, '127.0.35.1', '127.0.35.2')
  // All of it is to be programmed.
  console_.send(Buffer.from(`${ID}00f8000e0000cf00${'0a000009ff000000'}1936${'00'.repeat(8)}`, 'hex'))
  await until(() => console_.got.some((bytes) => bytes.readUInt16LE(8) === 0xf900), 'an answer')
  const [answer] = console_.got.filter((bytes) => bytes.readUInt16LE(8) === 0xf900)
  assert.equal(answer.length, 34)
  assert.equal(answer.toString('hex', 10, 26), '000e00000000' + '7f002302' + 'ff000000' + '1936')
})

test('a damaged file of remote settings is told, and what makes no sense in one is left out', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'artnet-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const problems: string[] = []
  const load = (text: string) => {
    writeFileSync(join(folder, 'artnet-a.json'), text)
    return RemoteStore.load({
      folder,
      id: 'a',
      problem: (_code, message) => problems.push(message),
      clock: new SteppedClock(),
    })
  }
  for (const text of ['{"shortName": "st', 'null', '7', '{"ports": {"output/5": null}}']) {
    assert.deepEqual((await load(text)).settings, { ports: {} }, text)
  }
  assert.match(problems[0], /artnet-a\.json is damaged/)
  const { settings } = await load(
    '{"shortName": 7, "longName": "ok", "ports": {"output/5": {"portAddress": 32768, "merge": "x", "isDisabled": true}}}',
  )
  assert.deepEqual(settings, { longName: 'ok', ports: { 'output/5': { isDisabled: true } } })
})
