/**
 * Upstream firmware on a serial line, bare and in SLIP, against the whole router with the published JavaScript client at
 * its other side. The bytes are those of the embedded client (firmware reference §2.2).
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, mock, type TestContext, test } from 'node:test'
import { Clasp, type Value } from '@clasp-to/core'
import { WebSocket } from 'ws'
import { MessageCode, ValueCode } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { Line } from '../line/line.ts'
import { RawEnd } from '../line/raw-end.ts'
import { until } from '../until.ts'
import { portFolder, Runtime } from './runtime-fixture.ts'

type Form = 'bare' | 'slip'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const HELLO = hex('53 01 00 0C 01 01 F8 00 05 45 53 50 33 32 00 00')
const SET_TEMPERATURE = hex('53 01 00 18 21 07 00 0C 2F 73 65 6E 73 6F 72 2F 74 65 6D 70 40 39 80 00 00 00 00 00')
/** -64: SLIP escapes its last byte. */
const SET_NUMBER = hex('53 01 00 15 21 05 00 09 2F 73 65 6E 73 6F 72 2F 6E FF FF FF FF FF FF FF C0')
const SUBSCRIBE_LED = hex('53 01 00 10 10 00 00 00 00 00 07 2F 6C 65 64 2F 2A 2A FF 00')
/** The only types that it reads in a SET, and how long an address may be. */
const READABLE: number[] = [ValueCode.null, ValueCode.bool, ValueCode.i64, ValueCode.f64]
const LONGEST_ADDRESS = 64

function slipped(frame: Buffer): Buffer {
  const bytes = [...frame].flatMap((byte) => (byte === 0xc0 ? [0xdb, 0xdc] : byte === 0xdb ? [0xdb, 0xdd] : [byte]))
  return Buffer.from([...bytes, 0xc0])
}

/** One end of a line with upstream firmware on it. */
class Upstream {
  readonly line: Line
  private readonly end: RawEnd
  private readonly form: Form

  constructor(line: Line, form: Form, t: TestContext) {
    this.line = line
    this.form = form
    this.end = new RawEnd(line.a, t)
  }

  write(frame: Buffer): Promise<void> {
    return this.end.write(this.form === 'slip' ? slipped(frame) : frame)
  }

  raw(bytes: Uint8Array): Promise<void> {
    return this.end.write(bytes)
  }

  /** Everything from WELCOME on, which must be frames and nothing else. Before it the router asks for other firmware. */
  get frames(): Buffer[] {
    const { received } = this.end
    return this.form === 'slip' ? slipFrames(received) : bareFrames(received)
  }

  /** Type, address and value of the SETs. */
  get sets(): { type: number; address: string; value: unknown }[] {
    return this.frames
      .filter((frame) => frame[4] === MessageCode.set)
      .map((frame) => {
        const decoded = decodeFrame(frame)
        assert.ok(!(decoded instanceof DecodeError) && decoded.message.type === 'SET')
        const { address, value } = decoded.message
        return { type: frame[5] & 0x0f, address, value: 'value' in value ? value.value : null }
      })
  }
}

function bareFrames(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  let at = bytes.findIndex((byte, i) => byte === 0x53 && bytes[i + 4] === MessageCode.welcome)
  if (at < 0) return frames
  while (at + 4 <= bytes.length && at + 4 + bytes.readUInt16BE(at + 2) <= bytes.length) {
    assert.equal(bytes[at], 0x53, `something else between frames: ${bytes.subarray(at).toString('hex')}`)
    const end = at + 4 + bytes.readUInt16BE(at + 2)
    frames.push(bytes.subarray(at, end))
    at = end
  }
  return frames
}

function slipFrames(bytes: Buffer): Buffer[] {
  const blocks: number[][] = [[]]
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === 0xc0) blocks.push([])
    else if (bytes[i] === 0xdb) blocks.at(-1)?.push(bytes[++i] === 0xdc ? 0xc0 : 0xdb)
    else blocks.at(-1)?.push(bytes[i])
  }
  const frames = blocks.slice(0, -1).filter((block) => block.length > 0)
  const first = frames.findIndex((block) => block[0] === 0x53 && block[4] === MessageCode.welcome)
  return first < 0 ? [] : frames.slice(first).map((block) => Buffer.from(block))
}

async function stage(t: TestContext, form: Form) {
  const folder = portFolder(t)
  const line = await Line.open({ a: join(folder, 'device'), b: join(folder, 'router') }, t)
  const runtime = await Runtime.start(t, { serial: [{ port: line.b }] })
  const device = new Upstream(line, form, t)
  const client = new Clasp(`ws://127.0.0.1:${runtime.port}`, { reconnect: false, name: 'desk' })
  await client.connect()
  t.after(() => client.close())
  // What arrives while the port is being set up is thrown away.
  await runtime.shows(({ ports }) => ports[0].state === 'listening')
  return { line, runtime, device, client }
}

async function greet(device: Upstream): Promise<void> {
  await device.write(HELLO)
  await until(() => device.frames.length > 0, 'WELCOME')
}

function record(client: Clasp, pattern: string): [string, Value][] {
  const deliveries: [string, Value][] = []
  client.on(pattern, (value, address) => deliveries.push([address, value]))
  return deliveries
}

before(() => {
  // A platform feature from Node 22 on.
  if (!('WebSocket' in globalThis)) Object.assign(globalThis, { WebSocket })
  // The client prints every ACK and every ERROR.
  mock.method(console, 'debug', () => {})
  mock.method(console, 'error', () => {})
})

after(() => mock.restoreAll())

for (const form of ['bare', 'slip'] as const) {
  test(`${form} frames: what the firmware sets is seen by the JavaScript client`, async (t) => {
    const { device, client, runtime } = await stage(t, form)
    const seen = record(client, '/sensor/**')
    await greet(device)
    await device.write(SET_TEMPERATURE)
    await device.write(SET_NUMBER)
    await until(() => seen.length >= 2, 'both values')
    assert.deepEqual(seen, [
      ['/sensor/temp', 25.5],
      ['/sensor/n', -64],
    ])
    assert.ok((await runtime.status()).sessions.some(({ name }) => name === 'ESP32'))
    assert.equal((await runtime.report()).ports[0].state, form === 'slip' ? 'slip' : 'raw')
  })

  test(`${form} frames: what it subscribes to comes as SETs that it can decode, and nothing else does`, async (t) => {
    const { device, client } = await stage(t, form)
    client.set('/led/before', 0.5)
    client.set('/not/subscribed', 1)
    await client.get('/not/subscribed')
    await greet(device)
    await device.write(SUBSCRIBE_LED)
    await until(() => device.sets.some(({ address }) => address === '/led/before'), 'the stored value')
    client.set('/led/on', true)
    client.set('/led/level', 0.25)
    // Its last byte is one that SLIP escapes.
    client.set('/led/steps', 192)
    client.set('/led/text', 'on')
    client.set('/led/list', [1, 2, 3])
    client.set(`/led/${'x'.repeat(LONGEST_ADDRESS)}`, 1)
    client.set('/led/last', 7)
    await until(() => device.sets.some(({ address }) => address === '/led/last'), 'the last value')
    const { sets } = device
    for (const { type, address } of sets) {
      assert.ok(READABLE.includes(type), `${address} has type ${type}`)
      assert.ok(address.length <= LONGEST_ADDRESS, address)
    }
    assert.deepEqual(
      sets.map(({ address, value }) => [address, value]),
      [
        ['/led/before', 0.5],
        ['/led/on', true],
        ['/led/level', 0.25],
        ['/led/steps', 192],
        ['/led/last', 7],
      ],
    )
    assert.equal(
      device.frames.some((frame) => (frame[1] & 0x20) !== 0),
      false,
      'no frame has a timestamp',
    )
  })

  test(`${form} frames: noise, text and half a frame in front of HELLO and between frames cost nothing`, async (t) => {
    const { device, client } = await stage(t, form)
    const seen = record(client, '/sensor/**')
    await device.raw(Buffer.from('\r\nboot 1.2\r\nready\r\n'))
    await device.raw(hex('FF FE 80 00 00 91 1B 5B'))
    await device.raw(HELLO.subarray(0, 7))
    if (form === 'slip') await device.raw(hex('C0'))
    // Until half a frame is given up.
    await new Promise((resolve) => setTimeout(resolve, 400))
    await greet(device)
    await device.raw(hex('00 FF 17 2A'))
    if (form === 'slip') await device.raw(hex('C0'))
    await device.write(SET_TEMPERATURE)
    await until(() => seen.length >= 1, 'the value')
    assert.deepEqual(seen, [['/sensor/temp', 25.5]])
  })

  test(`${form} frames: a device that is replugged and says HELLO again is served again`, async (t) => {
    const { device, client, line, runtime } = await stage(t, form)
    const seen = record(client, '/sensor/**')
    await greet(device)
    await line.unplug('b')
    await runtime.shows(({ ports }) => ports[0].state === 'absent' || ports[0].state === 'failed')
    await line.plug('b')
    await runtime.shows(({ ports }) => ports[0].state === 'listening')
    const before = device.frames.filter((frame) => frame[4] === MessageCode.welcome).length
    await device.write(HELLO)
    await device.write(SET_TEMPERATURE)
    await until(() => seen.length === 1, 'the value')
    assert.ok(before >= 1)
    assert.equal((await runtime.status()).sessions.filter(({ name }) => name === 'ESP32').length, 1)
  })
}
