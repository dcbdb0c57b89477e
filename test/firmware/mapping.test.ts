import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ExtendedBit, LinkType, Op } from '../../firmware-protocol/link/constants.ts'
import { DescriptorBuilder } from '../../firmware-protocol/link/descriptor.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import { Alias, signalDefinition } from '../../runtime/firmware/alias.ts'
import { bool, float, int, nil, type Peer, text } from '../router/fixture.ts'
import { until } from '../until.ts'
import { paramOf, plain, Stage, untilParam } from './fixture.ts'
import { describing, hashOf, type SignalSpec, val, valx } from './records.ts'
import { declaring, got, scene, told } from './scene.ts'
import { DESCRIPTOR, ScriptedDevice, SIGNALS } from './scripted-device.ts'

const DECLARED: SignalSpec[] = [
  { id: 0, type: LinkType.f32, address: 'temp', range: [-40, 85], unit: '°C', description: 'at the board' },
  { id: 1, type: LinkType.bool, address: 'led', isWritable: true },
  { id: 2, type: LinkType.i16, address: 'goal', publishes: false, isWritable: true, default: 7 },
  { id: 3, type: LinkType.null, address: 'button', kind: 'event' },
  { id: 4, type: LinkType.unit8, address: 'fader', kind: 'stream' },
  { id: 5, type: LinkType.string, address: '/stage/title' },
]

test('a declared signal answers QUERY with its type and access', async (t) => {
  const { client } = await declaring(t, ...DECLARED)
  client.send({ type: 'QUERY', pattern: '/**' })
  const { signals } = await told(client, 'RESULT')
  assert.deepEqual(
    signals.toSorted((a, b) => a.address.localeCompare(b.address)),
    [
      { address: '/dev/node/button', type: 'event', access: 'r' },
      { address: '/dev/node/fader', type: 'stream', datatype: 'f32', access: 'r' },
      { address: '/dev/node/goal', type: 'param', datatype: 'i16', access: 'w' },
      { address: '/dev/node/led', type: 'param', datatype: 'bool', access: 'rw' },
      { address: '/dev/node/temp', type: 'param', datatype: 'f32', access: 'r' },
      { address: '/stage/title', type: 'param', datatype: 'string', access: 'r' },
    ],
  )
})

test('a declaration is announced with unit, range, default and description', () => {
  const records = Buffer.concat(describing(DECLARED))
  const reader = new RecordReader()
  const builder = new DescriptorBuilder()
  reader.open(records, 0, records.length)
  while (reader.next()) assert.equal(builder.add(reader), null)
  const descriptor = builder.finish(hashOf([records]))
  assert.ok(typeof descriptor !== 'string')
  assert.deepEqual(
    descriptor.signals.map((declaration) => signalDefinition(new Alias(declaration, '/dev/node/')).meta),
    [
      { unit: '°C', range: [-40, 85], description: 'at the board' },
      undefined,
      { default: { type: 'i16', value: 7 } },
      undefined,
      { range: [0, 1] },
      undefined,
    ],
  )
})

test('every type that a device can send reaches the router as what it is', async (t) => {
  const T = LinkType
  const cases: [number, Parameters<typeof val>[2], unknown][] = [
    [T.null, null, null],
    [T.true, null, true],
    [T.false, null, false],
    [T.bool, 1, true],
    [T.i8, -128, -128],
    [T.i16, -32_768, -32_768],
    [T.i32, -2_147_483_648, -2_147_483_648],
    [T.i64, 2n ** 53n - 1n, 2 ** 53 - 1],
    [T.i64, -(2n ** 63n), -(2n ** 63n)],
    [T.f32, 0.5, 0.5],
    [T.f64, 1e300, 1e300],
    [T.string, 'héllo', 'héllo'],
    [T.string, 'x'.repeat(300), 'x'.repeat(300)],
    [T.bytes, new Uint8Array([1, 0, 255]), new Uint8Array([1, 0, 255])],
    [T.unit8, 255, 1],
    [T.unit16, 65_535, 1],
  ]
  const { client, device } = await declaring(
    t,
    ...cases.map(([type], id) => ({ id, type, address: `s${id}`, kind: 'param' as const })),
  )
  device.reliable(...cases.map(([type, value], id) => val(id, type, value)))
  await device.settled()
  for (const [id, [, , expected]] of cases.entries()) {
    assert.deepEqual(plain(await untilParam(client, `/dev/node/s${id}`, (value) => value !== undefined)), expected)
  }
})

test('a write of a client arrives as the declared type', async (t) => {
  const T = LinkType
  const { client, device, stage } = await declaring(
    t,
    ...[T.bool, T.i8, T.i16, T.i32, T.i64, T.f32, T.f64, T.string, T.bytes, T.unit8, T.unit16].map((type, id) => ({
      id,
      type,
      address: `s${id}`,
      isWritable: true,
    })),
  )
  const write = async (id: number, value: Parameters<Peer['set']>[1], expected: unknown) => {
    const before = device.of(id).length
    client.set(`/dev/node/s${id}`, value)
    assert.deepEqual(plain((await got(device, id, before + 1)).value), expected, `signal ${id}`)
  }
  await write(0, int(5), true)
  await write(0, bool(false), false)
  await write(1, int(1000), 127)
  await write(1, float(-1000.5), -128)
  await write(1, bool(true), 1)
  await write(2, int(-1e6), -32_768)
  await write(2, float(2.5), 3)
  await write(3, int(2 ** 40), 2_147_483_647)
  await write(3, float(Number.NEGATIVE_INFINITY), -2_147_483_648)
  await write(3, float(Number.NaN), 0)
  await write(4, float(1e30), 2n ** 63n - 1n)
  await write(4, float(-1e30), -(2n ** 63n))
  await write(4, { type: 'i64', value: 2n ** 62n + 1n }, 2n ** 62n + 1n)
  await write(4, float(5e18), 5_000_000_000_000_000_000n)
  await write(5, int(3), 3)
  await write(6, float(1e300), 1e300)
  await write(7, text('on'), 'on')
  await write(7, int(12), '12')
  await write(8, { type: 'bytes', value: new Uint8Array([9, 0]) }, new Uint8Array([9, 0]))
  await write(9, float(2), 1)
  await write(9, float(-1), 0)
  await write(10, float(0.5), Math.fround(32_768 / 65_535))
  await write(5, nil, null)
  const before = stage.device(device.identity.uid)?.counters.inconvertible ?? 0
  client.set('/dev/node/s5', text('warm'))
  client.set('/dev/node/s7', { type: 'map', value: [] })
  client.set('/dev/node/s8', text('no bytes'))
  client.set('/dev/node/s0', text('yes'))
  const inconvertible = () => (stage.device(device.identity.uid)?.counters.inconvertible ?? 0) - before
  await until(() => inconvertible() === 4, 'values that cannot be converted')
  await client.settle()
  assert.equal(device.of(5).length, 2)
})

test('a device is not sent back what it has written, but is told what somebody else writes', async (t) => {
  const { client, device } = await scene(t)
  device.reliable(val(1, LinkType.true))
  await untilParam(client, '/dev/node/led', (value) => plain(value) === true)
  client.set('/dev/node/led', bool(true))
  client.set('/dev/node/led', bool(false))
  await got(device, 1)
  device.reliable(val(1, LinkType.bool, 1))
  await untilParam(client, '/dev/node/led', (value) => plain(value) === true)
  client.set('/dev/node/led', bool(false))
  await got(device, 1, 2)
  assert.deepEqual(
    device.of(1).map(({ value }) => plain(value)),
    [false, false],
  )
})

test('where the router keeps another value than the device wrote, the device gets it', async (t) => {
  const policies = [{ pattern: '/dev/node/led', conflict: 'max' as const }]
  const { client, device } = await scene(
    t,
    { descriptor: describing([{ id: 1, type: LinkType.i16, address: 'led', isWritable: true }]) },
    { router: { policies } },
  )
  client.set('/dev/node/led', int(9))
  await got(device, 1)
  device.reliable(val(1, LinkType.i16, 3))
  const [, refusal, stored] = [await got(device, 1), await got(device, 1, 2), await got(device, 1, 3)]
  assert.equal(refusal.code, 400)
  assert.deepEqual([plain(stored.value), stored.flags], [9, ExtendedBit.initial])
  assert.equal(plain(await paramOf(client, '/dev/node/led')), 9)
})

test('an answer that was asked for comes once for each write, in their order', async (t) => {
  const { device, client } = await scene(t)
  device.reliable(
    val(1, LinkType.true),
    valx(1, LinkType.false, null, { answer: true }),
    valx(1, LinkType.true, null, { answer: true, revision: 77 }),
    valx(1, LinkType.true, null, { answer: true }),
    val(1, LinkType.false),
  )
  const results = () => device.records.filter(({ op }) => op === Op.result)
  await until(() => results().length === 3, 'three answers')
  await client.settle()
  assert.deepEqual(
    results().map(({ id, code }) => [id, code]),
    [
      [1, 0],
      [1, 400],
      [1, 0],
    ],
  )
})

test('a write to an id that was never declared is answered 404 when an answer is wanted', async (t) => {
  const { device, stage } = await scene(t)
  device.reliable(valx(900, LinkType.i16, 1, { answer: true }))
  await until(() => device.records.some(({ op }) => op === Op.result), 'RESULT')
  const [{ id, code }] = device.records.filter(({ op }) => op === Op.result)
  assert.deepEqual([id, code], [900, 404])
  assert.equal(stage.device(device.identity.uid)?.counters.unknownIds, 1)
})

test('a refused write is answered with the code, and with the value that the router holds', async (t) => {
  const { device, client } = await scene(t)
  client.set('/dev/node/led', bool(true), { lock: true })
  await got(device, 1)
  device.reliable(val(1, LinkType.false))
  const stored = await got(device, 1, 3)
  assert.equal(device.of(1)[1].code, 400)
  assert.equal(stored.flags, ExtendedBit.initial)
  assert.equal(plain(stored.value), true)
})

test('revision, lock and time to live of a write count at the router', async (t) => {
  const { device, client } = await scene(t)
  client.subscribe(1, '/dev/node/led')
  await client.settle()
  device.reliable(valx(1, LinkType.true, null, { lock: true, answer: true }))
  await until(() => device.of(1).length === 1, 'RESULT')
  client.set('/dev/node/led', bool(false))
  const refusal = await told(client, 'ERROR')
  assert.match(refusal.message, /LockHeld/)
  device.reliable(valx(1, LinkType.false, null, { unlock: true, ttl: 0x80000001, answer: true }))
  await until(() => device.of(1).length === 2, 'RESULT')
  assert.deepEqual(
    device.of(1).map(({ code }) => code),
    [0, 0],
  )
  client.set('/dev/node/led', bool(true))
  await until(() => device.of(1).length === 3, 'the write of the client')
  device.reliable(valx(1, LinkType.false, null, { ttl: 1, answer: true }))
  await untilParam(client, '/dev/node/led', (value) => plain(value) === false)
  await untilParam(client, '/dev/node/led', (value) => value === undefined)
})

test('what the device had counts only where the router has no value', async (t) => {
  const { device, client } = await scene(t)
  device.reliable(valx(1, LinkType.true, null, { initial: true }))
  await untilParam(client, '/dev/node/led', (value) => plain(value) === true)
  device.reliable(valx(1, LinkType.false, null, { initial: true }))
  await device.settled()
  const corrected = await got(device, 1)
  assert.deepEqual([plain(corrected.value), corrected.flags], [true, ExtendedBit.initial])
  assert.equal(plain(await paramOf(client, '/dev/node/led')), true)
})

test('after the descriptor a device gets every value that the router has for it, marked as such', async (t) => {
  const stage = await Stage.start(t)
  const client = await stage.client()
  client.set('/dev/node/led', bool(true))
  client.set('/dev/node/level', float(0.25))
  await client.settle()
  const device = await ScriptedDevice.udp(stage.udpPort, t, { name: 'node', descriptor: DESCRIPTOR })
  await device.join()
  const led = await got(device, 1)
  const level = await got(device, 2)
  assert.deepEqual([led.op, led.flags, plain(led.value)], [Op.extended, ExtendedBit.initial, true])
  assert.deepEqual([level.op, level.flags, plain(level.value)], [Op.extended, ExtendedBit.initial, 0.25])
})

test('a write below $config becomes a request to sample, also for a device that comes later', async (t) => {
  const { device, client } = await scene(t)
  const config = (interval: number, deadband: number) => ({
    type: 'map' as const,
    value: [
      ['interval', int(interval)],
      ['deadband', float(deadband)],
    ] as const,
  })
  const asked = (of: ScriptedDevice) => of.records.filter(({ op }) => op === Op.configure)
  client.set('/dev/node/$config/temp', config(250, 0.5))
  await until(() => asked(device).length === 1, 'CONFIGURE')
  const [{ id, interval, deadband }] = asked(device)
  assert.deepEqual([id, interval, deadband], [0, 250, 0.5])
  client.set('/dev/node/$config/temp', config(1e9, -1))
  await until(() => asked(device).length === 2, 'CONFIGURE')
  assert.equal(asked(device)[1].interval, 65_535)
  client.set('/dev/node/$config/none', config(1, 1))
  client.set('/dev/node/$config/temp', int(5))
  device.wire.reboot()
  await device.join()
  client.set('/dev/node/$config/temp', config(100, 0))
  await until(() => asked(device).at(-1)?.interval === 100, 'CONFIGURE after the reboot')
})

test('$link tells whether the device is there', async (t) => {
  const { device, client, stage } = await scene(t)
  const online = (value: unknown) => (param: Parameters<typeof plain>[0]) =>
    param?.type === 'map' && plain(param.value.find(([key]) => key === 'online')?.[1]) === value
  const link = await untilParam(client, '/dev/node/$link', online(true))
  assert.ok(link.type === 'map')
  const entry = (key: string) => plain(link.value.find(([name]) => name === key)?.[1])
  assert.equal(entry('uid'), device.identity.uid)
  assert.equal(entry('firmware'), '1.2.3')
  assert.match(String(entry('port')), /^127\.0\.0\.1:\d+$/)
  device.answersPings = false
  await untilParam(client, '/dev/node/$link', online(false))
  assert.equal(stage.device(device.identity.uid)?.state, 'away')
})

test('a slow line carries the newest value, not every one', async (t) => {
  const stage = await Stage.start(t, { lines: [{}] })
  const client = await stage.client()
  const device = ScriptedDevice.serial(stage.path(), t, { name: 'node', descriptor: DESCRIPTOR })
  await device.join()
  device.acknowledges = false
  for (let i = 1; i <= 500; i++) client.set('/dev/node/level', int(i))
  await client.settle()
  await until(() => device.of(2).length > 0, 'a first value')
  device.acknowledges = true
  await until(() => plain(device.of(2).at(-1)?.value) === 500, 'the last value')
  const values = device.of(2).map(({ value }) => Number(plain(value)))
  assert.ok(values.length < 50, `${values.length} of 500 were sent`)
  assert.deepEqual(
    values,
    values.toSorted((a, b) => a - b),
  )
  const counters = stage.device(device.identity.uid)?.counters
  assert.ok((counters?.coalesced ?? 0) > 400)
})

test('a device that declares other signals under the same name loses the old ones', async (t) => {
  const { device, client } = await scene(t)
  client.set('/dev/node/led', bool(true))
  await got(device, 1)
  device.identity.descriptor = describing([{ id: 1, type: LinkType.i16, address: 'speed', isWritable: true }])
  device.wire.reboot()
  await device.join()
  const before = device.records.length
  client.set('/dev/node/led', bool(false))
  client.set('/dev/node/speed', int(3))
  await until(() => device.records.length > before, 'the new signal')
  assert.deepEqual(
    device.records.slice(before).map(({ id, value }) => [id, plain(value)]),
    [[1, 3]],
  )
})

test('a thousand signals are taken, announced and written', async (t) => {
  const signals = Array.from({ length: 1000 }, (_, id) => ({
    id,
    type: LinkType.i16,
    address: `group/${id}`,
    isWritable: id >= 900,
  }))
  const { device, client, stage } = await declaring(t, ...signals)
  await until(() => stage.router.statistics.signals === 1000, 'a thousand signals')
  device.reliable(val(999, LinkType.i16, 5))
  await untilParam(client, '/dev/node/group/999', (value) => plain(value) === 5)
  client.set('/dev/node/group/998', int(6))
  assert.equal(plain((await got(device, 998)).value), 6)
})

test('signals that take more than a frame to announce are announced all the same', async (t) => {
  const signals = Array.from({ length: 100 }, (_, id) => ({
    id,
    type: LinkType.i16,
    address: `${id}/${'a'.repeat(240)}`,
    unit: 'u'.repeat(130),
    description: 'd'.repeat(255),
  }))
  const { stage } = await scene(t, { name: 'n'.repeat(60), descriptor: describing(signals) })
  await until(() => stage.router.statistics.signals === 100, 'a hundred signals')
})

test('the fields of a page describe a device that is online', async (t) => {
  const { device, stage } = await scene(t)
  await stage.is(device.identity.uid, 'online')
  const { devices } = await stage.page()
  const [report] = devices
  assert.equal(report.name, 'node')
  assert.equal(report.prefix, '/dev/node/')
  assert.equal(report.firmware, '1.2.3')
  assert.equal(report.signals.length, SIGNALS.length)
  assert.deepEqual(
    report.signals.map(({ address, access }) => `${address} ${access}`),
    ['/dev/node/temp r', '/dev/node/led rw', '/dev/node/level w', '/dev/node/button rw', '/dev/node/wave r'],
  )
})
