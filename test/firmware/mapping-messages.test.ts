import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ExtendedBit, LinkType, Op, TimeKind } from '../../firmware-protocol/link/constants.ts'
import { encodeMessage } from '../../firmware-protocol/wire/encode-message.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { bool, float, int, type Peer, text } from '../router/fixture.ts'
import { until } from '../until.ts'
import { paramOf, plain, untilParam } from './fixture.ts'
import { block, describing, event, gesture, get, stream, sub, time, tunnel, unsub, val } from './records.ts'
import { declaring, got, scene, told } from './scene.ts'

test('events of a device reach clients with their value and without', async (t) => {
  const { device, client } = await scene(t)
  client.subscribe(1, '/dev/node/**')
  await client.settle()
  device.reliable(event(3), event(3, LinkType.i16, -5))
  const first = await told(client, 'PUBLISH')
  const second = await told(client, 'PUBLISH')
  assert.deepEqual(
    [first.address, first.signal, first.payload ?? first.value],
    ['/dev/node/button', 'event', undefined],
  )
  assert.equal(plain(second.payload ?? second.value), -5)
})

test('events of clients reach the device: without value, with one, with one that it cannot take', async (t) => {
  const { device, client } = await scene(t, {
    descriptor: describing([
      { id: 3, type: LinkType.null, address: 'button', kind: 'event', isWritable: true },
      { id: 200, type: LinkType.i16, address: 'step', kind: 'event', isWritable: true },
    ]),
  })
  const publish = (address: string, value?: Parameters<Peer['set']>[1]) =>
    client.send({ type: 'PUBLISH', address, signal: 'event', ...(value !== undefined && { payload: value }) })
  publish('/dev/node/button')
  publish('/dev/node/button', int(4))
  publish('/dev/node/button', { type: 'map', value: [['a', int(1)]] })
  publish('/dev/node/button', { type: 'array', value: [int(1)] })
  publish('/dev/node/step', float(99_999))
  publish('/dev/node/step', text('x'.repeat(2000)))
  await got(device, 3, 4)
  await got(device, 200, 2)
  const seen = (id: number) => device.of(id).map(({ op, value }) => [op, plain(value)])
  assert.deepEqual(seen(3), [
    [Op.event, null],
    [Op.event, 4],
    [Op.event, null],
    [Op.event, null],
  ])
  assert.deepEqual(seen(200), [
    [Op.event, 32_767],
    [Op.event, null],
  ])
  assert.ok(device.records.every(({ isReliable }) => isReliable))
})

test('streams reach clients one by one and as blocks with their rate', async (t) => {
  const { device, client } = await scene(t)
  client.subscribe(1, '/dev/node/wave')
  await client.settle()
  device.lossy(stream(4, LinkType.i16, 5))
  const one = await told(client, 'PUBLISH')
  assert.deepEqual([one.signal, plain(one.value)], ['stream', 5])
  device.lossy(block(4, LinkType.i16, 100, [1, -2, 3]))
  const many = await told(client, 'PUBLISH')
  assert.deepEqual([many.signal, many.samples, many.rate], ['stream', [1, -2, 3], 1000])
  device.lossy(block(4, LinkType.true, 0, [1, 1]))
  const bits = await told(client, 'PUBLISH')
  assert.deepEqual([bits.samples, bits.rate], [[1, 1], undefined])
})

test('a stream of a client reaches the device as what may be lost', async (t) => {
  const { device, client } = await declaring(t, {
    id: 7,
    type: LinkType.f32,
    address: 'meter',
    kind: 'stream',
    isWritable: true,
  })
  client.send({ type: 'PUBLISH', address: '/dev/node/meter', signal: 'stream', value: float(0.5) })
  const record = await got(device, 7)
  assert.deepEqual([record.op, record.isReliable, plain(record.value)], [Op.stream, false, 0.5])
  client.send({ type: 'PUBLISH', address: '/dev/node/meter', signal: 'stream', samples: [1, 2, 3], rate: 10 })
  assert.equal(plain((await got(device, 7, 2)).value), 3)
})

test('gestures keep their phase and number both ways', async (t) => {
  const { device, client } = await declaring(t, {
    id: 0,
    type: LinkType.f32,
    address: 'pad',
    kind: 'gesture',
    isWritable: true,
  })
  client.subscribe(1, '/dev/node/pad')
  await client.settle()
  device.reliable(gesture(0, 0, 9, LinkType.f32, 0.5), gesture(0, 2, 9))
  const start = await told(client, 'PUBLISH')
  const end = await told(client, 'PUBLISH')
  assert.deepEqual([start.phase, start.id, plain(start.value ?? start.payload)], ['start', 9, 0.5])
  assert.deepEqual([end.phase, end.id], ['end', 9])
  const publish = (phase: 'start' | 'cancel') =>
    client.send({ type: 'PUBLISH', address: '/dev/node/pad', signal: 'gesture', phase, id: 3, payload: float(1) })
  publish('start')
  publish('cancel')
  await got(device, 0, 2)
  assert.deepEqual(
    device.of(0).map((record) => [record.op, record.phase, record.gesture]),
    [
      [Op.gesture, 0, 3],
      [Op.gesture, 3, 3],
    ],
  )
})

test('the rest of a frame behind TIME is one bundle, of which all counts or nothing', async (t) => {
  const { device, client } = await scene(t)
  client.subscribe(1, '/dev/node/**')
  await client.settle()
  device.reliable(time(TimeKind.bundle), val(0, LinkType.f32, 1.5), val(1, LinkType.true), event(3))
  const seen: unknown[] = []
  await client.until(() => {
    for (const message of client.inbox.splice(0)) {
      for (const part of message.type === 'BUNDLE' ? message.messages : [message]) {
        if (part.type === 'SET') seen.push([part.address, plain(part.value)])
        if (part.type === 'PUBLISH') seen.push([part.address, part.signal])
      }
    }
    return seen.length === 3
  }, 'three messages')
  assert.deepEqual(seen, [
    ['/dev/node/temp', 1.5],
    ['/dev/node/led', true],
    ['/dev/node/button', 'event'],
  ])
  client.set('/dev/node/led', bool(true), { lock: true })
  await client.settle()
  device.reliable(time(TimeKind.bundle), val(0, LinkType.f32, 9), val(1, LinkType.false))
  await device.settled()
  await client.settle()
  assert.equal(plain(await paramOf(client, '/dev/node/temp')), 1.5)
})

test('a bundle at a time is carried out then', async (t) => {
  const { device, client, stage } = await scene(t)
  const at = Date.now() + 300
  device.reliable(time(TimeKind.bundleAt, BigInt(at) * 1000n), val(0, LinkType.f32, 4))
  await device.settled()
  await until(() => stage.router.statistics.scheduledBundles === 1, 'a bundle that waits')
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 4)
  assert.ok(Date.now() >= at, 'not before its time')
})

test('a time that no clock has does no harm', async (t) => {
  const { device, client } = await scene(t)
  for (const us of [0n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    device.reliable(time(TimeKind.at, us), event(3), stream(4, LinkType.i16, 1))
    device.reliable(time(TimeKind.bundleAt, us), val(0, LinkType.f32, 4))
  }
  device.reliable(time(TimeKind.sampled, 2 ** 32 - 1), val(0, LinkType.f32, 5))
  await device.settled()
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 5)
})

test('GET is answered with the value that the router holds, and with nothing when it has none', async (t) => {
  const { device, client } = await scene(t)
  device.reliable(get(2), get(1), get(500))
  await device.settled()
  client.set('/dev/node/led', bool(true))
  await got(device, 1)
  device.reliable(get(1))
  const answer = await got(device, 1, 2)
  assert.deepEqual([answer.op, answer.flags, plain(answer.value)], [Op.extended, ExtendedBit.initial, true])
  assert.equal(device.of(2).length, 0)
})

test('a pattern of the device brings the addresses that match, each declared first', async (t) => {
  const { device, client } = await scene(t)
  client.set('/show/speed', float(0.5))
  client.set('/show/title', text('one'))
  await client.settle()
  device.reliable(sub(1, '/show/*'))
  const named = () =>
    device.records.filter(({ op }) => op === Op.declare).map(({ declaration }) => declaration?.address)
  await until(() => named().length === 2, 'two declarations')
  assert.deepEqual(named().toSorted(), ['/show/speed', '/show/title'])
  const idOf = (address: string) =>
    device.records.findLast(({ declaration }) => declaration?.address === address)?.declaration?.id ?? -1
  const speed = idOf('/show/speed')
  assert.ok(speed >= 16_384)
  await until(() => device.of(speed).some(({ value }) => plain(value) === 0.5), 'its value')
  client.set('/show/speed', float(0.75))
  await until(() => device.of(speed).some(({ value }) => plain(value) === 0.75), 'its next value')
  client.send({ type: 'PUBLISH', address: '/show/go', signal: 'event' })
  await until(() => named().includes('/show/go'), 'the event')
  await until(() => device.of(idOf('/show/go')).some(({ op }) => op === Op.event), 'the event itself')
  device.reliable(unsub(1))
  await device.settled()
  const before = device.of(speed).length
  client.set('/show/speed', float(1))
  client.set('/dev/node/led', bool(true))
  await got(device, 1)
  assert.equal(device.of(speed).length, before)
})

test('a pattern with a rate brings fewer values, the last one among them', async (t) => {
  const { device, client } = await scene(t)
  device.reliable(sub(1, '/fast', 10))
  await device.settled()
  for (let i = 1; i <= 50; i++) {
    client.set('/fast', int(i))
    await client.settle()
  }
  const values = () => device.records.filter(({ id, op }) => id >= 16_384 && op !== Op.declare)
  await until(() => values().some(({ value }) => plain(value) === 50), 'the last value')
  assert.ok(values().length < 40, `${values().length} of 50`)
})

test('a CLASP message in a record counts when a device may send it, else it is refused', async (t) => {
  const { device, client, stage } = await scene(t)
  const send = (message: Message) => device.reliable(tunnel(encodeMessage(message)))
  send({ type: 'SET', address: '/a/name', value: { type: 'map', value: [['x', int(1)]] } })
  const map = await untilParam(client, '/a/name', (value) => value !== undefined)
  assert.equal(map.type, 'map')
  client.subscribe(1, '/a/**')
  await client.settle()
  send({ type: 'PUBLISH', address: '/a/cue', signal: 'event' })
  assert.equal((await told(client, 'PUBLISH')).address, '/a/cue')
  const before = stage.device(device.identity.uid)?.counters.refused ?? 0
  send({ type: 'HELLO', version: 1, features: [], name: 'somebody else' })
  send({ type: 'SUBSCRIBE', id: 1, pattern: '/**', types: [] })
  send({ type: 'ANNOUNCE', namespace: '/x', signals: [] })
  send({ type: 'BUNDLE', messages: [{ type: 'GET', address: '/a/name' }] })
  device.reliable(tunnel(new Uint8Array(0)))
  device.reliable(tunnel(new Uint8Array([0x21, 0xff, 0xff])))
  await device.settled()
  const refused = () => (stage.device(device.identity.uid)?.counters.refused ?? 0) - before
  await until(() => refused() >= 4, 'refusals')
  client.set('/dev/node/led', bool(true))
  await got(device, 1)
})

test('a device that forgets its patterns when it starts over gets nothing for them any more', async (t) => {
  const { device, client } = await scene(t)
  device.reliable(sub(1, '/show/**'))
  await device.settled()
  client.set('/show/a', int(1))
  await until(() => device.records.some(({ op }) => op === Op.declare), 'the match')
  device.wire.reboot()
  await device.join()
  const before = device.records.length
  client.set('/show/a', int(2))
  client.set('/show/b', int(2))
  client.set('/dev/node/led', bool(true))
  await until(() => device.of(1).length > 0, 'what the device declared')
  assert.deepEqual(
    device.records.slice(before).map(({ id }) => id),
    [1],
  )
})

test('a record that fits into no frame of the device does not hold up the next one', async (t) => {
  const { device, client, stage } = await scene(t, { mru: 64 })
  device.reliable(sub(1, '/show/**'))
  await device.settled()
  client.set(`/show/${'long'.repeat(20)}`, int(1))
  client.send({ type: 'PUBLISH', address: '/dev/node/button', signal: 'event', payload: text('x'.repeat(100)) })
  client.send({ type: 'PUBLISH', address: '/dev/node/button', signal: 'event', payload: int(7) })
  assert.equal(plain((await got(device, 3)).value), 7)
  assert.ok((stage.device(device.identity.uid)?.counters.inconvertible ?? 0) >= 2)
  assert.ok(device.frames.every(({ body }) => body.length <= 60))
})
