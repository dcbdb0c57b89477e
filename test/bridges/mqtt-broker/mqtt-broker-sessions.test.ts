import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { BrokerSession } from '../../../runtime/bridges/mqtt-broker/broker-session.ts'
import { Outgoing, type OutgoingParts } from '../../../runtime/bridges/mqtt-broker/outgoing.ts'
import { SessionKeeper } from '../../../runtime/bridges/mqtt-broker/session-keeper.ts'
import { applyLine, type StoredSession } from '../../../runtime/bridges/mqtt-broker/stored-session.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { NpmClient, RawClient, startBroker as start } from './broker-clients.ts'

const text = (value: string): Value => ({ type: 'string', value })
/** Version 5, not clean, session expiry 100 s, receive maximum 1, client id `c`. */
const CONNECT_KEPT = '10 16 0004 4d515454 05 00 000a 08 11 00000064 21 0001 0001 63'
const YEAR_US = 365 * 86_400_000_000

function place(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sessions-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const clock = new SteppedClock()
  // A clock that was set.
  clock.stepWall(YEAR_US)
  const problems: string[] = []
  const keeperAt = (path: string) => new SessionKeeper({ path, clock, onProblem: (message) => problems.push(message) })
  const sessionOf = (clientId: string) => {
    const parts = { clientId, owner: undefined, maxQueued: 100, now: () => clock.now() }
    const session = new BrokerSession({ ...parts, onSent() {}, onDropped() {} })
    session.expirySeconds = 100
    return session
  }
  return { folder, path: join(folder, 'deep', 'b.sessions'), clock, problems, keeperAt, sessionOf }
}

function message(payload: string, more: Partial<OutgoingParts> = {}): Outgoing {
  const usual = { topic: 'a', qos: 1 as const, isRetained: false, isState: true, properties: undefined, origin: 'o' }
  return new Outgoing({ ...usual, payload: Buffer.from(payload), expiresAtMs: Number.POSITIVE_INFINITY, ...more })
}

const payloads = ({ deliveries }: StoredSession) => [...deliveries.values()].map((one) => String(one.message.payload))

test('sessions survive a restart: subscriptions, what waited, packet ids, and what was half received', async (t) => {
  const { port, scene } = await start(t)
  const first = await RawClient.open(t, port, CONNECT_KEPT)
  await first.gets('20')
  first.say('82 07 0001 00 0001 61 02')
  await first.gets('90')
  // QoS 2 at `b`, up to PUBREC.
  first.say('34 07 0001 62 0007 00 39')
  await first.gets('50 02 0007')
  const other = await NpmClient.open(t, port)
  for (const n of ['1', '2', '3']) await other.mqtt.publishAsync('a', n, { qos: 2 })
  await first.gets('34 07 0001 61 0001 00 31')
  first.say('50 02 0001')
  await first.gets('62 02 0001')
  await scene.apply('[]')
  await first.closes()
  await scene.apply(`- {id: b, kind: mqtt-broker, listen: ${port}, host: 127.0.0.1}`)
  await scene.set('/mqtt/a', text('4'))
  const second = await RawClient.open(t, port, CONNECT_KEPT)
  // CONNACK, session present; the message that it has got is not sent again.
  await second.gets('20 0e 01 00')
  await second.gets('62 02 0001')
  second.say('3c 07 0001 62 0007 00 39 62 02 0007')
  await second.gets('70 02 0007')
  assert.equal(scene.heard.filter(({ address }) => address === '/mqtt/b').length, 1)
  second.say('70 02 0001')
  await second.gets('34 07 0001 61 0002 00 32')
  second.say('50 02 0002 70 02 0002')
  await second.gets('34 07 0001 61 0003 00 33')
  second.say('50 02 0003 70 02 0003')
  await second.gets('32 07 0001 61 0004 00 34')
})

test('after a power cut there is all that was there a second before; what is fast over is never written', async (t) => {
  const { path, clock, keeperAt, sessionOf } = place(t)
  const keeper = keeperAt(path)
  const [away, here] = [sessionOf('away'), sessionOf('here')]
  for (const one of [away, here]) keeper.keep(one)
  const heard: string[] = []
  const connection = { version: 4 as const, receiveMaximum: 10, maxPacketBytes: 1000, isCongested: false }
  for (const one of [away, here]) one.attach({ ...connection, write: (bytes) => heard.push(bytes.toString('hex')) })
  away.detach()
  const properties = { correlationData: Buffer.from([0, 255]), userProperties: { k: ['1', '2'] } }
  away.deliver(message('x\u2028', { properties, expiresAtMs: clock.now() + 60_000 }), 1, false, [7])
  away.deliver(message('', { topic: 't', qos: 2 }), 2, true, [])
  here.deliver(message('fast'), 1, false, [])
  here.deliver(message('slow'), 1, false, [])
  clock.advance(1000)
  await until(() => existsSync(path), 'the file')
  here.acknowledge('puback', 1, 0)
  await until(() => clock.pendingTimers > 0, 'the next time')
  clock.advance(1000)
  const cut = `${path}.cut`
  await until(() => readFileSync(path, 'utf8').includes(Buffer.from('slow').toString('base64')), 'what is slow')
  copyFileSync(path, cut)
  assert.ok(!readFileSync(cut, 'utf8').includes(Buffer.from('fast').toString('base64')))
  clock.advance(10_000)
  const [first, second] = await keeperAt(cut).load()
  assert.deepEqual([payloads(first), payloads(second)], [['x\u2028', ''], ['slow']])
  const again = sessionOf('away')
  keeperAt(cut).restore(again, first)
  assert.equal(again.leftAtMs, clock.now() - 12_000)
  const [[, { message: kept, subscriptionIds }]] = again.deliveries()
  assert.deepEqual([kept.parts.properties, subscriptionIds], [properties, [7]])
  assert.equal(Math.round(kept.parts.expiresAtMs - clock.now()), 48_000)
  await keeper.stop()
})

test('after a power cut no message has a packet id that its client may still hold', async (t) => {
  const { path, clock, keeperAt, sessionOf } = place(t)
  const keeper = keeperAt(path)
  const session = sessionOf('c')
  keeper.keep(session)
  const ids: number[] = []
  const write = (bytes: Buffer) => ids.push(bytes.readUInt16BE(5))
  const connection = { version: 4 as const, receiveMaximum: 10, maxPacketBytes: 1000, isCongested: false, write }
  session.attach(connection)
  clock.advance(1000)
  await until(() => existsSync(path), 'the file')
  await until(() => clock.pendingTimers === 0, 'an end of writing')
  const cut = `${path}.cut`
  copyFileSync(path, cut)
  // Those it heard of, and the disk did not.
  for (const n of ['1', '2', '3']) session.deliver(message(n, { qos: 2 }), 2, false, [])
  const [stored] = await keeperAt(cut).load()
  const again = sessionOf('c')
  keeperAt(cut).restore(again, stored)
  again.attach(connection)
  for (const n of ['4', '5', '6']) again.deliver(message(n, { qos: 2 }), 2, false, [])
  assert.deepEqual(ids.slice(0, 3), [1, 2, 3])
  assert.equal(new Set(ids).size, 6)
  await keeper.stop()
})

test('a start in the middle of a stop finds what that one writes', async (t) => {
  const { path, keeperAt, sessionOf } = place(t)
  const keeper = keeperAt(path)
  const session = sessionOf('c')
  keeper.keep(session)
  session.deliver(message('x'.repeat(500_000)), 1, false, [])
  session.deliver(message('last'), 1, false, [])
  const stopped = keeper.stop()
  const [found] = await keeperAt(path).load()
  assert.equal(payloads(found).at(-1), 'last')
  await stopped
})

test('what was loaded for nothing is not written again', async (t) => {
  const { path, clock, keeperAt, sessionOf } = place(t)
  const keeper = keeperAt(path)
  keeper.keep(sessionOf('c'))
  await keeper.stop()
  const { ino } = statSync(path)
  const second = keeperAt(path)
  const [stored] = await second.load()
  second.restore(sessionOf('c'), stored)
  second.giveUp()
  await second.stop()
  assert.equal(statSync(path).ino, ino)
  assert.equal(clock.pendingTimers, 0)
})

test('a torn or spoilt file gives what is in front of it', async (t) => {
  const { path, folder, keeperAt, sessionOf } = place(t)
  const keeper = keeperAt(path)
  const session = sessionOf('c')
  keeper.keep(session)
  for (const n of ['1', '2', '3']) session.deliver(message(n), 1, false, [])
  await keeper.stop()
  const whole = readFileSync(path)
  assert.deepEqual((await keeperAt(path).load()).map(payloads), [['1', '2', '3']])
  const spoil = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean())
  for (const [at, change, isTorn] of fc.sample(spoil, { seed: 4, numRuns: 200 })) {
    const bytes = isTorn ? whole.subarray(0, at) : Buffer.from(whole)
    if (!isTorn) bytes[at] ^= change
    const sessions = new Map<string, StoredSession>()
    const isWhole = bytes
      .toString()
      .split('\n')
      .slice(0, -1)
      .every((line) => applyLine(line, sessions))
    assert.ok(isTorn || !isWhole || bytes[at] === 10 || whole[at] === 10)
    for (const one of sessions.values()) {
      const found = payloads(one)
      assert.deepEqual(found, ['1', '2', '3'].slice(0, found.length))
    }
  }
  const torn = join(folder, 'torn')
  writeFileSync(torn, whole.subarray(0, whole.length - 3))
  assert.deepEqual((await keeperAt(torn).load()).map(payloads), [['1', '2']])
})

test('what is over, and sessions that ended, do not come back; the file does not grow for ever', async (t) => {
  const { path, clock, keeperAt, sessionOf } = place(t)
  const keeper = keeperAt(path)
  const [session, old] = [sessionOf('c'), sessionOf('old')]
  for (const one of [session, old]) keeper.keep(one)
  old.deliver(message('old'), 1, false, [])
  const large = 'x'.repeat(100_000)
  let most = 0
  for (let round = 0; round < 12; round++) {
    for (let n = 0; n < 11; n++) session.deliver(message(`${round}.${n} ${large}`), 1, false, [])
    clock.advance(31_000)
    await until(() => clock.pendingTimers === 0, 'an end of writing')
    await until(() => existsSync(path), 'the file')
    most = Math.max(most, statSync(path).size)
    if (round === 1) {
      keeper.forget(old)
      const anew = sessionOf('old')
      keeper.keep(anew)
    }
  }
  await keeper.stop()
  const [kept, anew] = await keeperAt(path).load()
  assert.deepEqual(payloads(kept).at(-1)?.slice(0, 6), '11.10 ')
  assert.equal(payloads(kept).length, 10)
  assert.deepEqual(payloads(anew), [])
  assert.ok(most < 8_000_000, `${most} bytes`)
})

test('where sessions cannot be kept the operator is told, and it is tried again', async (t) => {
  const { path, folder, clock, problems, keeperAt, sessionOf } = place(t)
  writeFileSync(join(folder, 'deep'), 'a file where a folder should be')
  const keeper = keeperAt(path)
  const session = sessionOf('c')
  keeper.keep(session)
  session.deliver(message('1'), 1, false, [])
  clock.advance(1000)
  await until(() => problems.length === 1, 'a problem')
  assert.match(problems[0], /b\.sessions: sessions cannot be kept: .*; make room, or check its folder/)
  rmSync(join(folder, 'deep'))
  mkdirSync(join(path, 'a folder where a file should be'), { recursive: true })
  await until(() => clock.pendingTimers > 0, 'the next time')
  clock.advance(30_000)
  await until(() => problems.length === 2, 'a second problem')
  // What could not be finished takes no room.
  assert.deepEqual(readdirSync(join(folder, 'deep')), ['b.sessions'])
  rmSync(path, { recursive: true })
  await until(() => clock.pendingTimers > 0, 'the next time')
  clock.advance(30_000)
  await until(() => existsSync(path), 'the file')
  await keeper.stop()
  assert.deepEqual((await keeperAt(path).load()).map(payloads), [['1']])
})

test('the time of a session goes on while the broker is away, if the clock knows', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await start(t, '', { clock })
  const yaml = `- {id: b, kind: mqtt-broker, listen: ${port}, host: 127.0.0.1}`
  for (const [stepUs, present] of [
    [0, '00'],
    // 200 s, but nobody can tell: it is 2023.
    [200_000_000, '01'],
    [YEAR_US, '01'],
    [50_000_000, '01'],
    [200_000_000, '00'],
  ] as const) {
    clock.stepWall(stepUs)
    await scene.apply(yaml)
    const client = await RawClient.open(t, port, CONNECT_KEPT)
    await client.gets(`20 0e ${present} 00`)
    client.say('e0 00')
    await client.closes()
    await scene.apply('[]')
  }
})

test('sessions of users that are gone end with a restart', async (t) => {
  const users = (name: string) => `, users: [{name: ${name}, password: p, read: [a], write: [a]}]`
  const { port, scene } = await start(t, users('one'))
  const options = { clientId: 'c', clean: false, properties: { sessionExpiryInterval: 100 } }
  const one = await NpmClient.open(t, port, { ...options, username: 'one', password: 'p' })
  await one.mqtt.subscribeAsync('a', { qos: 1 })
  const yaml = (name: string) => `- {id: b, kind: mqtt-broker, listen: ${port}, host: 127.0.0.1${users(name)}}`
  await scene.apply(yaml('two'))
  await scene.apply(yaml('one'))
  const again = await NpmClient.open(t, port, { ...options, username: 'one', password: 'p' })
  await again.mqtt.publishAsync('a', 'x', { qos: 1 })
  await again.mqtt.subscribeAsync('a', { qos: 1, rh: 2 })
  await again.mqtt.publishAsync('a', 'y', { qos: 1 })
  await again.hears('a')
  assert.deepEqual(
    again.heard.map(({ text: payload }) => payload),
    ['y'],
  )
})

test('of too many sessions those end that were left first, before a restart too; none for one who is taken over', async (t) => {
  const clock = new SteppedClock()
  clock.stepWall(YEAR_US)
  const { port, scene } = await start(t, ', maxSessions: 2', { clock })
  const open = async (name: string, present: '00' | '01') => {
    const client = await RawClient.open(t, port, CONNECT_KEPT.replace(/63$/, Buffer.from(name).toString('hex')))
    await client.gets(`20 0e ${present} 00`)
    return client
  }
  const visit = async (name: string, present: '00' | '01') => {
    const client = await open(name, present)
    client.say('e0 00')
    await client.closes()
    clock.advance(1000)
  }
  await visit('a', '00')
  await visit('b', '00')
  await visit('a', '01')
  await scene.apply('[]')
  await scene.apply(`- {id: b, kind: mqtt-broker, listen: ${port}, host: 127.0.0.1, maxSessions: 2}`)
  await visit('c', '00')
  await visit('a', '01')
  const first = await open('d', '00')
  const second = await open('d', '01')
  await first.closes()
  await visit('c', '01')
  second.socket.destroy()
})
