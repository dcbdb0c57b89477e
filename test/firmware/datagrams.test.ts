import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { ByeReason, Control, Field, FrameClass, LinkType } from '../../firmware-protocol/link/constants.ts'
import { bool } from '../router/fixture.ts'
import { until } from '../until.ts'
import type { DatagramWire, DatagramWireOptions } from './datagram-wire.ts'
import { paramOf, plain, Stage, type StageOptions, untilParam } from './fixture.ts'
import { field, val } from './records.ts'
import { DESCRIPTOR, type Identity, ScriptedDevice } from './scripted-device.ts'

const SECRET = Buffer.from('50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c', 'hex')
const UID = 'a1b2c3d4e5f60718'
const KEYS = [{ uid: UID, key: SECRET.toString('hex') }]
const ANNOUNCE = FrameClass.control | Control.announce

function open(
  stage: Stage,
  t: TestContext,
  identity: Partial<Identity> = {},
  options: DatagramWireOptions = {},
): Promise<ScriptedDevice<DatagramWire>> {
  return ScriptedDevice.udp(stage.udpPort, t, { name: 'node', uid: UID, descriptor: DESCRIPTOR, ...identity }, options)
}

async function joined(t: TestContext, options: StageOptions = {}, wire: DatagramWireOptions = {}) {
  const stage = await Stage.start(t, options)
  const client = await stage.client()
  const device = await open(stage, t, {}, wire)
  await device.join()
  const counter = (name: string) => stage.device(UID)?.counters[name] ?? 0
  return { stage, client, device, counter }
}

/** Waits until a counter of the page has come so far. */
async function counted(stage: Stage, name: string, count: number): Promise<void> {
  const deadline = performance.now() + 15_000
  while ((await stage.page()).udp[name] < count) {
    if (performance.now() > deadline) throw new Error(`${name} is not ${count}`)
  }
}

/** A frame as the next number of the device would have it. */
function tempFrame(device: ScriptedDevice, value: number, kind: number = FrameClass.unreliable): Buffer {
  const record = val(0, LinkType.f32, value)
  const number = kind === FrameClass.reliable ? device.nextReliable++ : device.nextLossy++
  return Buffer.concat([Buffer.from([kind, ((number & 15) << 4) | device.expected]), record])
}

test('without the cookie round nothing begins, and the answer is no longer than the question', async (t) => {
  const stage = await Stage.start(t)
  const device = await open(stage, t)
  device.announce()
  const send = (...fields: Buffer[]) =>
    device.control(Control.announce, Buffer.concat([device.announcement(), ...fields]))
  for (let i = 1; i <= 50; i++) {
    send(device.wire.nonceField())
    await until(() => device.wire.challenges.length === i, 'CHALLENGE')
  }
  const question = Math.min(...device.wire.sent.slice(1).map(({ length }) => length))
  assert.ok(device.wire.challenges.every(({ length }) => length <= question))
  assert.equal(device.wire.received.length, 50)
  assert.equal(stage.firmware.hub.report().length, 0)
  const { udp } = await stage.page()
  assert.deepEqual([udp.challenges, udp.malformed], [50, 1])
})

test('a cookie counts only for the address and the nonces for which it was made', async (t) => {
  const stage = await Stage.start(t)
  const device = await open(stage, t)
  const announce = (from: ScriptedDevice<DatagramWire>, fields: Buffer) =>
    from.control(Control.announce, Buffer.concat([from.announcement(), fields]))
  announce(device, device.wire.nonceField())
  await until(() => device.wire.challenges.length === 1, 'CHALLENGE')
  const fields = device.wire.answerFields()
  const [{ hostNonce, cookie }] = device.wire.challenges
  // From another address, with another nonce of either side, with a cookie that is cut or made up.
  const stranger = await open(stage, t)
  announce(stranger, fields)
  await until(() => stranger.wire.challenges.length === 1, 'another CHALLENGE')
  const answer = (nonce: Buffer, made: Buffer, host: Buffer) =>
    Buffer.concat([field(Field.nonce, nonce), field(Field.cookie, made), field(Field.hostNonce, host)])
  const { nonce } = device.wire
  const wrong = [
    answer(randomBytes(8), cookie, hostNonce),
    answer(nonce, cookie, randomBytes(8)),
    answer(nonce, cookie.subarray(0, 7), hostNonce),
    answer(nonce, randomBytes(8), hostNonce),
    answer(nonce, Buffer.alloc(0), hostNonce),
    answer(nonce, cookie, hostNonce.subarray(1)),
  ]
  for (const [i, one] of wrong.entries()) {
    announce(device, one)
    await until(() => device.wire.challenges.length === i + 2, `CHALLENGE ${i}`)
  }
  assert.equal(stage.firmware.hub.report().length, 0)
  announce(device, fields)
  await until(() => device.welcomes.length === 1, 'WELCOME')
})

test('a device with the right key is served, and everything both ways is signed', async (t) => {
  const { client, device } = await joined(t, { keys: KEYS, requireKey: true }, { secret: SECRET })
  device.reliable(val(0, LinkType.f32, 21.5))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 21.5)
  client.set('/dev/node/led', bool(true))
  await until(() => device.of(1).length > 0, 'the write')
  assert.equal(device.wire.forged, 0)
})

test('a wrong key, no key, and a key where none is configured are refused, and said so once each', async (t) => {
  const stage = await Stage.start(t, { keys: KEYS, requireKey: true })
  const wrong = await open(stage, t, {}, { secret: randomBytes(32) })
  await assert.rejects(wrong.hello(), /BYE 3/)
  const none = await open(stage, t)
  await assert.rejects(none.hello(), /BYE 3/)
  const unknown = await open(stage, t, { uid: '0000000000000001' }, { secret: SECRET })
  await assert.rejects(unknown.hello(), /BYE 3/)
  assert.deepEqual(
    stage.logged('a device was refused').map(({ fields }) => fields.uid),
    [UID, UID, '0000000000000001'],
  )
  const { udp, devices } = await stage.page()
  assert.equal(udp.refused, 3)
  assert.deepEqual(devices, [])
})

test('a device without a key is served where none is required', async (t) => {
  const { stage } = await joined(t)
  const other = await open(stage, t, { uid: '00000000000000aa', name: 'other' })
  await other.join()
  assert.equal(stage.firmware.hub.report().length, 2)
})

test('unsigned, altered and foreign datagrams do not count, and the good one behind them does', async (t) => {
  const { client, device, counter } = await joined(t, { keys: KEYS }, { secret: SECRET })
  const unsigned = device.wire.encode(tempFrame(device, 1), { isSigned: false })
  const altered = device.wire.encode(tempFrame(device, 2))
  altered[altered.length - 10] ^= 1
  const cut = device.wire.encode(tempFrame(device, 3)).subarray(0, -1)
  const later = device.wire.encode(tempFrame(device, 4))
  later.writeUInt32BE(device.wire.counter + 1000, 6)
  for (const datagram of [unsigned, altered, cut, later]) device.wire.raw(datagram)
  await until(() => counter('forged') === 4, 'four forgeries')
  assert.equal(await paramOf(client, '/dev/node/temp'), undefined)
  device.wire.send(tempFrame(device, 5))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 5)
})

test('a datagram counts once, however often it comes', async (t) => {
  const { client, device, counter } = await joined(t)
  client.subscribe(1, '/dev/node/temp')
  await client.settle()
  const datagram = device.wire.encode(tempFrame(device, 1))
  for (let i = 0; i < 20; i++) device.wire.raw(datagram)
  await until(() => counter('replayed') === 19, 'nineteen replays')
  const seen = (await client.settle()).filter(({ type }) => type === 'SET')
  assert.equal(seen.length, 1)
})

test('reliable datagrams count up to 63 behind the newest, unreliable ones that were overtaken do not', async (t) => {
  const { client, device, counter } = await joined(t)
  const old = device.wire.encode(tempFrame(device, 1, FrameClass.reliable))
  const late = device.wire.encode(tempFrame(device, 2))
  device.wire.send(tempFrame(device, 3))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 3)
  device.wire.raw(late)
  await until(() => counter('late') === 1, 'a late one')
  assert.equal(plain(await paramOf(client, '/dev/node/temp')), 3)
  device.wire.raw(old)
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 1)
  const ancient = device.wire.encode(tempFrame(device, 4, FrameClass.reliable))
  device.nextReliable--
  for (let i = 0; i < 64; i++) device.wire.send(tempFrame(device, 10 + i))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 73)
  const before = counter('replayed')
  device.wire.raw(ancient)
  await until(() => counter('replayed') === before + 1, 'what is too old')
  assert.equal(plain(await paramOf(client, '/dev/node/temp')), 73)
})

test('a device whose address changes goes on, and is answered at its new one', async (t) => {
  const { client, device, counter, stage } = await joined(t, { keys: KEYS }, { secret: SECRET })
  const before = stage.device(UID)?.port
  await device.wire.move()
  device.reliable(val(0, LinkType.f32, 2))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 2)
  client.set('/dev/node/led', bool(true))
  await until(() => device.of(1).length > 0, 'the write at the new address')
  assert.equal(counter('moved'), 1)
  assert.notEqual(stage.device(UID)?.port, before)
  assert.equal(device.welcomes.length, 1)
})

test('what is not valid moves no address', async (t) => {
  const { client, device, counter, stage } = await joined(t, { keys: KEYS }, { secret: SECRET })
  const recorded = device.wire.sent.at(-1) as Buffer
  const thief = await open(stage, t)
  thief.wire.raw(recorded)
  await until(() => counter('replayed') > 0, 'the replay')
  client.set('/dev/node/led', bool(true))
  await until(() => device.of(1).length > 0, 'the write at the old address')
  assert.equal(counter('moved'), 0)
  assert.equal(thief.wire.received.length, 0)
})

test('a token that nobody has is ignored without an answer', async (t) => {
  const { device, stage } = await joined(t)
  const { length } = device.wire.received
  for (const token of [0, 1, 0xffffffff]) device.wire.raw(device.wire.encode(tempFrame(device, 1), { token }))
  await counted(stage, 'unknownToken', 3)
  assert.equal(device.wire.received.slice(length).filter((datagram) => datagram.length > 14).length, 0)
})

test('reliable data gets through a network that loses and reorders, in order and once', async (t) => {
  const { client, device } = await joined(t)
  client.subscribe(1, '/dev/node/button')
  await client.settle()
  let count = 0
  let held: Buffer[] = []
  const bad = (datagram: Buffer): readonly Buffer[] => {
    count++
    if (count % 3 === 0) return []
    if (count % 4 === 0) {
      held.push(datagram)
      return []
    }
    const out = [datagram, ...held]
    held = []
    return out
  }
  device.wire.incoming = bad
  for (let i = 1; i <= 60; i++) client.set('/dev/node/level', { type: 'i64', value: i })
  await until(() => plain(device.of(2).at(-1)?.value) === 60, 'the last value')
  const values = device.of(2).map(({ value }) => Number(plain(value)))
  assert.deepEqual(
    values,
    values.toSorted((a, b) => a - b),
  )
  for (let i = 1; i <= 20; i++)
    client.send({ type: 'PUBLISH', address: '/dev/node/button', signal: 'event', payload: { type: 'i64', value: i } })
  await until(() => device.of(3).length >= 20, 'twenty events')
  assert.deepEqual(
    device.of(3).map(({ value }) => plain(value)),
    Array.from({ length: 20 }, (_, i) => i + 1),
  )
})

test('a WELCOME that was lost is repeated to the same announcement, not to one that was recorded', async (t) => {
  const stage = await Stage.start(t)
  const device = await open(stage, t)
  let isLosing = true
  device.wire.incoming = (datagram) =>
    isLosing && datagram[10] === (FrameClass.control | Control.welcome) ? [] : [datagram]
  const send = (fields: Buffer) => device.control(Control.announce, Buffer.concat([device.announcement(), fields]))
  send(device.wire.nonceField())
  await until(() => device.wire.challenges.length === 1, 'CHALLENGE')
  const fields = device.wire.answerFields()
  send(fields)
  await until(() => device.wire.received.some((datagram) => datagram[10] === 0x83), 'the WELCOME that is lost')
  isLosing = false
  const recorded = device.wire.sent.at(-1) as Buffer
  device.wire.raw(recorded)
  await until(() => (stage.device(UID)?.counters.replayed ?? 0) === 1, 'the recorded one')
  assert.equal(device.welcomes.length, 0)
  send(fields)
  await until(() => device.welcomes.length === 1, 'WELCOME')
  await device.describe()
  await device.settled()
  await stage.is(UID, 'online')
})

test('an announcement that was recorded ends no session that began after it', async (t) => {
  const { device, stage } = await joined(t, { keys: KEYS }, { secret: SECRET })
  const recorded = device.wire.sent.findLast((datagram) => datagram[10] === ANNOUNCE) as Buffer
  device.wire.reboot()
  await device.join()
  await stage.is(UID, 'online')
  const count = device.welcomes.length
  device.wire.raw(recorded)
  await counted(stage, 'ignored', 1)
  assert.equal(device.welcomes.length, count)
  device.reliable(val(0, LinkType.f32, 1))
  await device.settled()
})

test('a device that starts over under its uid keeps its session at the router', async (t) => {
  const { device, stage } = await joined(t)
  const sessions = () => stage.router.sessionStatistics().filter(({ name }) => name === 'node')
  const [before] = sessions()
  device.wire.reboot()
  device.identity.bootNonce++
  const welcome = await device.join()
  assert.equal(welcome.isDescriptorKnown, true)
  assert.deepEqual(
    sessions().map(({ id }) => id),
    [before.id],
  )
})

test('datagrams of any content do no harm', async (t) => {
  const { device, stage, client } = await joined(t)
  for (let length = 0; length < 64; length++) {
    const datagram = randomBytes(length)
    if (length > 0) datagram[0] = 0x0c
    if (length > 1) datagram[1] = 0x10 | (length & 3)
    device.wire.raw(datagram)
    const frame = Buffer.concat([Buffer.from([FrameClass.unreliable, length << 4]), randomBytes(length)])
    device.wire.send(frame)
  }
  for (let subtype = 0; subtype < 16; subtype++) {
    // Goodbye is meant, and an announcement is another test.
    if (subtype === Control.bye) continue
    for (let length = 0; length < 24; length++) device.control(subtype, randomBytes(length))
  }
  device.reliable(val(0, LinkType.f32, 1))
  await device.settled()
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 1)
  await stage.is(UID, 'online')
})

test('a datagram larger than 1200 bytes is not taken', async (t) => {
  const { device, stage, client } = await joined(t)
  const before = (await stage.page()).udp.malformed
  device.lossy(...Array.from({ length: 210 }, () => val(0, LinkType.f32, 13)))
  await counted(stage, 'malformed', before + 1)
  device.reliable(val(0, LinkType.f32, 1))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 1)
})

test('the end of the router is told to devices on UDP', async (t) => {
  const { device, stage } = await joined(t)
  await stage.stop()
  await until(() => device.byes.length > 0, 'BYE')
  assert.deepEqual(device.byes, [ByeReason.shutdown])
})
