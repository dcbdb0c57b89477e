/**
 * The Arduino library: its exact bytes (firmware reference §3.2), and its receive state machine with the limits that
 * decide what it understands (§3.3, §3.4).
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { FrameFlag, MessageCode } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { NarrowAcceptor } from '../../runtime/firmware/narrow-acceptor.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { Bench, bytes, float, int, nil, type Setup, text } from '../router/fixture.ts'
import { until } from '../until.ts'

const HELLO = '00000010 53 41 000C 01 01 E0 0005 4553503332 0000'
const PONG = '00000005 53 01 0001 42'
const SUBSCRIBE_LED = '00000014 53 01 0010 10 00000001 0007 2F6C65642F2A2A FF 00'
const SUBSCRIBE_ALL = '00000010 53 01 000C 10 00000001 0003 2F2A2A FF 00'
const SET_T = '00000010 53 01 000C 21 06 0004 2F732F74 41AC0000'
/** Its receive buffer holds 256 bytes with the length prefix. */
const LARGEST_FRAME = 252
/** i8, i16, arrays and maps it does not know, and f64 overruns the `double` of an AVR. */
const READABLE: Value['type'][] = ['null', 'bool', 'i32', 'f32', 'string', 'bytes']

class Arduino {
  readonly frames: Buffer[] = []
  /** Lengths on which the library would lose its place in the stream. */
  readonly unreadable: number[] = []
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

  static async welcomed(port: number): Promise<Arduino> {
    const arduino = new Arduino(port)
    await once(arduino.socket, 'connect')
    arduino.write(HELLO)
    await until(() => arduino.received('WELCOME').length === 1, 'WELCOME')
    return arduino
  }

  /** Prefix and frame in one write, as the library does. */
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

  get values(): [string, Value][] {
    return this.received('SET').map(({ address, value }) => [address, value])
  }

  close(): void {
    this.socket.destroy()
  }

  private read(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk])
    while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readUInt32BE(0)) {
      const end = 4 + this.rest.readUInt32BE(0)
      if (end === 4 || end - 4 > LARGEST_FRAME) this.unreadable.push(end - 4)
      this.frames.push(this.rest.subarray(4, end))
      this.rest = this.rest.subarray(end)
    }
  }
}

describe('the Arduino library', () => {
  let bench: Bench
  let arduino: Arduino | undefined

  const start = (listen?: Setup['listen']) =>
    Bench.start({
      listen,
      wrap: (router) => new NarrowAcceptor(router, { clock: systemClock, log: silentLog }),
    })

  beforeEach(async () => {
    bench = await start()
  })

  afterEach(async () => {
    arduino?.close()
    arduino = undefined
    await bench.stop()
  })

  /** What every frame must be, whatever it says. */
  function assertReadable({ frames, messages, unreadable }: Arduino): void {
    assert.deepEqual(unreadable, [])
    for (const frame of frames) {
      assert.equal(frame[0], 0x53)
      assert.equal(frame[1] & FrameFlag.timestamp, 0, 'no timestamp in the header')
      assert.equal(4 + frame.readUInt16BE(2), frame.length, 'one message in a frame')
      assert.notEqual(frame[4], MessageCode.bundle)
    }
    for (const value of messages.flatMap((message) =>
      message.type === 'SET' || message.type === 'PUBLISH' ? message.value : [],
    )) {
      assert.ok(value === undefined || READABLE.includes(value.type), value?.type)
    }
  }

  test('is welcomed in one small frame', async () => {
    arduino = await Arduino.welcomed(bench.port)
    assert.equal(arduino.frames[0][4], MessageCode.welcome)
    assert.equal(arduino.messages[0].type, 'WELCOME')
    await until(() => arduino?.received('SNAPSHOT').length === 1, 'the empty SNAPSHOT')
    assert.equal(arduino.frames[1].toString('hex'), '53010003230000')
    assertReadable(arduino)
  })

  test('what it sets arrives as 64-bit integers and floats, strings and booleans', async () => {
    const reader = await bench.join()
    reader.subscribe(1, '/s/*')
    await reader.settle()
    arduino = await Arduino.welcomed(bench.port)
    arduino.write(SET_T)
    arduino.write('00000010 53 01 000C 21 04 0004 2F732F6E FFFFFFFE')
    arduino.write('00000010 53 01 000C 21 08 0004 2F732F73 0002 6F6E')
    arduino.write('0000000D 53 01 0009 21 01 0004 2F732F62 01')
    const seen = []
    for (let i = 0; i < 4; i++) seen.push(await reader.next('SET'))
    assert.deepEqual(
      seen.map(({ address, value }) => [address, value]),
      [
        ['/s/t', float(21.5)],
        ['/s/n', int(-2)],
        ['/s/s', text('on')],
        ['/s/b', { type: 'bool', value: true }],
      ],
    )
  })

  test('its events and streams reach the others', async () => {
    const reader = await bench.join()
    reader.subscribe(1, '/*')
    await reader.settle()
    arduino = await Arduino.welcomed(bench.port)
    arduino.write('0000000B 53 01 0007 20 20 0002 2F65 00')
    arduino.write('00000010 53 01 000C 20 20 0002 2F65 01 06 3F800000')
    arduino.write('00000010 53 01 000C 20 40 0002 2F6D 01 06 3F000000')
    const [plain, loud, stream] = [
      await reader.next('PUBLISH'),
      await reader.next('PUBLISH'),
      await reader.next('PUBLISH'),
    ]
    assert.deepEqual([plain.address, plain.signal, plain.value], ['/e', 'event', undefined])
    assert.deepEqual([loud.address, loud.signal, loud.value], ['/e', 'event', float(1)])
    assert.deepEqual([stream.address, stream.signal, stream.value], ['/m', 'stream', float(0.5)])
  })

  test('subscribed, it gets the stored values and then updates in types that it can read', async () => {
    const writer = await bench.join()
    writer.set('/led/1', float(0.25))
    writer.set('/led/2', int(7))
    writer.set('/other', int(1))
    await writer.settle()
    arduino = await Arduino.welcomed(bench.port)
    arduino.write(SUBSCRIBE_LED)
    await until(() => arduino?.values.length === 2, 'the stored values')
    writer.set('/led/1', float(0.5))
    writer.set('/led/2', { type: 'i8', value: -3 })
    writer.set('/led/3', nil)
    writer.set('/led/4', int(3_000_000_000))
    writer.set('/led/5', text('on'))
    writer.send({ type: 'PUBLISH', address: '/led/flash', signal: 'event', value: { type: 'i16', value: 300 } })
    writer.send({ type: 'PUBLISH', address: '/led/level', signal: 'stream', samples: [0.25, 0.75] })
    await until(() => arduino?.received('PUBLISH').length === 2, 'the event and the stream')
    assert.deepEqual(
      arduino.values.sort(([a], [b]) => a.localeCompare(b)),
      [
        ['/led/1', { type: 'f32', value: 0.25 }],
        ['/led/1', { type: 'f32', value: 0.5 }],
        ['/led/2', { type: 'i32', value: 7 }],
        ['/led/2', { type: 'i32', value: -3 }],
        ['/led/3', nil],
        ['/led/4', { type: 'f32', value: 3_000_000_000 }],
        ['/led/5', text('on')],
      ],
    )
    assert.deepEqual(
      arduino.received('PUBLISH').map(({ value }) => value),
      [
        { type: 'i32', value: 300 },
        { type: 'f32', value: 0.75 },
      ],
    )
    assertReadable(arduino)
  })

  test('the state of a large router comes when it subscribes, not before, in frames that fit its buffer', async () => {
    const writer = await bench.join()
    for (let i = 0; i < 200; i++) writer.set(`/control/esp32/channel/${i}/name`, text('x'.repeat(i % 150)))
    await writer.settle()
    arduino = await Arduino.welcomed(bench.port)
    arduino.write(SET_T)
    await until(() => arduino?.received('ACK').length === 1, 'everything so far')
    assert.equal(arduino.frames.filter((frame) => frame.toString('hex') === '53010003230000').length, 1)
    assert.equal(arduino.values.length, 0)
    arduino.write(SUBSCRIBE_ALL)
    await until(() => (arduino?.values.length ?? 0) >= 201, '201 params')
    assert.equal(new Set(arduino.values.map(([address]) => address)).size, 201)
    assert.deepEqual(
      arduino.received('SNAPSHOT').flatMap(({ params }) => params),
      [],
    )
    assertReadable(arduino)
  })

  test('what does not fit its buffer is left out, and what follows still comes', async () => {
    const writer = await bench.join()
    writer.set('/big', bytes(300))
    await writer.settle()
    arduino = await Arduino.welcomed(bench.port)
    arduino.write(SUBSCRIBE_ALL)
    await until(() => bench.router.statistics.subscriptions === 1, 'the subscription')
    writer.set('/big', bytes(2000))
    writer.send({ type: 'PUBLISH', address: '/big/event', signal: 'event', value: bytes(300) })
    writer.set('/small', int(1))
    await until(() => arduino?.values.length === 1, 'the small one')
    assert.deepEqual(arduino.values, [['/small', { type: 'i32', value: 1 }]])
    assert.deepEqual(arduino.received('PUBLISH'), [])
    assertReadable(arduino)
  })

  test('an array or a map does not spoil the values beside it', async () => {
    const writer = await bench.join()
    for (let i = 0; i < 10; i++) {
      writer.set(`/p/${i}a`, int(i))
      writer.set(`/p/${i}b`, { type: 'array', value: [int(1), int(2)] })
      writer.set(`/p/${i}c`, { type: 'map', value: [['r', float(1)]] })
    }
    await writer.settle()
    arduino = await Arduino.welcomed(bench.port)
    arduino.write(SUBSCRIBE_ALL)
    await until(() => arduino?.values.length === 10, 'the ten that it can read')
    writer.send({ type: 'PUBLISH', address: '/p/e', signal: 'event', value: { type: 'array', value: [] } })
    writer.set('/p/list', { type: 'array', value: [] })
    writer.set('/p/last', int(1))
    await until(() => arduino?.values.length === 11, 'the last one')
    assert.deepEqual(arduino.received('PUBLISH'), [])
    assertReadable(arduino)
  })

  test('a bundle reaches it as single messages', async () => {
    const writer = await bench.join()
    arduino = await Arduino.welcomed(bench.port)
    arduino.write(SUBSCRIBE_LED)
    await until(() => bench.router.statistics.subscriptions === 1, 'the subscription')
    writer.send({
      type: 'BUNDLE',
      messages: Array.from({ length: 30 }, (_, i) => ({ type: 'SET', address: `/led/${i}`, value: int(i) })),
    })
    await until(() => arduino?.received('SET').length === 30, '30 values')
    assertReadable(arduino)
  })

  test('keeps its session with nothing but the PONGs that it sends unasked', async () => {
    await bench.stop()
    bench = await start({ idleTimeoutMs: 600 })
    arduino = await Arduino.welcomed(bench.port)
    const silent = await Arduino.welcomed(bench.port)
    for (let i = 0; i < 10; i++) {
      arduino.write(PONG)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await until(() => silent.isClosed, 'the end of the silent one')
    assert.equal(arduino.isClosed, false)
    assert.equal(bench.router.statistics.sessions, 1)
    assert.equal(bench.router.statistics.undecodable, 0)
  })

  test('unsubscribes', async () => {
    const writer = await bench.join()
    arduino = await Arduino.welcomed(bench.port)
    arduino.write(SUBSCRIBE_LED)
    await until(() => bench.router.statistics.subscriptions === 1, 'the subscription')
    arduino.write('00000009 53 01 0005 11 00000001')
    await until(() => bench.router.statistics.subscriptions === 0, 'its end')
    writer.set('/led/1', int(1))
    await writer.settle()
    arduino.write(SET_T)
    await until(() => arduino?.received('ACK').length === 1, 'its own ACK')
    assert.deepEqual(arduino.received('SET'), [])
  })
})
