import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Control, LinkType } from '../../firmware-protocol/link/constants.ts'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { OutputBuffer } from '../../runtime/router/output.ts'
import { slipEncode } from '../../runtime/transports/slip.ts'
import { int } from '../router/fixture.ts'
import { until } from '../until.ts'
import { plain, Stage, type StageOptions, untilParam } from './fixture.ts'
import { LeapingClock } from './leaping-clock.ts'
import { val } from './records.ts'
import { DESCRIPTOR, ScriptedDevice } from './scripted-device.ts'
import type { SerialWire } from './serial-wire.ts'

const UID = 'a1b2c3d4e5f60718'
const HELLO = Buffer.from(encodeFrame({ type: 'HELLO', version: 1, features: ['param'], name: 'old' }))
const BANNER = 'ets Jul 29 2019 12:21:46\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\nready\r\n'

function set(value: number): Buffer {
  return Buffer.from(encodeFrame({ type: 'SET', address: '/old/value', value: int(value) }))
}

function slip(frame: Uint8Array): Buffer {
  const out = new OutputBuffer(64)
  slipEncode(frame, 0, frame.length, out)
  // As upstream firmware does: nothing in front.
  return Buffer.from(out.bytes.subarray(1, out.length))
}

async function start(
  t: TestContext,
  options: Partial<NonNullable<StageOptions['lines']>[0]> = {},
  more: StageOptions = {},
) {
  const stage = await Stage.start(t, { lines: [options], keepalive: 200, ...more })
  const device = ScriptedDevice.serial(stage.path(), t, { name: 'node', uid: UID, descriptor: DESCRIPTOR })
  const client = await stage.client()
  return { stage, device, client, wire: device.wire }
}

async function isMode(stage: Stage, state: string): Promise<void> {
  const deadline = performance.now() + 15_000
  for (;;) {
    const { ports } = await stage.page()
    if (ports[0].state === state) return
    if (performance.now() > deadline) throw new Error(`the port is ${ports[0].state}, not ${state}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Bytes that end no frame of any kind and begin none that would be waited for. */
function noise(length: number): Buffer {
  return Buffer.from(randomBytes(length).map((byte) => (byte === 0x53 || byte === 0 || byte === 0xc0 ? 0x80 : byte)))
}

function slowly(wire: SerialWire, bytes: Buffer): Promise<void> {
  return [...bytes].reduce(async (before, byte) => {
    await before
    wire.write(Buffer.from([byte]))
    await wire.drained()
    await new Promise((resolve) => setTimeout(resolve, 2))
  }, Promise.resolve())
}

test('the link is found behind noise, a boot banner and half a frame', async (t) => {
  const { stage, device, client, wire } = await start(t)
  wire.write(noise(200))
  wire.write(BANNER)
  wire.write(HELLO.subarray(0, 9))
  wire.write(wire.encode(Buffer.concat([Buffer.from([0x82, 0]), device.announcement()])).subarray(0, 20))
  await device.join()
  await isMode(stage, 'link')
  device.lossy(val(0, LinkType.f32, 1))
  await untilParam(client, '/dev/node/temp', (value) => plain(value) === 1)
})

test('bare frames are found behind noise, a boot banner and half a frame', async (t) => {
  const { stage, client, wire } = await start(t)
  wire.write(noise(200))
  wire.write(BANNER)
  wire.write(HELLO.subarray(0, 9))
  wire.write(HELLO)
  await isMode(stage, 'raw')
  wire.write(set(5))
  await untilParam(client, '/old/value', (value) => plain(value) === 5)
  assert.ok(wire.received.includes(Buffer.from([0x53, 0x01])), 'WELCOME as a bare frame')
})

test('SLIP is found behind noise, a boot banner and half a frame', async (t) => {
  const { stage, client, wire } = await start(t)
  wire.write(noise(200))
  wire.write(BANNER)
  wire.write(slip(HELLO).subarray(0, 9))
  wire.write(slip(HELLO))
  await isMode(stage, 'slip')
  wire.write(slip(set(-1)))
  await untilParam(client, '/old/value', (value) => plain(value) === -1)
  await until(() => wire.received.includes(Buffer.from([0xc0, 0x53])), 'WELCOME in SLIP')
})

test('SLIP, bare frames and the link are told apart when every byte comes by itself', async (t) => {
  const { stage, client, wire } = await start(t)
  await slowly(wire, slip(HELLO))
  await isMode(stage, 'slip')
  const other = await start(t)
  await slowly(other.wire, HELLO)
  await isMode(other.stage, 'raw')
  const third = await start(t)
  const announce = Buffer.concat([Buffer.from([0x82, 0]), third.device.announcement()])
  await slowly(third.wire, third.wire.encode(announce))
  await isMode(third.stage, 'link')
  wire.write(slip(set(3)))
  await untilParam(client, '/old/value', (value) => plain(value) === 3)
})

test('frames that come right behind a bare HELLO count', async (t) => {
  const { client, wire } = await start(t)
  wire.write(Buffer.concat([HELLO, set(1), set(2)]))
  await untilParam(client, '/old/value', (value) => plain(value) === 2)
})

test('a device that resets in the middle of a frame is understood with its next one', async (t) => {
  const { device, client, wire } = await start(t)
  await device.join()
  for (let i = 1; i <= 5; i++) {
    const cut = wire.encode(Buffer.concat([Buffer.from([0, 0]), val(0, LinkType.f32, i)]))
    wire.write(cut.subarray(0, 3 + i))
    wire.setSession(0)
    device.identity.bootNonce++
    await device.join()
    device.reliable(val(0, LinkType.f32, i * 10))
    await untilParam(client, '/dev/node/temp', (value) => plain(value) === i * 10)
  }
})

test('firmware with the link in place of firmware with bare frames is found at its first announcement', async (t) => {
  const { stage, device, wire } = await start(t)
  wire.write(HELLO)
  await isMode(stage, 'raw')
  await device.join()
  await isMode(stage, 'link')
  const names = stage.router.sessionStatistics().map(({ name }) => name)
  assert.deepEqual(names.toSorted(), ['client', 'node'])
})

test('firmware with bare frames in place of firmware with the link is found once the link is lost', async (t) => {
  const { stage, device, client, wire } = await start(t)
  await device.join()
  device.answersPings = false
  await isMode(stage, 'listening')
  wire.write(HELLO)
  await isMode(stage, 'raw')
  wire.write(set(9))
  await untilParam(client, '/old/value', (value) => plain(value) === 9)
})

test('a line of which nothing can be read for ten seconds is looked at anew', async (t) => {
  const clock = new LeapingClock()
  const { stage, wire } = await start(t, {}, { clock })
  wire.write(slip(HELLO))
  await isMode(stage, 'slip')
  // Bare frames: no END ever comes.
  for (let i = 0; i < 8; i++) {
    wire.write(noise(300))
    const before = stage.firmware.hub.clock.now()
    clock.leap(3000)
    assert.ok(stage.firmware.hub.clock.now() > before)
    const { bytesIn } = (await stage.page()).ports[0].counters
    await until(() => bytesIn >= 0, 'a turn')
  }
  await isMode(stage, 'listening')
  wire.write(HELLO)
  await isMode(stage, 'raw')
})

test('a port that is set to one form takes no other', async (t) => {
  const raw = await start(t, { mode: 'raw' })
  raw.device.announce()
  raw.wire.write(slip(HELLO).subarray(0, 4))
  raw.wire.write(HELLO)
  await isMode(raw.stage, 'raw')
  const forced = await start(t, { mode: 'slip' })
  forced.device.announce()
  forced.wire.write(HELLO)
  forced.wire.write(Buffer.from([0xc0]))
  forced.wire.write(slip(HELLO))
  await isMode(forced.stage, 'slip')
  const link = await start(t, { mode: 'link' })
  link.wire.write(HELLO)
  link.wire.write(slip(HELLO))
  await link.device.join()
  await isMode(link.stage, 'link')
  assert.equal(raw.device.welcomes.length + forced.device.welcomes.length, 0)
  assert.deepEqual(
    link.stage.router.sessionStatistics().map(({ name }) => name),
    ['client', 'node'],
  )
})

test('frames without HELLO count only where the port says so', async (t) => {
  const { client, wire, stage } = await start(t, { implicitHello: true })
  wire.write(set(4))
  await untilParam(client, '/old/value', (value) => plain(value) === 4)
  const names = stage.router.sessionStatistics().map(({ name }) => name)
  assert.ok(names.includes(stage.lines[0].a))
  const strict = await start(t)
  strict.wire.write(set(4))
  strict.wire.write(HELLO)
  await isMode(strict.stage, 'raw')
  strict.wire.write(set(6))
  await untilParam(strict.client, '/old/value', (value) => plain(value) === 6)
})

test('what firmware prints goes to the log once, before the link and between its frames', async (t) => {
  const { stage, device, wire } = await start(t)
  const said = () => stage.logged('device says').map(({ fields }) => fields.text)
  wire.write('hello from setup\r\n')
  await until(() => said().length > 0, 'the line')
  await device.join()
  wire.write('temperature is fine\r\n')
  device.lossy(val(0, LinkType.f32, 1))
  await until(() => said().includes('temperature is fine'), 'the line between frames')
  device.control(Control.log, Buffer.from('\x02sensor lost'))
  await until(() => said().includes('sensor lost'), 'the LOG frame')
  assert.deepEqual(said(), ['hello from setup', 'temperature is fine', 'sensor lost'])
  assert.equal(stage.logged('device says').at(-1)?.level, 'warn')
})

test('what a device says cannot write control characters into the log', async (t) => {
  const { stage, device, wire } = await start(t)
  await device.join()
  device.control(Control.log, Buffer.from('\x01\x1b[2Jcleared\r\nfake line\x07'))
  wire.write(Buffer.from('\x1b[31mred\r\n\0'))
  await until(() => stage.logged('device says').length > 0, 'the line')
  for (const { fields } of stage.logged('device says')) assert.doesNotMatch(String(fields.text), /\p{Cc}/u)
})

test('the router asks who is there, again and again, and takes the answer', async (t) => {
  const clock = new LeapingClock()
  const { stage, device } = await start(t, {}, { clock })
  const asked = () => device.frames.filter(({ ctrl }) => ctrl === 0x8c).length
  await until(() => asked() > 0, 'PROBE')
  const before = asked()
  clock.leap(2100)
  await until(() => asked() > before, 'another PROBE')
  device.announcesWhenAsked = true
  clock.leap(2100)
  await until(() => device.welcomes.length > 0, 'WELCOME')
  await device.describe()
  await stage.is(UID, 'online')
})

test('nothing is said to a board that was reset for the time of its boot loader', async (t) => {
  const clock = new LeapingClock()
  const { device } = await start(t, { resetOnOpen: true }, { clock })
  clock.leap(1500)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(device.wire.bytesIn, 0)
  clock.leap(1000)
  await until(() => device.frames.some(({ ctrl }) => ctrl === 0x8c), 'PROBE')
})

test('a device that was sent away is not asked to come back at once', async (t) => {
  const clock = new LeapingClock()
  const { stage, device } = await start(t, {}, { clock })
  await device.join()
  const other = await ScriptedDevice.udp(stage.udpPort, t, { name: 'node', uid: UID, descriptor: DESCRIPTOR })
  await other.join()
  await until(() => device.byes.length === 1, 'BYE')
  const asked = () => device.frames.filter(({ ctrl }) => ctrl === 0x8c).length
  const before = asked()
  clock.leap(9000)
  await stage.client()
  assert.equal(asked(), before)
  clock.leap(2000)
  await until(() => asked() > before, 'PROBE')
})
