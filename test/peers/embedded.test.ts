/** The embedded client over a byte stream of bare frames: its exact bytes and what it can decode (firmware reference §2). */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { FrameFlag, MessageCode, ValueCode } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, frameLength } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { NarrowAcceptor } from '../../runtime/firmware/narrow-acceptor.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { Bench, bool, float, int, nil, text } from '../router/fixture.ts'
import { until } from '../until.ts'

const HELLO = '53 01 00 0C 01 01 F8 00 05 45 53 50 33 32 00 00'
const PING = '53 01 00 01 41'
/** SUBSCRIBE with the id that all its subscriptions have. */
const SUBSCRIBE_LED = '53 01 00 10 10 00 00 00 00 00 07 2F 6C 65 64 2F 2A 2A FF 00'
const SUBSCRIBE_FAN = '53 01 00 0D 10 00 00 00 00 00 04 2F 66 61 6E FF 00'
const SUBSCRIBE_ALL_X = '53 01 00 0D 10 00 00 00 00 00 04 2F 2A 2F 78 FF 00'
/** The only value types that it reads in a SET. */
const READABLE: number[] = [ValueCode.null, ValueCode.bool, ValueCode.i64, ValueCode.f64]

class Embedded {
  readonly frames: Buffer[] = []
  isClosed = false
  private readonly socket: Socket
  private rest = Buffer.alloc(0)

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.isClosed = true
    })
    this.socket.on('data', (chunk) => this.read(chunk))
  }

  static async welcomed(port: number): Promise<Embedded> {
    const device = new Embedded(port)
    await once(device.socket, 'connect')
    device.write(HELLO)
    await until(() => device.received('WELCOME').length === 1, 'WELCOME')
    return device
  }

  write(hex: string): void {
    this.socket.write(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  }

  get messages(): Message[] {
    return this.frames.map((frame) => {
      const decoded = decodeFrame(frame)
      assert.ok(!(decoded instanceof DecodeError), frame.toString('hex'))
      return decoded.message
    })
  }

  received<T extends Message['type']>(type: T): Extract<Message, { type: T }>[] {
    return this.messages.filter((message): message is Extract<Message, { type: T }> => message.type === type)
  }

  /** Resolves when the router has answered all that was written so far. */
  async settle(): Promise<void> {
    const before = this.received('PONG').length
    this.write(PING)
    await until(() => this.received('PONG').length > before, 'PONG')
  }

  close(): void {
    this.socket.destroy()
  }

  private read(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk])
    for (;;) {
      const length = frameLength(this.rest, 0, this.rest.length)
      assert.notEqual(length, -1, 'nothing stands between the frames')
      if (length === 0 || length > this.rest.length) return
      this.frames.push(this.rest.subarray(0, length))
      this.rest = this.rest.subarray(length)
    }
  }
}

describe('the embedded client over bare frames', () => {
  let bench: Bench
  let device: Embedded

  beforeEach(async () => {
    bench = await Bench.start({
      wrap: (router) => new NarrowAcceptor(router, { clock: systemClock, log: silentLog }),
    })
  })

  afterEach(async () => {
    device.close()
    await bench.stop()
  })

  /** In every SET that went to the device. */
  function setTypes(): number[] {
    const sets = device.frames.filter((frame) => frame[4] === MessageCode.set)
    return sets.map((frame) => frame[5] & 0x0f)
  }

  test('is welcomed with a session, in frames without a timestamp', async () => {
    device = await Embedded.welcomed(bench.port)
    await device.settle()
    assert.notEqual(device.received('WELCOME')[0].session, '')
    for (const frame of device.frames) assert.equal(frame[1] & FrameFlag.timestamp, 0)
  })

  test('is welcomed when its HELLO comes byte by byte', async () => {
    device = new Embedded(bench.port)
    for (const byte of HELLO.split(' ')) {
      device.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => device.received('WELCOME').length === 1, 'WELCOME')
  })

  test('what it sets arrives: null, bool, integer and float', async () => {
    const reader = await bench.join()
    reader.subscribe(1, '/**')
    await reader.settle()
    device = await Embedded.welcomed(bench.port)
    device.write('53 01 00 18 21 07 00 0C 2F 73 65 6E 73 6F 72 2F 74 65 6D 70 40 39 80 00 00 00 00 00')
    device.write('53 01 00 15 21 05 00 09 2F 73 65 6E 73 6F 72 2F 6E FF FF FF FF FF FF FF D6')
    device.write('53 01 00 0E 21 01 00 09 2F 73 65 6E 73 6F 72 2F 62 01')
    device.write('53 01 00 06 21 00 00 02 2F 78')
    const seen = []
    for (let i = 0; i < 4; i++) seen.push(await reader.next('SET'))
    assert.deepEqual(
      seen.map(({ address, value }) => [address, value]),
      [
        ['/sensor/temp', float(25.5)],
        ['/sensor/n', int(-42)],
        ['/sensor/b', bool(true)],
        ['/x', nil],
      ],
    )
  })

  test('its subscriptions all count, though it calls every one of them 0', async () => {
    const writer = await bench.join()
    device = await Embedded.welcomed(bench.port)
    device.write(SUBSCRIBE_LED)
    device.write(SUBSCRIBE_FAN)
    device.write(SUBSCRIBE_ALL_X)
    device.write(SUBSCRIBE_LED)
    await device.settle()
    assert.equal(bench.router.statistics.subscriptions, 3)
    for (const address of ['/led/1/level', '/fan', '/led/x', '/pump/x', '/other']) writer.set(address, int(1))
    await writer.settle()
    await device.settle()
    assert.deepEqual(
      device.received('SET').map(({ address }) => address),
      ['/led/1/level', '/fan', '/led/x', '/pump/x'],
      'each update once, whatever number of patterns it matches',
    )
  })

  test('numbers of any width reach it as the widths that it reads', async () => {
    const writer = await bench.join()
    device = await Embedded.welcomed(bench.port)
    device.write(SUBSCRIBE_LED)
    await device.settle()
    writer.set('/led/1', { type: 'i8', value: -1 })
    writer.set('/led/2', { type: 'i16', value: 300 })
    writer.set('/led/3', { type: 'i32', value: 70_000 })
    writer.set('/led/4', { type: 'f32', value: 0.25 })
    writer.set('/led/5', bool(true))
    writer.set('/led/6', nil)
    await writer.settle()
    await device.settle()
    assert.deepEqual(
      device.received('SET').map(({ value }) => value),
      [int(-1), int(300), int(70_000), float(0.25), bool(true), nil],
    )
    for (const type of setTypes()) assert.ok(READABLE.includes(type), `type ${type}`)
  })

  test('the stored values that it subscribes to come as SETs', async () => {
    const writer = await bench.join()
    writer.set('/led/1', float(0.5))
    await writer.settle()
    device = await Embedded.welcomed(bench.port)
    device.write(SUBSCRIBE_LED)
    await until(() => device.received('SET').length === 1, 'the stored value')
    assert.deepEqual(
      device.received('SET').map(({ address, value }) => [address, value]),
      [['/led/1', float(0.5)]],
    )
  })

  test('values that it cannot read do not reach it', async () => {
    const writer = await bench.join()
    device = await Embedded.welcomed(bench.port)
    device.write(SUBSCRIBE_LED)
    await device.settle()
    writer.set('/led/text', text('on'))
    writer.set('/led/list', { type: 'array', value: [int(1)] })
    writer.set('/led/level', int(1))
    await writer.settle()
    await device.settle()
    assert.deepEqual(setTypes(), [ValueCode.i64])
  })

  test('the broken frames that it makes of too long names and values cost it nothing', async () => {
    device = await Embedded.welcomed(bench.port)
    // SET without its address, SET without its value, SUBSCRIBE without its pattern (firmware reference §2.3).
    device.write('53 01 00 0A 21 07 40 39 80 00 00 00 00 00')
    device.write('53 01 00 06 21 07 00 02 2F 78')
    device.write('53 01 00 07 10 00 00 00 00 FF 00')
    await device.settle()
    assert.equal(bench.router.statistics.undecodable, 3)
    assert.equal(device.isClosed, false)
    device.write('53 01 00 06 21 00 00 02 2F 78')
    await device.settle()
    assert.equal(device.received('ACK').length, 1)
  })

  test('noise between its frames does not cost it the next one', async () => {
    device = await Embedded.welcomed(bench.port)
    device.write('00 FF 42 6F 6F 74 0D 0A')
    await device.settle()
    device.write(`53 53 ${PING}`)
    await until(() => device.received('PONG').length === 2, 'the answer to the PING behind the noise')
  })

  test('a HELLO that it sends again after a reset starts over, without its old subscriptions', async () => {
    device = await Embedded.welcomed(bench.port)
    device.write(SUBSCRIBE_LED)
    await device.settle()
    device.write(HELLO)
    await until(() => device.received('WELCOME').length === 2, 'the second WELCOME')
    const [first, second] = device.received('WELCOME')
    assert.notEqual(first.session, second.session)
    assert.equal(bench.router.statistics.subscriptions, 0)
    assert.equal(bench.router.statistics.sessions, 1)
  })
})
