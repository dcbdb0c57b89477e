/** Devices that speak the link well and behave badly. The router and the other devices are not to notice. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { ByeReason, Control, LinkType } from '../../firmware-protocol/link/constants.ts'
import type { Descriptor } from '../../firmware-protocol/link/descriptor.ts'
import { DescriptorCache } from '../../runtime/firmware/descriptor-cache.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { someOf } from '../long-run.ts'
import { heldBytes, MEGABYTE } from '../robustness/memory.ts'
import { bool, float, type Peer } from '../router/fixture.ts'
import { until } from '../until.ts'
import { plain, Stage, type StageOptions, untilParam } from './fixture.ts'
import { LeapingClock } from './leaping-clock.ts'
import { describing, info, type SignalSpec, stream, sub, val, valx } from './records.ts'
import { DESCRIPTOR, type Identity, ScriptedDevice } from './scripted-device.ts'

const UID = 'a1b2c3d4e5f60718'

function identity(changes: Partial<Identity> = {}): Partial<Identity> {
  return { name: 'node', uid: UID, descriptor: DESCRIPTOR, ...changes }
}

async function onSerial(t: TestContext, options: StageOptions = {}, changes: Partial<Identity> = {}) {
  const stage = await Stage.start(t, { lines: [{}, {}], ...options })
  const device = ScriptedDevice.serial(stage.path(), t, identity(changes))
  return { stage, device }
}

/** A device of its own that must go on working, and a client that sees to it. */
async function bystander(stage: Stage, t: TestContext) {
  const good = ScriptedDevice.serial(stage.path(1), t, {
    name: 'good',
    uid: '00000000000000bb',
    descriptor: DESCRIPTOR,
  })
  await good.join()
  const client = await stage.client()
  let count = 0
  return {
    client,
    /** One value each way; resolves with the time that it took, ms. */
    async works(): Promise<number> {
      const startedAt = performance.now()
      count++
      good.reliable(val(0, LinkType.f32, count))
      await untilParam(client, '/dev/good/temp', (value) => plain(value) === count)
      client.set('/dev/good/level', float(count))
      await until(() => plain(good.of(2).at(-1)?.value) === count, 'a write to the other device')
      return performance.now() - startedAt
    },
  }
}

/** It works again, whatever it did before. */
async function comesBack(device: ScriptedDevice, stage: Stage): Promise<void> {
  await device.insist()
  await stage.is(device.identity.uid, 'online')
}

async function pingMs(client: Peer): Promise<number> {
  const startedAt = performance.now()
  await client.settle()
  return performance.now() - startedAt
}

test('of two devices with one uid on two serial lines the newest counts, the other is told, and both are named', async (t) => {
  const { stage, device } = await onSerial(t)
  await device.join()
  const second = ScriptedDevice.serial(stage.path(1), t, identity({ bootNonce: 2 }))
  await second.join()
  assert.deepEqual(device.byes, [ByeReason.replaced])
  const { devices } = await stage.page()
  assert.deepEqual([devices.length, devices[0].conflicts, devices[0].port], [1, 1, stage.lines[1].a])
  const [line] = stage.log.filter(({ message }) => message.includes('same uid'))
  assert.equal(line.fields.one, stage.lines[0].a)
  // What the first one goes on to say does not count.
  const client = await stage.client()
  device.lossy(val(0, LinkType.f32, 13))
  second.reliable(val(0, LinkType.f32, 14))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 14)
  assert.equal(stage.router.sessionStatistics().filter(({ name }) => name === 'node').length, 1)
})

test('a device on serial takes over from one on UDP with its uid, and the other way round', async (t) => {
  const { stage, device } = await onSerial(t)
  const udp = await ScriptedDevice.udp(stage.udpPort, t, identity())
  for (let round = 1; round <= 3; round++) {
    udp.wire.reboot()
    await udp.join()
    assert.match(stage.device(UID)?.port ?? '', /^127/)
    await device.join()
    await until(() => udp.byes.length === round, 'BYE to the one on UDP')
    assert.equal(stage.device(UID)?.port, stage.lines[0].a)
  }
  assert.equal(device.byes.length, 2)
  assert.equal(stage.device(UID)?.conflicts, 5)
})

test('of two devices with one uid on UDP the newest counts, the other is told when it speaks', async (t) => {
  const { stage, device: serial } = await onSerial(t)
  serial.close()
  const first = await ScriptedDevice.udp(stage.udpPort, t, identity())
  await first.join()
  const second = await ScriptedDevice.udp(stage.udpPort, t, identity())
  await second.join()
  first.lossy(val(0, LinkType.f32, 13))
  await until(() => first.byes.length > 0, 'BYE')
  assert.deepEqual(first.byes, [ByeReason.replaced])
  assert.equal(stage.device(UID)?.conflicts, 1)
  const client = await stage.client()
  second.reliable(val(0, LinkType.f32, 14))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 14)
})

test('a storm of announcements of one device is heard ten times a second', async (t) => {
  const { stage, device } = await onSerial(t)
  const { works } = await bystander(stage, t)
  // Each is confirmed, so that none is a repetition.
  for (let i = 0; i < 3000; i++) {
    device.announce({ bootNonce: i })
    device.control(Control.ack)
    if (i % 100 === 0) await device.wire.drained()
  }
  await device.wire.drained()
  assert.ok((await works()) < 5000)
  assert.ok(stage.logged('device online').length < 110)
  const report = stage.device(UID)
  assert.ok((report?.counters.ignored ?? 0) > 2000, `${report?.counters.ignored} were ignored`)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  await comesBack(device, stage)
})

test('announcements under ever new uids fill neither the memory nor the places of other devices', async (t) => {
  const { stage, device } = await onSerial(t, { grace: 300 })
  const { works, client } = await bystander(stage, t)
  for (let i = 0; i < 3000; i++) device.announce({ uid: randomBytes(8).toString('hex'), name: `n${i}` })
  await device.wire.drained()
  await works()
  assert.ok(stage.firmware.hub.report().length < 30)
  assert.ok(stage.router.statistics.sessions < 30)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  await comesBack(device, stage)
  await until(() => stage.firmware.hub.report().length === 2, 'the others to be forgotten')
  await client.settle()
})

test('when as many devices are known as may be, one that is away gives way', async (t) => {
  const { stage, device } = await onSerial(t, { grace: 600_000 })
  const limit = stage.firmware.hub.options.maxDevices
  stage.firmware.hub.options.maxDevices = 3
  assert.equal(limit, 1024)
  const { works } = await bystander(stage, t)
  for (let i = 0; i < 6; i++) {
    const udp = await ScriptedDevice.udp(stage.udpPort, t, { name: `n${i}`, descriptor: DESCRIPTOR })
    await udp.join()
    udp.control(Control.bye, Buffer.of(ByeReason.normal))
    await stage.is(udp.identity.uid, 'away')
    assert.ok(stage.firmware.hub.report().length <= 3)
  }
  await works()
  await device.join()
  const last = await ScriptedDevice.udp(stage.udpPort, t, { name: 'last', descriptor: DESCRIPTOR })
  await last.join()
  const refused = await ScriptedDevice.udp(stage.udpPort, t, { name: 'refused', descriptor: DESCRIPTOR })
  await assert.rejects(refused.hello(), /BYE 3/)
  await works()
})

test('a WELCOME that nobody confirms leads to nothing', async (t) => {
  const clock = new LeapingClock()
  const { stage, device } = await onSerial(t, { clock, grace: 1000 })
  device.answersPings = false
  await device.hello()
  assert.equal(stage.device(UID)?.state, 'linking')
  clock.leap(3600)
  await stage.is(UID, 'away')
  clock.leap(1100)
  assert.equal(stage.device(UID), undefined)
  device.answersPings = true
  await comesBack(device, stage)
})

test('a device that never says what it has is sent nothing and forgotten', async (t) => {
  const { stage, device } = await onSerial(t, { keepalive: 200, grace: 100 })
  const client = await stage.client()
  await device.hello()
  device.lossy(val(0, LinkType.f32, 1))
  device.reliable(val(0, LinkType.f32, 1))
  await device.settled()
  client.set('/dev/node/led', bool(true))
  await client.settle()
  assert.equal(device.records.length, 0)
  assert.equal(stage.device(UID)?.counters.unknownIds, 2)
  device.answersPings = false
  await stage.is(UID, undefined)
})

test('a device that acknowledges nothing is lost after eight repetitions, however lively it is', async (t) => {
  const clock = new LeapingClock()
  const { stage, device } = await onSerial(t, { clock })
  await device.join()
  const { works, client } = await bystander(stage, t)
  device.acknowledges = false
  client.set('/dev/node/led', bool(true))
  await until(() => device.of(1).length > 0, 'the write')
  for (let i = 0; i < 200 && stage.device(UID)?.state === 'online'; i++) {
    clock.leap(50)
    device.lossy(val(0, LinkType.f32, i))
    await client.settle()
  }
  assert.equal(stage.device(UID)?.state, 'away')
  await until(() => device.frames.filter(({ ctrl }) => (ctrl & 0xd0) === 0x50).length >= 8, 'eight repetitions')
  const lost = stage.logged('device lost')
  assert.match(String(lost[0].fields.reason), /not acknowledged/)
  await works()
  device.acknowledges = true
  await comesBack(device, stage)
})

test('a device that asks and asks and reads nothing makes the router hold little', async (t) => {
  const { stage, device } = await onSerial(t, { keepalive: 60_000 })
  await device.join()
  const { works } = await bystander(stage, t)
  device.wire.pause()
  const before = heldBytes()
  for (let i = 0; i < 200; i++) {
    for (let j = 0; j < 100; j++) device.control(Control.timeRequest, Buffer.alloc(4, j))
    await device.wire.drained()
  }
  await until(() => (stage.device(UID)?.counters.unsent ?? 0) > 0, 'answers that are given up')
  assert.ok(heldBytes() - before < 4 * MEGABYTE)
  await works()
  device.wire.resume()
  device.reliable(val(0, LinkType.f32, 1))
  await device.settled()
})

interface Flood {
  one: (i: number) => Buffer
  isReliable: boolean
}

const FLOODS: Record<string, Flood> = {
  'values that may be lost': { one: (i) => val(0, LinkType.f32, i), isReliable: false },
  'values that must arrive': { one: (i) => val(0, LinkType.f32, i), isReliable: true },
  'streams in blocks': { one: () => Buffer.from([0x4f, 4, 255, 0, 1]), isReliable: false },
  'events with answers wanted': { one: (i) => valx(1, LinkType.true, null, { answer: i > 0 }), isReliable: true },
  'patterns, one after the other': { one: (i) => sub(i & 7, `/flood/${i}/**`), isReliable: true },
  'records of ids that there are not': { one: (i) => stream(1000 + (i % 50), LinkType.i16, 1), isReliable: false },
}

for (const [name, { one, isReliable }] of someOf(Object.entries(FLOODS))) {
  test(`a device that floods the line with ${name} keeps nobody else from working`, async (t) => {
    const { stage, device } = await onSerial(t)
    await device.join()
    const { works, client } = await bystander(stage, t)
    await works()
    const before = heldBytes()
    let isOver = false
    const flood = (async () => {
      for (let i = 0; !isOver; i++) {
        const records: Buffer[] = []
        for (let j = 0, length = 0; length < 200; j++) {
          records.push(one(i * 50 + j))
          length += records[j].length
        }
        if (isReliable) {
          await until(() => device.sent - device.acknowledged < 8, 'acknowledgement')
          device.reliable(...records)
        } else device.lossy(...records)
        if (i % 20 === 0) await device.wire.drained()
        if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    let slowest = 0
    const until1s = performance.now() + 1000
    while (performance.now() < until1s) slowest = Math.max(slowest, await pingMs(client))
    await works()
    isOver = true
    await flood
    await device.wire.drained()
    await device.settled()
    assert.ok(slowest < 1000, `the slowest answer took ${slowest} ms`)
    assert.ok(heldBytes() - before < 16 * MEGABYTE)
    await stage.is(UID, 'online')
  })
}

test('what floods beyond the records of a second is counted, and what must arrive is not dropped', async (t) => {
  const { stage, device } = await onSerial(t)
  stage.firmware.hub.options.maxRecordsPerSecond = 100
  await device.join()
  const client = await stage.client()
  for (let i = 0; i < 10; i++) device.lossy(...Array.from({ length: 30 }, (_, j) => val(0, LinkType.f32, j)))
  device.reliable(val(1, LinkType.true))
  await untilParam(client, '/dev/node/led', (value) => plain(value) === true)
  const flooded = stage.device(UID)?.counters.flooded ?? 0
  assert.ok(flooded >= 100 && flooded <= 200, `${flooded} of 300`)
})

test('a flood of datagrams keeps nobody else from working', async (t) => {
  const { stage, device: serial } = await onSerial(t)
  serial.close()
  const device = await ScriptedDevice.udp(stage.udpPort, t, identity())
  await device.join()
  const { works, client } = await bystander(stage, t)
  const before = heldBytes()
  let slowest = 0
  for (let i = 0; i < 200; i++) {
    for (let j = 0; j < 100; j++) device.lossy(val(0, LinkType.f32, i * 100 + j))
    slowest = Math.max(slowest, await pingMs(client))
  }
  await works()
  assert.ok(slowest < 1000, `the slowest answer took ${slowest} ms`)
  assert.ok(heldBytes() - before < 16 * MEGABYTE)
  await stage.is(UID, 'online')
})

test('a flood of announcements on UDP costs an answer each and no session', async (t) => {
  const { stage, device: serial } = await onSerial(t)
  serial.close()
  const { works } = await bystander(stage, t)
  const device = await ScriptedDevice.udp(stage.udpPort, t, identity())
  const before = heldBytes()
  for (let i = 0; i < 100; i++) {
    for (let j = 0; j < 50; j++) {
      const uid = randomBytes(8).toString('hex')
      const body = Buffer.concat([device.announcement({ uid }), device.wire.nonceField()])
      device.control(Control.announce, body)
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  await works()
  assert.equal(stage.firmware.hub.report().length, 1)
  assert.ok(heldBytes() - before < 8 * MEGABYTE)
  await device.join()
})

test('descriptors that change each time are not all kept in memory', async () => {
  const cache = new DescriptorCache(undefined, silentLog)
  const text = 'x'.repeat(200)
  const descriptorOf = (i: number): Descriptor => {
    const bytes = Buffer.concat([info(1, `${i}`), ...Array.from({ length: 200 }, () => info(2, text))])
    return { hash: i, signals: [], bytes: new Uint8Array(bytes) }
  }
  const before = heldBytes()
  for (let i = 0; i < 1000; i++) cache.put(UID, descriptorOf(i))
  assert.ok(heldBytes() - before < 4 * MEGABYTE, `${heldBytes() - before} bytes`)
  assert.equal(cache.get(UID, 0), undefined)
  assert.notEqual(cache.get(UID, 999), undefined)
})

test('patterns that match everything bring 256 addresses and no more', async (t) => {
  const { stage, device } = await onSerial(t)
  const client = await stage.client()
  for (let i = 0; i < 400; i++) client.set(`/many/${i}`, float(i))
  await client.settle()
  await device.join()
  device.reliable(sub(1, '/many/**'))
  for (let i = 0; i < 60; i++) device.lossy(sub(2 + (i % 200), `/other/${i}`))
  await until(() => new Set(device.records.map(({ id }) => id)).size >= 100, 'matches')
  await device.settled()
  const { counters } = stage.device(UID) ?? { counters: {} as Record<string, number> }
  assert.ok(counters.refused > 0, 'patterns beyond 32 are refused')
  assert.ok(counters.inconvertible > 0, 'matches beyond 256 are counted')
})

test('signals of a device that cannot be taken any more leave its others working', async (t) => {
  const signals: SignalSpec[] = Array.from({ length: 40 }, (_, id) => ({
    id,
    type: LinkType.i16,
    address: `s${id}`,
    isWritable: true,
  }))
  const { stage, device } = await onSerial(
    t,
    { router: { maxSignals: 20, maxSubscriptionsPerSession: 20 } },
    { descriptor: describing(signals) },
  )
  const client = await stage.client()
  await device.join()
  client.set('/dev/node/s0', { type: 'i64', value: 4 })
  await until(() => plain(device.of(0).at(-1)?.value) === 4, 'the write')
  device.reliable(val(39, LinkType.i16, 1))
  await untilParam(client, '/dev/node/s39', (value) => plain(value) === 1)
})
