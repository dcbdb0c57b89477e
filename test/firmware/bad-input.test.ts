/** Bytes and records that no sane device sends. Each is counted, shown, and over with the next good device. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ByeReason, LinkType, Op } from '../../firmware-protocol/link/constants.ts'
import { heldBytes, MEGABYTE } from '../robustness/memory.ts'
import { bool } from '../router/fixture.ts'
import { until } from '../until.ts'
import { plain, Stage, type StageOptions, untilParam } from './fixture.ts'
import { decl, declend, describing, event, hashOf, info, type SignalSpec, val } from './records.ts'
import { DESCRIPTOR, type Identity, ScriptedDevice, SIGNALS } from './scripted-device.ts'
import type { SerialWire } from './serial-wire.ts'

const UID = 'a1b2c3d4e5f60718'

async function start(t: TestContext, identity: Partial<Identity> = {}, options: StageOptions = {}) {
  const stage = await Stage.start(t, { lines: [{}], ...options })
  const device = ScriptedDevice.serial(stage.path(), t, {
    name: 'node',
    uid: UID,
    descriptor: DESCRIPTOR,
    mru: 256,
    ...identity,
  })
  return { stage, device, counter: (name: string) => stage.device(UID)?.counters[name] ?? 0 }
}

/** Another device on the same port works. */
async function nextIsWell(stage: Stage, device: ScriptedDevice<SerialWire>, t: TestContext): Promise<void> {
  await device.wire.drained()
  device.close()
  const good = ScriptedDevice.serial(stage.path(), t, {
    name: 'good',
    uid: '00000000000000bb',
    descriptor: DESCRIPTOR,
  })
  const client = await stage.client()
  // What is silent for long is gone: nothing comes between the session and its first value.
  await good.insist()
  good.reliable(val(0, LinkType.f32, 7))
  await untilParam(client, '/dev/good/temp', (value) => plain(value) === 7)
  client.set('/dev/good/led', bool(true))
  await until(() => plain(good.of(1).at(-1)?.value) === true, 'a write to the next device')
}

async function lineCounter(stage: Stage, name: string, least: number): Promise<void> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const { counters } = (await stage.page()).ports[0]
    if ((counters[name] ?? 0) >= least) return
    if (performance.now() > deadline) throw new Error(`${name} is ${counters[name]}, less than ${least}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** The same bytes in every run. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = 12_345
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const FLOODS: Record<string, Buffer> = {
  'SLIP escapes': Buffer.alloc(200_000, 0xdb),
  'SLIP ends': Buffer.alloc(200_000, 0xc0),
  'longest COBS codes': Buffer.alloc(200_000, 0xff),
  'shortest COBS codes': Buffer.alloc(200_000, 0x01),
  'COBS codes that point beyond the block': Buffer.alloc(200_000, Buffer.from([0xff, 1, 1, 0])),
  delimiters: Buffer.alloc(200_000, 0),
  'beginnings of bare frames': Buffer.alloc(200_000, Buffer.from([0x53, 0x01, 0x03, 0xff, 0x01])),
  'beginnings of bare frames and nothing else': Buffer.alloc(200_000, 0x53),
  'empty bare frames': Buffer.alloc(200_000, Buffer.from([0x53, 0x01, 0, 0])),
  text: Buffer.alloc(200_000, 'x'),
  'lines of text': Buffer.alloc(200_000, 'panic!\r\n'),
  noise: noise(200_000),
}

for (const [name, bytes] of Object.entries(FLOODS)) {
  test(`an endless line of ${name} costs no memory and is over with the next device`, async (t) => {
    const { stage, device } = await start(t)
    const before = heldBytes()
    device.wire.write(bytes)
    await device.wire.drained()
    await lineCounter(stage, 'bytesIn', bytes.length)
    assert.ok(heldBytes() - before < 4 * MEGABYTE)
    assert.ok(stage.log.length < 1000, `${stage.log.length} lines of log`)
    await nextIsWell(stage, device, t)
  })
}

for (const baud of [9600, 115_200, 921_600]) {
  test(`noise at ${baud} baud, before a device and in the middle of its frames, changes no value`, async (t) => {
    const { stage, device, counter } = await start(t, {}, { keepalive: 2000 })
    const [line] = stage.lines
    await line.setBaud(baud)
    device.wire.write(noise(baud / 50))
    await device.wire.drained()
    await device.join()
    const client = await stage.client()
    device.reliable(val(0, LinkType.f32, 1))
    await untilParam(client, '/dev/node/temp', (value) => plain(value) === 1)
    const frame = device.wire.encode(Buffer.concat([Buffer.from([0, 0]), val(0, LinkType.f32, 2)]))
    for (let i = 1; i < frame.length - 1; i++) {
      const broken = Buffer.from(frame)
      broken[i] ^= 1 << (i % 8)
      device.wire.write(broken)
    }
    device.wire.write(noise(500))
    device.wire.write(Buffer.of(0))
    await device.wire.drained()
    client.subscribe(1, '/dev/node/temp')
    device.reliable(val(1, LinkType.true))
    await untilParam(client, '/dev/node/led', (value) => plain(value) === true)
    assert.equal(plain(await untilParam(client, '/dev/node/temp', (value) => value !== undefined)), 1)
    assert.ok(counter('crcErrors') + counter('malformed') > 0)
    await line.setBaud(0)
    await nextIsWell(stage, device, t)
  })
}

const LIES: Record<string, Buffer> = {
  'a string longer than its frame': Buffer.from([0x08, 0, 200, 65]),
  'bytes of 32 767': Buffer.from([0x09, 0, 0xff, 0xff, 1]),
  'a CLASP message longer than its frame': Buffer.from([Op.clasp << 4, 0xff, 0xff, 0x21]),
  'an INFO longer than its frame': Buffer.from([Op.info << 4, 1, 255, 65]),
  'an address longer than its frame': Buffer.from([(Op.declare << 4) | 6, 0, 8, 255, 65]),
  'a pattern longer than its frame': Buffer.from([Op.subscribe << 4, 1, 255, 65]),
  'a BLOCK of more samples than there are': Buffer.from([0x46, 4, 255, 0, 1, 0, 0, 0, 0]),
  'an array of more items than there are': Buffer.from([0x0a, 0, 255, 1, 1]),
  'an array in an array': Buffer.from([0x0a, 0, 1, 0x0a, 0]),
  'a type that there is not': Buffer.from([0x0b, 0, 1, 2, 3]),
  'half an id': Buffer.from([0x06, 0x80]),
  'a record that ends after its first byte': Buffer.from([0x06]),
  'a DECLEND without its hash': Buffer.from([Op.declared << 4, 1, 2]),
  'a TIME of an unknown kind': Buffer.from([(Op.time << 4) | 9, 0, 0, 0, 0]),
}

for (const [name, record] of Object.entries(LIES)) {
  test(`${name} ends its frame and nothing else`, async (t) => {
    const { stage, device, counter } = await start(t)
    await device.join()
    const client = await stage.client()
    // What stands in front of it counts, what stands behind it does not.
    device.lossy(val(0, LinkType.f32, 1), record, val(0, LinkType.f32, 2))
    await until(() => counter('malformedRecords') === 1, 'a malformed record')
    assert.equal(plain(await untilParam(client, '/dev/node/temp', (value) => value !== undefined)), 1)
    device.reliable(val(0, LinkType.f32, 3))
    await untilParam(client, '/dev/node/temp', (value) => plain(value) === 3)
    assert.equal(device.byes.length, 0)
  })
}

test('frames without records, and with every first byte that there is, do no harm', async (t) => {
  const { stage, device } = await start(t)
  await device.join()
  const client = await stage.client()
  device.lossy()
  device.reliable()
  for (let first = 0; first < 256; first++) device.lossy(Buffer.from([first]))
  for (let first = 0; first < 256; first++) device.lossy(Buffer.from([first, ...noise(40)]))
  for (const frame of [[], [0], [0x40], [0x80], [0xc0, 0], [0xff, 0xff], [0x8f, 0], [0x01, 0]])
    device.wire.send(Buffer.from(frame))
  await device.wire.drained()
  device.reliable(val(0, LinkType.f32, 3))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 3)
  assert.equal(device.byes.length, 0)
})

test('a BLOCK of what is no number is counted and not published', async (t) => {
  const { stage, device, counter } = await start(t)
  await device.join()
  const client = await stage.client()
  client.subscribe(1, '/dev/node/wave')
  await client.settle()
  device.lossy(Buffer.from([0x48, 4, 2, 0, 1, 1, 65, 3, 66, 67, 68]), Buffer.from([0x40, 4, 255, 0, 1]))
  await until(() => counter('malformedRecords') === 2, 'two malformed records')
  assert.deepEqual(
    (await client.settle()).filter(({ type }) => type === 'PUBLISH'),
    [],
  )
})

test('ids that were never declared are counted, and the records behind them count', async (t) => {
  const { stage, device, counter } = await start(t)
  await device.join()
  const client = await stage.client()
  const ids = [5, 127, 128, 999, 16_383, 16_384, 32_767]
  device.lossy(...ids.map((id) => val(id, LinkType.i16, 1)), event(600), val(0, LinkType.f32, 4))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 4)
  assert.equal(counter('unknownIds'), ids.length + 1)
  // A signal that the device has declared as one that it does not publish.
  device.lossy(val(2, LinkType.f32, 1))
  await until(() => counter('unknownIds') === ids.length + 2, 'one more')
})

const WRONG_DESCRIPTORS: Record<string, (device: ScriptedDevice<SerialWire>) => Promise<void>> = {
  'with a hash that is not right': (device) => device.describe(DESCRIPTOR, hashOf(DESCRIPTOR) ^ 1),
  'that is cut in the middle of a declaration': async (device) => {
    device.reliable(decl(SIGNALS[0]).subarray(0, 9), declend(hashOf(DESCRIPTOR)))
  },
  'of which a record is missing': (device) => device.describe(DESCRIPTOR.slice(1), hashOf(DESCRIPTOR)),
  'with a kind of signal that there is not': async (device) => {
    device.reliable(Buffer.from([0x86, 0, 0x0f, 1, 65]))
  },
  'of more than 65 536 bytes': (device) =>
    device.describe(Array.from({ length: 400 }, (_, i) => info(i & 0xff, 'x'.repeat(200)))),
}

for (const [name, describe] of Object.entries(WRONG_DESCRIPTORS)) {
  test(`a descriptor ${name}: the device is sent away, and may try again`, async (t) => {
    const { stage, device } = await start(t)
    await device.hello()
    await describe(device)
    await until(() => device.byes.length > 0, 'BYE')
    assert.deepEqual(device.byes, [ByeReason.protocolError])
    assert.equal(stage.logged('the descriptor of a device is not right').length, 1)
    assert.notEqual(stage.device(UID)?.state, 'online')
    await device.join()
    await stage.is(UID, 'online')
    await nextIsWell(stage, device, t)
  })
}

test('ids that are the router’s own are not taken from a device', async (t) => {
  const signals: SignalSpec[] = [
    ...SIGNALS,
    { id: 16_384, type: LinkType.i16, address: 'foreign', isWritable: true },
    { id: 32_767, type: LinkType.i16, address: 'last' },
  ]
  const { stage, device } = await start(t, { descriptor: describing(signals) })
  await device.join()
  await stage.is(UID, 'online')
  const [line] = stage.logged('signals of a device are not taken')
  assert.deepEqual([line.fields.count, line.level], [2, 'warn'])
  assert.equal(stage.router.statistics.signals, SIGNALS.length)
})

test('addresses that are none are not taken, the others are', async (t) => {
  const addresses = ['a/*', '**', '', 'a//b', '/', '//', '/*', 'x'.repeat(200), '\x00\x1b[2J', '/dev/other/led', 'ok']
  const signals = addresses.map((address, id) => ({ id, type: LinkType.i16, address, isWritable: true }))
  const { stage, device } = await start(t, { descriptor: describing(signals) })
  const client = await stage.client()
  await device.join()
  await stage.is(UID, 'online')
  const [line] = stage.logged('signals of a device are not taken')
  assert.equal(line.fields.count, 5)
  client.set('/dev/node/ok', { type: 'i64', value: 3 })
  await until(() => plain(device.of(10).at(-1)?.value) === 3, 'the write')
  client.set('/a/b', { type: 'i64', value: 3 })
  await client.settle()
  assert.ok(device.records.every(({ id }) => id >= 7 || id === 4))
})

test('a descriptor that names ids and addresses twice is taken once', async (t) => {
  const signals: SignalSpec[] = [
    { id: 0, type: LinkType.i16, address: 'a', isWritable: true },
    { id: 0, type: LinkType.f32, address: 'b', isWritable: true },
    { id: 1, type: LinkType.i16, address: 'b', isWritable: true },
  ]
  const { stage, device } = await start(t, { descriptor: describing(signals) })
  const client = await stage.client()
  await device.join()
  await stage.is(UID, 'online')
  client.set('/dev/node/b', { type: 'i64', value: 3 })
  await until(() => device.records.some(({ value }) => plain(value) === 3), 'the write')
  device.reliable(val(0, LinkType.f32, 9))
  await untilParam(client, '/dev/node/b', (value) => plain(value) === 9)
})

test('a jump in the sequence is asked for once and nothing behind it counts', async (t) => {
  const { stage, device, counter } = await start(t)
  await device.join()
  const client = await stage.client()
  const next = device.nextReliable
  const naks = () => device.frames.filter(({ ctrl }) => ctrl === 0x81)
  for (const jump of [3, 4, 5, 6, 7]) device.data(0x40, next + jump, val(0, LinkType.f32, jump))
  await until(() => naks().length > 0, 'NAK')
  device.data(0x40, next + 7, val(0, LinkType.f32, 99))
  device.reliable(val(0, LinkType.f32, 0.5))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 0.5)
  assert.equal(naks().length, 1)
  assert.equal(naks()[0].seq & 15, next)
  // Repeats of what was received count once.
  const records = counter('records')
  for (let i = 0; i < 10; i++) device.data(0x50, next, val(0, LinkType.f32, 42))
  device.reliable(val(1, LinkType.true))
  await untilParam(client, '/dev/node/led', (value) => plain(value) === true)
  assert.equal(counter('records'), records + 1)
})

test('frames of a session before do not count', async (t) => {
  const { stage, device } = await start(t)
  await device.join()
  const client = await stage.client()
  const frame = Buffer.concat([Buffer.from([0x40, 0x10]), val(0, LinkType.f32, 13)])
  const recorded = device.wire.encode(frame)
  await device.join()
  for (let i = 0; i < 5; i++) device.wire.write(recorded)
  device.reliable(val(1, LinkType.true))
  await untilParam(client, '/dev/node/led', (value) => plain(value) === true)
  client.send({ type: 'GET', address: '/dev/node/temp' })
  assert.deepEqual(
    (await client.settle()).filter(({ type }) => type === 'SNAPSHOT'),
    [],
  )
})

const NAMES: Record<string, [string | Uint8Array, string]> = {
  slashes: ['a/b//c', 'a-b-c'],
  wildcards: ['*/**', 'device'],
  'control characters': ['a\x00\x1b[2J\nb', 'a-[2J-b'],
  'invalid UTF-8': [Buffer.from([0x61, 0xff, 0xfe, 0xc0, 0x62]), 'a-b'],
  'what turns text round': ['a\u202eb\u200b', 'a-b'],
  nothing: ['', 'device'],
  spaces: ['  \t ', 'device'],
  'more than 64 characters': ['ä'.repeat(100), 'ä'.repeat(64)],
}

for (const [what, [name, expected]] of Object.entries(NAMES)) {
  test(`a name of ${what} becomes one part of an address`, async (t) => {
    const { stage, device } = await start(t, { name })
    await device.join()
    assert.equal(stage.device(UID)?.prefix, `/dev/${expected}/`)
    const client = await stage.client()
    device.reliable(val(0, LinkType.f32, 1))
    await untilParam(client, `/dev/${expected}/temp`, (value) => plain(value) === 1)
  })
}

test('a device of another version is told so, and is in the log a few times at most', async (t) => {
  const { stage, device } = await start(t, { version: 2 })
  for (let i = 0; i < 500; i++) device.announce()
  await until(() => device.byes.length >= 10, 'BYE')
  assert.ok(device.byes.every((reason) => reason === ByeReason.version))
  assert.ok(stage.logged('a device cannot be linked').length <= 100)
  assert.match(String(stage.logged('a device cannot be linked')[0].fields.reason), /version 2/)
  assert.equal(stage.firmware.hub.report().length, 0)
  await nextIsWell(stage, device, t)
})

test('announcements that are cut or lie about their name are no reason to stop', async (t) => {
  // On a busy machine a device may be silent for seconds.
  const { stage, device } = await start(t, {}, { keepalive: 5000 })
  const body = device.announcement()
  for (let length = 0; length < 31; length++)
    device.wire.send(Buffer.concat([Buffer.from([0x82, 0]), body.subarray(0, Math.min(length, body.length - 1))]))
  const lying = Buffer.from(body)
  lying[25] = 255
  device.wire.send(Buffer.concat([Buffer.from([0x82, 0]), lying]))
  for (const field of [[1], [1, 255], [1, 255, 3], [8, 3, 0xff, 0xfe, 0xfd]])
    device.wire.send(Buffer.concat([Buffer.from([0x82, 0]), body.subarray(0, 26), Buffer.from(field)]))
  await device.wire.drained()
  await nextIsWell(stage, device, t)
})
