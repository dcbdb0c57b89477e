import assert from 'node:assert/strict'
import { scryptSync } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectSocket, type Socket } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { connectAsync, type IClientOptions } from 'mqtt'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { CONNACK, CONNECT, CONNECT_5, NpmClient, RawClient, startBroker as start, webPages } from './broker-clients.ts'

const text = (value: string): Value => ({ type: 'string', value })
const int = (value: number): Value => ({ type: 'i64', value })

test('the handshake of QoS 2 is complete in both directions, byte by byte', async (t) => {
  const { port, scene } = await start(t)
  const client = await RawClient.open(t, port, CONNECT)
  await client.gets(CONNACK)
  client.say('82 06 0001 0001 61 02')
  await client.gets('90 03 0001 02')
  client.say('34 06 0001 61 0007 39')
  await client.gets('50 02 0007')
  assert.deepEqual(scene.param('/mqtt/a'), int(9), 'PUBREC comes when the router has it')
  await client.gets('34 06 0001 61 0001 39')
  // Again, as one that lost PUBREC: it is not published twice.
  client.say('3c 06 0001 61 0007 39')
  client.say('62 02 0007')
  await client.gets('70 02 0007')
  client.say('50 02 0001')
  await client.gets('62 02 0001')
  client.say('70 02 0001')
  client.say('c0 00')
  await client.gets('d0 00')
  assert.equal(scene.heard.filter(({ address }) => address === '/mqtt/a').length, 1)
})

test('what clients of the router set, and what clients of MQTT publish, is one order for all', async (t) => {
  const { port, scene } = await start(t)
  const [one, two] = [await NpmClient.open(t, port), await NpmClient.open(t, port, { protocolVersion: 4 })]
  await two.mqtt.subscribeAsync('a/#')
  for (let i = 0; i < 5; i++) {
    await one.mqtt.publishAsync('a/x', `{"n": ${i}}`, { qos: 1 })
    await scene.set('/mqtt/a/x', int(i))
  }
  await two.hears('a/x', 10)
  assert.deepEqual(
    two.heard.map(({ text: payload }) => payload),
    [0, 1, 2, 3, 4].flatMap((n) => [`{"n": ${n}}`, String(n)]),
  )
  assert.equal(scene.report('b').peers, 2)
})

test('signals are params, or with signalMode retain those that are retained; events are not kept', async (t) => {
  const { port, scene } = await start(t, ', signalMode: retain')
  const client = await NpmClient.open(t, port)
  await client.mqtt.subscribeAsync({ 'a/#': { qos: 1, rap: true } })
  await client.mqtt.publishAsync('a/state', 'on', { qos: 1, retain: true })
  await client.mqtt.publishAsync('a/press', 'once', { qos: 1 })
  await scene.event('/mqtt/a/go', text('now'))
  await client.hears('a/go')
  assert.deepEqual(
    client.heard.map(({ topic, packet }) => [topic, packet.retain]),
    [
      ['a/state', true],
      ['a/press', false],
      ['a/go', false],
    ],
  )
  assert.deepEqual(
    scene.heard.filter(({ address }) => address.startsWith('/mqtt')).map(({ signal, address }) => [signal, address]),
    [
      ['param', '/mqtt/a/state'],
      ['event', '/mqtt/a/press'],
    ],
  )
  const late = await NpmClient.open(t, port)
  await late.mqtt.subscribeAsync('#')
  assert.equal((await late.hears('a/state')).packet.retain, true)
  assert.equal(late.heard.length, 1)
})

test('Tasmota, Zigbee2MQTT and Home Assistant find what they are used to', async (t) => {
  const { port, scene } = await start(t)
  const will = { topic: 'tele/plug/LWT', payload: Buffer.from('Offline'), retain: true, qos: 1 as const }
  const plug = await NpmClient.open(t, port, { protocolVersion: 4, clientId: 'DVES_1', will })
  await plug.mqtt.publishAsync('tele/plug/LWT', 'Online', { retain: true })
  await plug.mqtt.subscribeAsync('cmnd/plug/#')
  const energy = '{"Time":"2024-01-01T00:00:00","ENERGY":{"Power":12.0,"Voltage":230}}'
  await plug.mqtt.publishAsync('tele/plug/SENSOR', energy)
  await plug.mqtt.publishAsync('zigbee2mqtt/bridge/state', '{"state":"online"}', { retain: true })
  await plug.mqtt.publishAsync('homeassistant/switch/plug/config', '{"name":"Plug"}', { retain: true, qos: 1 })
  const power = await scene.untilParam('/mqtt/tele/plug/SENSOR')
  assert.deepEqual(power.type === 'map' && power.value[1][1], {
    type: 'map',
    value: [
      ['Power', { type: 'f64', value: 12 }],
      ['Voltage', int(230)],
    ],
  })
  await scene.set('/mqtt/cmnd/plug/POWER', text('ON'))
  assert.equal((await plug.hears('cmnd/plug/POWER')).text, 'ON')
  const home = await NpmClient.open(t, port)
  await home.mqtt.subscribeAsync(['homeassistant/#', 'tele/+/LWT', 'zigbee2mqtt/bridge/state'])
  for (const topic of ['homeassistant/switch/plug/config', 'zigbee2mqtt/bridge/state']) {
    assert.equal((await home.hears(topic)).packet.retain, true)
  }
  assert.equal((await home.hears('tele/plug/LWT')).text, 'Online')
  plug.mqtt.stream.destroy()
  assert.equal((await home.hears('tele/plug/LWT', 2)).text, 'Offline')
  assert.deepEqual(scene.param('/mqtt/tele/plug/LWT'), text('Offline'))
})

test('a client id that comes again takes over, with the session and what was not acknowledged', async (t) => {
  const { port } = await start(t)
  // Version 3.1.1, not clean.
  const connect = '10 0d 0004 4d515454 04 00 000a 0001 63'
  const first = await RawClient.open(t, port, connect)
  await first.gets('20 02 00 00')
  first.say('82 06 0001 0001 61 01')
  await first.gets('90 03 0001 01')
  const other = await NpmClient.open(t, port)
  await other.mqtt.publishAsync('a', 'x', { qos: 1 })
  await first.gets('32 06 0001 61 0001 78')
  const second = await RawClient.open(t, port, connect)
  await first.closes()
  await second.gets('20 02 01 00')
  await second.gets('3a 06 0001 61 0001 78')
})

test('shared subscriptions divide messages, others get them all', async (t) => {
  const { port } = await start(t)
  const members = [await NpmClient.open(t, port), await NpmClient.open(t, port)]
  for (const { mqtt } of members) await mqtt.subscribeAsync('$share/g/job/+')
  const all = await NpmClient.open(t, port)
  await all.mqtt.subscribeAsync('job/#', { qos: 2 })
  for (let i = 0; i < 6; i++) await all.mqtt.publishAsync(`job/${i}`, 'x', { qos: 2 })
  await until(() => all.heard.length === 6 && members[0].heard.length + members[1].heard.length === 6, 'six messages')
  assert.deepEqual(
    members.map(({ heard }) => heard.length),
    [3, 3],
  )
})

test('version 5: no local, subscription identifiers, retain handling, aliases, limits and an id for the nameless', async (t) => {
  const { port } = await start(t)
  const nameless = await RawClient.open(t, port, '10 0d 0004 4d515454 05 02 000a 00 0000')
  // Assigned client identifier, 21 characters.
  await nameless.gets(`12 0015 ${Buffer.from('auto-').toString('hex')}`)
  const client = await NpmClient.open(t, port, { autoAssignTopicAlias: true })
  await client.mqtt.subscribeAsync('own', { qos: 0, nl: true })
  await client.mqtt.subscribeAsync('a/#', { qos: 1, properties: { subscriptionIdentifier: 7 } })
  await client.mqtt.publishAsync('own', 'x')
  for (const n of [1, 2, 3]) await client.mqtt.publishAsync('a/b', String(n), { qos: 1 })
  const { packet } = await client.hears('a/b', 3)
  assert.equal(packet.properties?.subscriptionIdentifier, 7)
  assert.equal(client.heard.length, 3)
  const late = await NpmClient.open(t, port, { properties: { maximumPacketSize: 100 } })
  await late.mqtt.subscribeAsync('a/b', { qos: 0, rh: 2 })
  await client.mqtt.publishAsync('a/b', 'y'.repeat(200))
  await client.mqtt.publishAsync('a/b', 'z')
  assert.equal((await late.hears('a/b')).text, 'z')
})

test('users have their passwords, and read and write what they may', async (t) => {
  const key = scryptSync('right', Buffer.from('0011223344556677', 'hex'), 32).toString('hex')
  const users = `users: [{name: sensor, password: s3, write: [tele/#]}, {name: panel, password: p, read: [tele/+], write: [cmnd/#]}, {name: hashed, password: "scrypt:0011223344556677:${key}"}]`
  const { port, scene } = await start(t, `, ${users}`)
  await assert.rejects(NpmClient.open(t, port), /Not authorized/)
  await assert.rejects(NpmClient.open(t, port, { username: 'sensor', password: 'wrong' }), /Bad User Name or Password/i)
  await assert.rejects(NpmClient.open(t, port, { username: 'hashed', password: 'wrong' }), /Bad User Name or Password/i)
  await NpmClient.open(t, port, { username: 'hashed', password: 'right' })
  const panel = await NpmClient.open(t, port, { username: 'panel', password: 'p' })
  await panel.mqtt.subscribeAsync('#')
  const sensor = await NpmClient.open(t, port, { username: 'sensor', password: 's3' })
  await sensor.mqtt.publishAsync('tele/deep/er', '1', { qos: 1 })
  await sensor.mqtt.publishAsync('tele/x', '1', { qos: 1 })
  await assert.rejects(sensor.mqtt.publishAsync('cmnd/x', '1', { qos: 1 }), /Not authorized/)
  await panel.hears('tele/x')
  assert.equal(panel.heard.length, 1)
  assert.equal(scene.param('/mqtt/cmnd/x'), undefined)
})

test('silence for more than one and a half keep-alives, and no CONNECT in ten seconds, end a connection', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await start(t, '', { clock })
  const silent = await RawClient.open(t, port)
  // Keep-alive 10 s, will `w` at topic `t`.
  const client = await RawClient.open(t, port, '10 13 0004 4d515454 04 06 000a 0001 63 0001 74 0001 77')
  await client.gets(CONNACK)
  clock.advance(9000)
  await scene.settle()
  assert.ok(!silent.isClosed && !client.isClosed)
  clock.advance(2000)
  await silent.closes()
  client.say('c0 00')
  await client.gets('d0 00')
  clock.advance(14_000)
  await scene.settle()
  assert.ok(!client.isClosed)
  clock.advance(3000)
  await client.closes()
  assert.deepEqual(await scene.untilParam('/mqtt/t'), text('w'))
})

test('a will waits for its delay, and a client that comes back takes it away', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await start(t, '', { clock })
  const options = (topic: string): IClientOptions => ({
    clientId: topic,
    clean: false,
    keepalive: 0,
    properties: { sessionExpiryInterval: 100 },
    will: { topic, payload: Buffer.from('gone'), properties: { willDelayInterval: 30 } },
  })
  const [back, away] = [await NpmClient.open(t, port, options('back')), await NpmClient.open(t, port, options('away'))]
  back.mqtt.stream.destroy()
  away.mqtt.stream.destroy()
  await until(() => scene.report('b').peers === 0, 'the ends')
  clock.advance(20_000)
  await NpmClient.open(t, port, options('back'))
  clock.advance(12_000)
  await scene.untilParam('/mqtt/away')
  assert.equal(scene.param('/mqtt/back'), undefined)
})

test('what comes before CONNECT, a version of the future and a packet too long are refused with a reason', async (t) => {
  const { port, scene } = await start(t, ', maxPacket: 1024')
  const early = await RawClient.open(t, port, 'c0 00')
  await early.closes()
  const future = await RawClient.open(t, port, '10 0d 0004 4d515454 09 02 000a 0001 63')
  await future.gets('20 02 00 01')
  await future.closes()
  const nameless = await RawClient.open(t, port, '10 0c 0004 4d515454 04 00 000a 0000')
  await nameless.gets('20 02 00 02')
  const long = await RawClient.open(t, port, CONNECT_5)
  await long.gets('20')
  long.say('30 ff ff 7f')
  // DISCONNECT: packet too large.
  await long.gets('e0 02 95 00')
  await long.closes()
  const http = await RawClient.open(t, port, Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex'))
  await http.closes()
  const wild = await RawClient.open(t, port, `${CONNECT_5} 30 06 0001 23 00 7878`)
  await wild.gets('e0 02 90 00')
  assert.ok(scene.report('b').inDropped >= 5)
})

test('deep and long topics are refused, acknowledged and counted', async (t) => {
  const { port, scene } = await start(t)
  const client = await NpmClient.open(t, port)
  await assert.rejects(client.mqtt.publishAsync('a/'.repeat(50), 'x', { qos: 1 }), /Topic Name invalid/i)
  await assert.rejects(client.mqtt.publishAsync('y'.repeat(5000), 'x', { qos: 1 }), /Topic Name invalid/i)
  await client.mqtt.publishAsync('a', 'x', { qos: 1 })
  assert.equal(scene.report('b').inDropped, 2)
})

test('a message that is too long for the router is one for clients of MQTT, retained or not', async (t) => {
  const { port, scene } = await start(t)
  const client = await NpmClient.open(t, port)
  const devices = `["${'x'.repeat(200_000)}"]`
  await client.mqtt.publishAsync('zigbee2mqtt/bridge/devices', devices, { qos: 1, retain: true })
  const late = await NpmClient.open(t, port)
  await late.mqtt.subscribeAsync('zigbee2mqtt/#')
  const { text: payload, packet } = await late.hears('zigbee2mqtt/bridge/devices')
  assert.equal(payload, devices)
  assert.equal(packet.retain, true)
  assert.match(scene.report('b').lastError, /too long for the router/)
  await client.mqtt.publishAsync('zigbee2mqtt/bridge/devices', '', { qos: 1, retain: true })
  const later = await NpmClient.open(t, port)
  await client.mqtt.publishAsync('zigbee2mqtt/end', '1', { qos: 1, retain: true })
  await later.mqtt.subscribeAsync('#')
  await later.hears('zigbee2mqtt/end')
  assert.equal(later.heard.length, 1)
})

test('more clients than there may be are told so, and a port that is taken names who has it', async (t) => {
  const { port, scene } = await start(t, ', maxClients: 1')
  const first = await RawClient.open(t, port, CONNECT)
  await first.gets(CONNACK)
  const second = await RawClient.open(t, port, '10 0d 0004 4d515454 04 02 000a 0001 64')
  await second.gets('20 02 00 03')
  await second.closes()
  const idle = await Promise.all(Array.from({ length: 80 }, () => RawClient.open(t, port)))
  await until(() => idle.some(({ isClosed }) => isClosed), 'a connection that is one too many')
  const other = await BridgeScene.start(t, `- {id: c, kind: mqtt-broker, listen: ${port}, host: 127.0.0.1}`)
  assert.match(other.report('c').reason, new RegExp(`TCP port ${port} at 127.0.0.1 is in use by`))
  assert.equal(scene.report('b').peers, 1)
})

test('a subscriber that does not read costs a bounded queue, and then has the last value', async (t) => {
  const { port, scene } = await start(t, ', maxQueued: 10')
  const slow = await RawClient.open(t, port, CONNECT)
  await slow.gets(CONNACK)
  slow.say('82 06 0001 0001 61 00')
  await slow.gets('90 03 0001 00')
  slow.socket.pause()
  const client = await NpmClient.open(t, port)
  const payload = 'x'.repeat(60_000)
  for (let i = 0; i < 200; i++) await client.mqtt.publishAsync('a', `${payload}${i}`, { qos: 1 })
  slow.socket.resume()
  await slow.gets(Buffer.from('x199').toString('hex'))
  const deliveries = slow.received.split(Buffer.from('xxxx').toString('hex').repeat(1000)).length
  assert.ok(deliveries > 1)
  assert.equal(scene.report('b').state, 'running')
})

test('an unsubscribed client hears no more; $SYS says who is there', async (t) => {
  const { port } = await start(t)
  const client = await NpmClient.open(t, port)
  await client.mqtt.subscribeAsync(['a', '$SYS/#'])
  assert.equal((await client.hears('$SYS/broker/clients/connected')).text, '1')
  await client.mqtt.publishAsync('a', '1', { qos: 1 })
  await client.mqtt.unsubscribeAsync('a')
  await client.mqtt.publishAsync('a', '2', { qos: 1 })
  assert.equal(client.heard.filter(({ topic }) => topic === 'a').length, 1)
})

test('MQTT over WebSocket is at the port of the router', async (t) => {
  const { port, scene } = await start(t)
  const { webPort } = await webPages(t, scene)
  const page = await connectAsync(`ws://127.0.0.1:${webPort}/mqtt`, { protocolVersion: 5, reconnectPeriod: 0 })
  t.after(() => page.endAsync(true))
  const client = await NpmClient.open(t, port)
  await client.mqtt.subscribeAsync('#', { qos: 2 })
  await page.publishAsync('from/page', 'x'.repeat(100_000), { qos: 2 })
  assert.equal((await client.hears('from/page')).text.length, 100_000)
})

test('any bytes end a connection at worst', async (t) => {
  const { port, scene } = await start(t, ', maxClients: 300')
  const whole = Buffer.from(`${CONNECT_5}8207000100000161013a0c0001610002050100016263`.replaceAll(' ', ''), 'hex')
  const sockets: Socket[] = []
  const speak = (bytes: Uint8Array) => {
    const socket = connectSocket(port, '127.0.0.1', () => socket.end(bytes))
    socket.on('error', () => {})
    socket.resume()
    sockets.push(socket)
    return once(socket, 'close').catch(() => {})
  }
  const spoilt = fc.tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length)).map(([at, byte, end]) => {
    const bytes = Uint8Array.from(whole)
    bytes[at] = byte
    return bytes.subarray(0, Math.max(end, at + 1))
  })
  const behind = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.concat([whole.subarray(0, 16), bytes]))
  const samples = fc.sample(fc.oneof(spoilt, behind, fc.uint8Array({ maxLength: 60 })), { seed: 6, numRuns: 250 })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (let at = 0; at < samples.length; at += 25) await Promise.all(samples.slice(at, at + 25).map(speak))
  const client = await NpmClient.open(t, port)
  await client.mqtt.publishAsync('alive', 'yes', { qos: 1 })
  assert.deepEqual(scene.param('/mqtt/alive'), text('yes'))
})
