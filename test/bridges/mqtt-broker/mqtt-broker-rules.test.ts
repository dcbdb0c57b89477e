import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { until } from '../../until.ts'
import { CONNACK, CONNECT, CONNECT_5, NpmClient, RawClient, startBroker as start } from './broker-clients.ts'

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
  for (let i = 0; i < 2500; i++) {
    await scene.set(`/mqtt/d/${i}`, text(payload))
  }
  for (const qos of [0, 1] as const) {
    const client = await NpmClient.open(t, port)
    await client.mqtt.subscribeAsync('d/#', { qos })
    await until(() => client.heard.length >= 2500, `all, only ${client.heard.length}`, 5000)
    assert.equal(new Set(client.heard.map(({ topic }) => topic)).size, 2500)
  }
  assert.equal(scene.report('b').outDropped, 0)
})

test('a will is sent unless its client says goodbye with reason 0', async (t) => {
  const { port, scene } = await start(t)
  // Version 5, will `w` at topic `t`.
  const connect = '10 14 0004 4d515454 05 06 000a 00 0001 63 00 0001 74 0001 77'
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
    await one.gets('20 03 00 82 00')
    await one.closes()
  }
})

test('shared subscriptions pass over members that may not read, and cannot be without what is local', async (t) => {
  const users =
    'users: [{name: full, password: p, read: [a/#], write: [a/#]}, {name: blind, password: p, read: [b/#]}]'
  const { port } = await start(t, `, ${users}`)
  const blind = await NpmClient.open(t, port, { username: 'blind', password: 'p' })
  await blind.mqtt.subscribeAsync('$share/g/a/#')
  const full = await NpmClient.open(t, port, { username: 'full', password: 'p' })
  await full.mqtt.subscribeAsync('$share/g/a/#')
  for (let i = 0; i < 4; i++) await full.mqtt.publishAsync(`a/${i}`, 'x', { qos: 1 })
  await full.hears('a/3')
  assert.equal(full.heard.length, 4)
  const raw = await RawClient.open(t, port, `10 14 0004 4d515454 05 c2 000a 00 0001 63 0004 66756c6c 0001 70`)
  await raw.gets('20')
  // SUBSCRIBE to `$share/g/a` with No Local.
  raw.say('82 10 0001 00 000a 2473686172652f672f61 04')
  await raw.gets('e0 02 82 00')
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
