import assert from 'node:assert/strict'
import { scryptSync } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { WebSocket } from 'ws'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { AccessList } from '../../../runtime/bridges/mqtt-broker/access-list.ts'
import { parseConfig } from '../../../runtime/config/load.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'
import { certificates } from '../mqtt/certificates.ts'
import { CONNACK, CONNECT, CONNECT_5, NpmClient, RawClient, startBroker as start, webPages } from './broker-clients.ts'

const text = (value: string): Value => ({ type: 'string', value })
const int = (value: number): Value => ({ type: 'i64', value })

test('properties that are cut off, or come twice, end a connection and reach nobody', async (t) => {
  const { port, scene } = await start(t)
  const other = await NpmClient.open(t, port)
  await other.mqtt.subscribeAsync('#')
  // PUBLISH at `a`, payload `1`: a user property `a` without its value, two content types, a response topic cut off.
  for (const properties of ['04 26 0001 61', '08 03 0001 61 03 0001 62', '03 08 00ff', '03 09 00ff', '02 02 00']) {
    const body = `0001 61 ${properties} 31`.replaceAll(' ', '')
    const length = (body.length / 2).toString(16).padStart(2, '0')
    const client = await RawClient.open(t, port, CONNECT_5)
    await client.gets('20')
    client.say(`30 ${length} ${body}`)
    await client.gets('e0 02 81 00')
    await client.closes()
  }
  await other.mqtt.publishAsync('end', 'x', { qos: 1 })
  await other.hears('end')
  assert.equal(other.heard.length, 1)
  assert.equal(scene.param('/mqtt/a'), undefined)
})

test('addresses that are no topics stay in the router', async (t) => {
  const { port, scene } = await start(t)
  await scene.set('/mqtt/before+after', int(1))
  const client = await NpmClient.open(t, port)
  await client.mqtt.subscribeAsync('#', { qos: 1 })
  for (const address of ['/mqtt/a+b', '/mqtt/a%23b', '/mqtt/a%00b']) await scene.set(address, int(1))
  await scene.set('/mqtt/end', int(1))
  await client.hears('end')
  assert.deepEqual(
    client.heard.map(({ topic }) => topic),
    ['end'],
  )
})

test('all that is retained reaches who subscribes, however much it is', async (t) => {
  const { port, scene } = await start(t, ', maxQueued: 10')
  const payload = 'x'.repeat(1000)
  // More bytes than may be on their way, which is 1 MiB.
  const addresses = Array.from({ length: 1200 }, (_, i) => `/mqtt/d/${i}`)
  await Promise.all(addresses.map((address) => scene.set(address, text(payload))))
  for (const qos of [0, 1] as const) {
    const client = await NpmClient.open(t, port)
    await client.mqtt.subscribeAsync('d/#', { qos })
    await until(() => client.heard.length >= addresses.length, 'all of them')
    assert.equal(new Set(client.heard.map(({ topic }) => topic)).size, addresses.length)
  }
  assert.equal(scene.report('b').outDropped, 0)
})

test('a will is sent unless its client says goodbye with reason 0', async (t) => {
  const { port, scene } = await start(t)
  // Version 5, will `w` at topic `t`.
  const connect = '10 15 0004 4d515454 05 06 000a 00 0001 63 00 0001 74 0001 77'
  const polite = await RawClient.open(t, port, connect)
  await polite.gets('20')
  polite.say('e0 00')
  await polite.closes()
  await scene.settle()
  assert.equal(scene.param('/mqtt/t'), undefined)
  const troubled = await RawClient.open(t, port, connect)
  await troubled.gets('20')
  // DISCONNECT: protocol error.
  troubled.say('e0 02 82 00')
  assert.deepEqual(await scene.untilParam('/mqtt/t'), text('w'))
})

test('a session may not be prolonged by DISCONNECT, and no packet may be promised that cannot be', async (t) => {
  const { port } = await start(t)
  const client = await RawClient.open(t, port, CONNECT_5)
  await client.gets('20')
  // Session expiry 60 s, where CONNECT said none.
  client.say('e0 07 00 05 11 0000003c')
  await client.gets('e0 02 82 00')
  // Receive maximum 0, then maximum packet size 0.
  for (const properties of ['03 21 0000', '05 27 00000000']) {
    const body = `0004 4d515454 05 02 000a ${properties} 0001 63`.replaceAll(' ', '')
    const one = await RawClient.open(t, port, `10 ${(body.length / 2).toString(16).padStart(2, '0')} ${body}`)
    await one.closes()
  }
})

test('shared subscriptions pass over members that may not read, and cannot be without what is local', async (t) => {
  const users = 'users: [{name: full, password: p, read: [a/#], write: [a/#]}, {name: blind, password: p, read: [b/#]}]'
  const { port } = await start(t, `, ${users}`)
  const blind = await NpmClient.open(t, port, { username: 'blind', password: 'p' })
  await blind.mqtt.subscribeAsync('$share/g/a/#')
  const full = await NpmClient.open(t, port, { username: 'full', password: 'p' })
  await full.mqtt.subscribeAsync('$share/g/a/#')
  for (let i = 0; i < 4; i++) await full.mqtt.publishAsync(`a/${i}`, 'x', { qos: 1 })
  await full.hears('a/3')
  assert.equal(full.heard.length, 4)
  const raw = await RawClient.open(t, port, '10 17 0004 4d515454 05 c2 000a 00 0001 63 0004 66756c6c 0001 70')
  await raw.gets('20')
  // SUBSCRIBE to `$share/g/a` with No Local.
  raw.say('82 10 0001 00 000a 2473686172652f672f61 04')
  await raw.gets('e0 02 82 00')
})

test('a token is the password alone; who shows none may do what everybody may', async (t) => {
  const rights = 'tokens: [{token: t, read: [a], write: [a]}], anonymousRights: {read: [open], write: []}'
  const { port } = await start(t, `, ${rights}`)
  await assert.rejects(NpmClient.open(t, port, { username: 'any', password: 'wrong' }), /Bad User Name or Password/i)
  const kept = { clientId: 'same', clean: false, properties: { sessionExpiryInterval: 100 } }
  const holder = await NpmClient.open(t, port, { ...kept, username: 'any', password: 't' })
  await holder.mqtt.subscribeAsync('#', { qos: 1 })
  await holder.mqtt.publishAsync('a', '1', { qos: 1 })
  await assert.rejects(holder.mqtt.publishAsync('open', '1', { qos: 1 }), /Not authorized/)
  await holder.hears('a')
  const nobody = await NpmClient.open(t, port, kept)
  await nobody.mqtt.subscribeAsync('#', { qos: 1, rh: 2 })
  await assert.rejects(nobody.mqtt.publishAsync('a', '2', { qos: 1 }), /Not authorized/)
  assert.equal(nobody.heard.length, 0)
  const again = await NpmClient.open(t, port, { ...kept, username: 'other', password: 't' })
  await again.mqtt.publishAsync('a', '3', { qos: 1 })
  assert.equal(again.heard.length, 0, 'a session is for its owner')
})

test('an empty token, as of an empty file, is refused', async () => {
  const yaml = 'bridges:\n  - {id: b, kind: mqtt-broker, tokens: [{token: t}, {token: ""}]}\n'
  await assert.rejects(parseConfig(yaml, 'test.yaml'), /a token is empty/)
})

test('version 5 is told what the router refuses, and why; version 3.1.1 cannot be', async (t) => {
  const { port, scene } = await start(t)
  await scene.send({ type: 'SET', address: '/mqtt/a', value: int(1), lock: true })
  const client = await RawClient.open(t, port, CONNECT_5)
  await client.gets('20')
  // QoS 1 and 2 at `a`, which somebody else has locked, and at `b` in the same turn.
  client.say('32 07 0001 61 0001 00 39 34 07 0001 61 0002 00 39 34 07 0001 62 0003 00 39')
  await client.gets('40 03 0001 87 50 03 0002 87 50 02 0003')
  const old = await RawClient.open(t, port, CONNECT.replace('63', '64'))
  await old.gets(CONNACK)
  old.say('32 06 0001 61 0001 39')
  await old.gets('40 02 0001')
  assert.deepEqual(scene.param('/mqtt/a'), int(1))
})

test('the client id of another user gives nothing of its session', async (t) => {
  const users = 'users: [{name: one, password: p, read: [a], write: [a]}, {name: two, password: p}]'
  const { port, scene } = await start(t, `, ${users}`)
  const kept = { clientId: 'same', clean: false, properties: { sessionExpiryInterval: 100 } }
  const one = await NpmClient.open(t, port, { ...kept, username: 'one', password: 'p' })
  await one.mqtt.subscribeAsync('a', { qos: 1 })
  one.mqtt.stream.destroy()
  await until(() => scene.report('b').peers === 0, 'the end')
  await scene.set('/mqtt/a', text('secret'))
  // Version 5, not clean, user `two`.
  const body = '0004 4d515454 05 c0 000a 00 0004 73616d65 0003 74776f 0001 70'.replaceAll(' ', '')
  const two = await RawClient.open(t, port, `10 ${(body.length / 2).toString(16)} ${body}`)
  await two.gets('20')
  two.say('c0 00')
  await two.gets('d0 00')
  assert.ok(!two.received.includes(Buffer.from('secret').toString('hex')))
})

test('a flood right behind CONNECT is taken in its order, and others have their turn meanwhile', async (t) => {
  const { port, scene } = await start(t)
  const other = await RawClient.open(t, port, CONNECT.replace('63', '64'))
  await other.gets(CONNACK)
  const hex = (id: number) => id.toString(16).padStart(4, '0')
  const ids = Array.from({ length: 2500 }, (_, at) => hex(at + 1))
  const flood = await RawClient.open(
    t,
    port,
    CONNECT + ids.map((id) => `32 09 0001 61 ${id} 31 ${Buffer.from(id.slice(1)).toString('hex')}`).join(''),
  )
  other.say('c0 00')
  await other.gets('d0 00')
  await flood.gets(`40 02 ${ids[2499]}`)
  assert.equal(flood.received, `20020000${ids.map((id) => `4002${id}`).join('')}`)
  assert.equal(scene.heard.filter(({ address }) => address === '/mqtt/a').length, 2500)
})

test('who comes back gets no more at a time than it takes', async (t) => {
  const { port } = await start(t)
  const connect = (receiveMaximum: string) =>
    `10 16 0004 4d515454 05 00 000a 08 11 00000064 21 ${receiveMaximum} 0001 63`
  const first = await RawClient.open(t, port, connect('0003'))
  await first.gets('20')
  first.say('82 07 0001 00 0001 61 01')
  await first.gets('90')
  const other = await NpmClient.open(t, port)
  for (const n of ['1', '2', '3', '4']) await other.mqtt.publishAsync('a', n, { qos: 1 })
  await first.gets('32 07 0001 61 0003 00 33')
  const second = await RawClient.open(t, port, connect('0001'))
  await second.gets('3a 07 0001 61 0001 00 31')
  second.say('c0 00')
  await second.gets('d0 00')
  assert.ok(!second.received.includes('0001610002'))
  for (const [id, next] of [
    ['0001', '3a 07 0001 61 0002 00 32'],
    ['0002', '3a 07 0001 61 0003 00 33'],
    ['0003', '32 07 0001 61 0004 00 34'],
  ]) {
    second.say(`40 02 ${id}`)
    await second.gets(next)
  }
})

test('of its own messages a client gets what those subscriptions say that take them', async (t) => {
  const { port } = await start(t)
  const client = await NpmClient.open(t, port)
  await client.mqtt.subscribeAsync('a', { qos: 2, nl: true, properties: { subscriptionIdentifier: 1 } })
  await client.mqtt.subscribeAsync('#', { qos: 0, properties: { subscriptionIdentifier: 2 } })
  await client.mqtt.publishAsync('a', 'x', { qos: 2 })
  const { packet } = await client.hears('a')
  assert.deepEqual([packet.qos, packet.properties?.subscriptionIdentifier], [0, 2])
})

test('a topic that is not UTF-8 ends a connection, with properties too', async (t) => {
  const { port } = await start(t)
  for (const properties of ['00', '02 01 00']) {
    const client = await RawClient.open(t, port, CONNECT_5)
    await client.gets('20')
    // A surrogate.
    const body = `0003 eda080 ${properties} 31`.replaceAll(' ', '')
    client.say(`30 ${(body.length / 2).toString(16).padStart(2, '0')} ${body}`)
    await client.gets('e0 02 81 00')
  }
  const old = await RawClient.open(t, port, CONNECT)
  await old.gets(CONNACK)
  old.say('a2 05 0001 0001 61')
  await old.gets('b0 02 0001')
})

test('a crowd with one hashed password is let in by deriving it once', async () => {
  const salt = Buffer.from('0011223344556677', 'hex')
  const key = scryptSync('right', salt, 32).toString('hex')
  const password = `scrypt:${salt.toString('hex')}:${key}`
  const access = new AccessList({
    ...{ tokens: [], anonymous: undefined, anonymousRights: undefined },
    users: [{ name: 'u', password, read: [], write: [] }],
  })
  const started = performance.now()
  await access.identify('u', Buffer.from('wrong'))
  const onceMs = performance.now() - started
  const crowd = Array.from({ length: 40 }, () => access.identify('u', Buffer.from('right')))
  assert.ok((await Promise.all(crowd)).every((rights) => rights !== undefined))
  assert.ok(performance.now() - started < 20 * onceMs, 'far less than each for itself')
})

test('nothing outlives a stop: connections before their TLS handshake, and web pages', async (t) => {
  const { cert, key } = certificates(t)
  const [port, tlsPort] = [await freePort(), await freePort()]
  const scene = await BridgeScene.start(
    t,
    `- {id: b, kind: mqtt-broker, host: 127.0.0.1, listen: ${port}, tlsListen: ${tlsPort}, tlsCert: ${cert}, tlsKey: ${key}}`,
  )
  const { web, webPort } = await webPages(t, scene)
  const silent = await RawClient.open(t, tlsPort)
  const page = await connectAsync(`ws://127.0.0.1:${webPort}/mqtt`, { protocolVersion: 5, reconnectPeriod: 0 })
  t.after(() => page.endAsync(true))
  const upgraded = await new Promise<number>((resolve) => web.getConnections((_error, count) => resolve(count)))
  assert.equal(upgraded, 1)
  const started = performance.now()
  await scene.apply('[]')
  assert.ok(performance.now() - started < 1900, 'before the host gives up')
  await silent.closes()
  const left = await new Promise<number>((resolve) => web.getConnections((_error, count) => resolve(count)))
  assert.equal(left, 0)
})

test('a message of a WebSocket may have many packets, and is never text', async (t) => {
  const { scene } = await start(t, ', maxPacket: 1024')
  const { webPort } = await webPages(t, scene)
  const page = new WebSocket(`ws://127.0.0.1:${webPort}/mqtt`, 'mqtt')
  await once(page, 'open')
  // PUBLISH at `a`, `b` and `c`, 500 bytes each.
  const packets = ['61', '62', '63'].map((topic) => `30 f403 0001 ${topic} ${'39'.repeat(497)}`)
  page.send(Buffer.from(`${CONNECT}${packets.join('')}`.replaceAll(' ', ''), 'hex'))
  await scene.untilParam('/mqtt/c')
  page.send('\u0010')
  const [code] = await once(page, 'close')
  assert.equal(code, 1003)
})

test('a bridge of another broker, which says so by a bit of its version, is not told what it said', async (t) => {
  const { port } = await start(t)
  // Level 0x84, as bridges of mosquitto have it.
  const bridge = await RawClient.open(t, port, '10 0d 0004 4d515454 84 02 000a 0001 63')
  await bridge.gets(CONNACK)
  bridge.say('82 06 0001 0001 23 00')
  await bridge.gets('90 03 0001 00')
  bridge.say('32 06 0001 61 0005 39')
  await bridge.gets('40 02 0005')
  bridge.say('c0 00')
  await bridge.gets('d0 00')
  assert.ok(!bridge.received.includes('000161'))
})

test('QoS 2 goes on where it was after a lost connection; who is taken over is told, and who starts clean has nothing', async (t) => {
  const { port, scene } = await start(t)
  // Version 5, not clean, session expiry 100 s.
  const connect = '10 13 0004 4d515454 05 00 000a 05 11 00000064 0001 63'
  const first = await RawClient.open(t, port, connect)
  await first.gets('20 0e 00 00')
  first.say('34 07 0001 61 0007 00 39')
  await first.gets('50 02 0007')
  first.socket.destroy()
  await until(() => scene.report('b').peers === 0, 'the end')
  const second = await RawClient.open(t, port, connect)
  await second.gets('20 0e 01 00')
  second.say('3c 07 0001 61 0007 00 39')
  await second.gets('50 02 0007')
  second.say('62 02 0007')
  await second.gets('70 02 0007')
  second.say('62 02 0007')
  // Packet identifier not found.
  await second.gets('70 03 0007 92')
  assert.equal(scene.heard.filter(({ address }) => address === '/mqtt/a').length, 1)
  const third = await RawClient.open(t, port, CONNECT_5)
  await second.gets('e0 02 8e 00')
  await second.closes()
  await third.gets('20 0e 00 00')
})
