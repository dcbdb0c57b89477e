import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ByeReason, Control, LinkType } from '../../firmware-protocol/link/constants.ts'
import { bool, float } from '../router/fixture.ts'
import { until } from '../until.ts'
import { paramOf, plain, Stage, type StageOptions, temporaryFolder, untilParam } from './fixture.ts'
import { LeapingClock } from './leaping-clock.ts'
import { describing, hashOf, val } from './records.ts'
import { DESCRIPTOR, type Identity, ScriptedDevice, SIGNALS } from './scripted-device.ts'

const UID = 'a1b2c3d4e5f60718'

function identity(changes: Partial<Identity> = {}): Partial<Identity> {
  return { name: 'node', uid: UID, descriptor: DESCRIPTOR, ...changes }
}

/** Ids of the router's sessions of devices called `node`. */
function sessionsOf(stage: Stage): string[] {
  return stage.router
    .sessionStatistics()
    .filter(({ name }) => name === 'node')
    .map(({ id }) => id)
}

async function onUdp(t: TestContext, options: StageOptions = {}) {
  const stage = await Stage.start(t, options)
  const device = await ScriptedDevice.udp(stage.udpPort, t, identity())
  await device.join()
  return { stage, device }
}

test('a device that comes back on another port in time finds its session', async (t) => {
  const stage = await Stage.start(t, { lines: [{}, {}], grace: 60_000 })
  const first = ScriptedDevice.serial(stage.path(0), t, identity())
  await first.join()
  const [before] = sessionsOf(stage)
  await stage.lines[0].unplug('a')
  first.close()
  await stage.is(UID, 'away')
  const client = await stage.client()
  client.set('/dev/node/led', bool(true))
  await client.settle()
  const second = ScriptedDevice.serial(stage.path(1), t, identity({ bootNonce: 7 }))
  const welcome = await second.join()
  assert.equal(welcome.isDescriptorKnown, true)
  assert.deepEqual(sessionsOf(stage), [before])
  await until(() => plain(second.of(1).at(-1)?.value) === true, 'what was written meanwhile')
  assert.equal(stage.device(UID)?.port, stage.lines[1].a)
})

test('a device that stays away longer than the grace loses its session, and gets a new one later', async (t) => {
  const { stage, device } = await onUdp(t, { grace: 50 })
  const [before] = sessionsOf(stage)
  device.control(Control.bye, Buffer.from([ByeReason.normal]))
  await stage.is(UID, undefined)
  assert.deepEqual(sessionsOf(stage), [])
  device.wire.reboot()
  await device.join()
  const [after] = sessionsOf(stage)
  assert.notEqual(after, before)
  assert.equal(stage.device(UID)?.prefix, '/dev/node/')
})

test('a sleeping device keeps its session and gets what was written meanwhile when it wakes up', async (t) => {
  const clock = new LeapingClock()
  const { stage, device } = await onUdp(t, { clock, grace: 1000 })
  const client = await stage.client()
  const [before] = sessionsOf(stage)
  device.sleep(600)
  await stage.is(UID, 'asleep')
  const { devices } = await stage.page()
  assert.equal(devices[0].state, 'asleep')
  clock.leap(600_000)
  client.set('/dev/node/led', bool(true))
  client.set('/dev/node/level', float(0.5))
  client.set('/dev/node/level', float(0.75))
  await client.settle()
  device.wire.reboot()
  const seen = device.records.length
  const welcome = await device.join()
  assert.equal(welcome.isDescriptorKnown, true)
  assert.deepEqual(sessionsOf(stage), [before])
  await until(() => device.records.length >= seen + 2, 'two values')
  assert.deepEqual(
    device.records.slice(seen).map(({ id, value }) => [id, plain(value)]),
    [
      [1, true],
      [2, 0.75],
    ],
  )
  await stage.is(UID, 'online')
})

test('a device that sleeps two minutes longer than it said loses its session', async (t) => {
  const clock = new LeapingClock()
  const { stage, device } = await onUdp(t, { clock })
  device.sleep(60)
  await stage.is(UID, 'asleep')
  clock.leap(179_000)
  assert.equal(sessionsOf(stage).length, 1)
  clock.leap(2000)
  assert.equal(sessionsOf(stage).length, 0)
  assert.equal(stage.device(UID), undefined)
})

test('a link on which nothing is heard is lost after three and a half keep-alives', async (t) => {
  const clock = new LeapingClock()
  const { stage, device } = await onUdp(t, { clock, keepalive: 1000 })
  device.answersPings = false
  clock.leap(3400)
  assert.equal(stage.device(UID)?.state, 'online')
  clock.leap(200)
  assert.equal(stage.device(UID)?.state, 'away')
})

test('the end of the router is told to devices on serial lines', async (t) => {
  const stage = await Stage.start(t, { lines: [{}] })
  const device = ScriptedDevice.serial(stage.path(), t, identity())
  await device.join()
  await stage.stop()
  await until(() => device.byes.length > 0, 'BYE')
  assert.deepEqual(device.byes, [ByeReason.shutdown])
})

test('after the end of the router no timer and no session is left', async (t) => {
  const clock = new LeapingClock()
  const stage = await Stage.start(t, { clock, lines: [{}] })
  const udp = await ScriptedDevice.udp(stage.udpPort, t, identity())
  await udp.join()
  const serial = ScriptedDevice.serial(stage.path(), t, identity({ uid: '00000000000000bb', name: 'other' }))
  await serial.join()
  stage.firmware.hub
    .linkOf(UID)
    ?.ping(60_000)
    .catch(() => {})
  udp.answersPings = false
  await stage.stop()
  udp.wire.reboot()
  assert.equal(stage.firmware.hub.report().length, 0)
  assert.equal(clock.pendingTimers, 0)
})

test('the second start of the router needs no descriptor of a device that it knows', async (t) => {
  const cache = temporaryFolder(t)
  const first = await onUdp(t, { cache })
  assert.equal(first.device.welcome?.isDescriptorKnown, false)
  await first.stage.stop()
  const hash = hashOf(DESCRIPTOR).toString(16).padStart(8, '0')
  assert.deepEqual(readdirSync(cache), [`${UID}-${hash}`])
  const { stage, device } = await onUdp(t, { cache })
  assert.equal(device.welcome?.isDescriptorKnown, true)
  const client = await stage.client()
  device.reliable(val(0, LinkType.f32, 3))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 3)
  assert.equal(stage.device(UID)?.signals.length, SIGNALS.length)
})

test('files that are no descriptors are passed over, and what is not ours is left alone', async (t) => {
  const cache = temporaryFolder(t)
  const good = Buffer.concat(DESCRIPTOR)
  const hash = hashOf(DESCRIPTOR).toString(16).padStart(8, '0')
  const name = (uid: string) => join(cache, `${uid}-${hash}`)
  writeFileSync(name('0000000000000001'), good.subarray(0, good.length - 1))
  writeFileSync(name('0000000000000002'), Buffer.concat([good, good]))
  writeFileSync(name('0000000000000003'), Buffer.alloc(70_000, 0x86))
  writeFileSync(name('0000000000000004'), '')
  mkdirSync(name('0000000000000005'))
  writeFileSync(join(cache, 'notes.txt'), 'mine')
  writeFileSync(name(UID), good)
  const { device, stage } = await onUdp(t, { cache })
  assert.equal(device.welcome?.isDescriptorKnown, true)
  assert.equal(readFileSync(join(cache, 'notes.txt'), 'utf8'), 'mine')
  const other = await ScriptedDevice.udp(stage.udpPort, t, identity({ uid: '0000000000000001', name: 'other' }))
  assert.equal((await other.join()).isDescriptorKnown, false)
  await stage.stop()
  assert.deepEqual(readFileSync(name('0000000000000001')), good)
})

test('a folder that cannot be written costs a warning and nothing else', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), '')
  const { stage } = await onUdp(t, { cache: join(folder, 'file') })
  assert.ok(stage.log.some(({ level, message }) => level === 'warn' && message.includes('descriptor')))
})

test('the folder keeps the 256 descriptors that were used last', async (t) => {
  const cache = temporaryFolder(t)
  for (let i = 0; i < 256; i++) writeFileSync(join(cache, `${i.toString(16).padStart(16, '0')}-00000000`), '')
  writeFileSync(join(cache, 'notes.txt'), 'mine')
  const stage = await Stage.start(t, { cache })
  // Empty files are the descriptors of devices without signals.
  for (let i = 0; i < 3; i++) {
    const uid = `${UID.slice(0, 15)}${i}`
    const device = await ScriptedDevice.udp(stage.udpPort, t, identity({ uid, name: `node${i}` }))
    await device.join()
  }
  await stage.stop()
  const names = readdirSync(cache)
  assert.equal(names.length, 257)
  assert.ok(names.includes('notes.txt'))
  assert.equal(names.filter((name) => name.startsWith(UID.slice(0, 15))).length, 3)
})

test('a device that comes back with another token gets none of the rights of its session', async (t) => {
  const { stage, device } = await onUdp(t)
  const [before] = sessionsOf(stage)
  device.wire.reboot()
  await device.join()
  assert.deepEqual(sessionsOf(stage), [before])
  device.wire.reboot()
  device.identity.token = 'cpsk_00000000000000000000000000000000'
  await device.join()
  const after = sessionsOf(stage)
  assert.equal(after.length, 1)
  assert.notEqual(after[0], before)
  await stage.is(UID, 'online')
})

test('another device on the same line leaves the first one away, not online', async (t) => {
  const stage = await Stage.start(t, { lines: [{}], grace: 60_000 })
  const client = await stage.client()
  const first = ScriptedDevice.serial(stage.path(), t, identity())
  await first.join()
  first.close()
  const second = ScriptedDevice.serial(stage.path(), t, identity({ uid: '00000000000000bb', name: 'other' }))
  await second.join()
  await stage.is(UID, 'away')
  await stage.is('00000000000000bb', 'online')
  const link = await paramOf(client, '/dev/node/$link')
  assert.ok(link?.type === 'map')
  assert.equal(plain(link.value.find(([key]) => key === 'online')?.[1]), false)
})

test('two devices of one name get addresses of their own, and keep them', async (t) => {
  const stage = await Stage.start(t)
  const prefixes: string[] = []
  for (const uid of ['0000000000001111', '0000000000002222', '1000000000002222']) {
    const device = await ScriptedDevice.udp(stage.udpPort, t, identity({ uid }))
    await device.join()
    prefixes.push(stage.device(uid)?.prefix ?? '')
    device.wire.reboot()
    await device.join()
    assert.equal(stage.device(uid)?.prefix, prefixes.at(-1))
  }
  assert.deepEqual(prefixes, ['/dev/node/', '/dev/node-2222/', '/dev/node-1000000000002222/'])
})

test('a device whose token the router refuses, or for which it has no session left, is sent away', async (t) => {
  const stage = await Stage.start(t, { router: { maxSessions: 1 } })
  const first = await ScriptedDevice.udp(stage.udpPort, t, identity())
  await first.join()
  const second = await ScriptedDevice.udp(stage.udpPort, t, identity({ uid: '00000000000000bb', name: 'other' }))
  await assert.rejects(second.hello(), /BYE 3/)
  assert.equal(stage.device('00000000000000bb'), undefined)
  first.control(Control.bye, Buffer.from([ByeReason.normal]))
  await stage.is(UID, 'away')
})

test('a large state of the router does not delay a device that wants none of it', async (t) => {
  const stage = await Stage.start(t)
  const client = await stage.client()
  for (let i = 0; i < 20_000; i++) client.set(`/state/${i}`, float(i))
  await client.settle()
  const device = await ScriptedDevice.udp(stage.udpPort, t, identity({ descriptor: describing(SIGNALS) }))
  await device.join()
  client.set('/dev/node/led', bool(true))
  await until(() => device.of(1).length > 0, 'a write')
  assert.equal(device.records.length, 1)
})
