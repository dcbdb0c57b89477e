/**
 * MessagePack payloads in ordinary frames, as the Python client sends what its compact encoder lacks: BUNDLE, QUERY and
 * maps of the user's own making (wire reference §8).
 */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { Bench, float, int, nil, type Peer, text } from '../router/fixture.ts'

type Packable = null | boolean | number | string | Uint8Array | Packable[] | { [key: string]: Packable }

/** Packs as Python's msgpack does: the shortest form, whole numbers as integers, all others as doubles. */
function pack(item: Packable): Buffer {
  if (item === null) return Buffer.of(0xc0)
  if (typeof item === 'boolean') return Buffer.of(item ? 0xc3 : 0xc2)
  if (typeof item === 'number') return packNumber(item)
  if (typeof item === 'string') {
    const utf8 = Buffer.from(item)
    return Buffer.concat([utf8.length < 32 ? Buffer.of(0xa0 | utf8.length) : Buffer.of(0xd9, utf8.length), utf8])
  }
  if (item instanceof Uint8Array) return Buffer.concat([Buffer.of(0xc4, item.length), item])
  if (Array.isArray(item)) return Buffer.concat([head(0x90, 0xdc, item.length), ...item.map(pack)])
  const entries = Object.entries(item)
  return Buffer.concat([
    head(0x80, 0xde, entries.length),
    ...entries.flatMap(([key, value]) => [pack(key), pack(value)]),
  ])
}

function head(short: number, long: number, count: number): Buffer {
  return count < 16 ? Buffer.of(short | count) : Buffer.of(long, count >>> 8, count & 0xff)
}

function packNumber(number: number): Buffer {
  if (Number.isInteger(number)) {
    if (number >= 0 && number < 128) return Buffer.of(number)
    if (number < 0 && number >= -32) return Buffer.of(number & 0xff)
    const bytes = Buffer.alloc(9, 0xd3)
    bytes.writeBigInt64BE(BigInt(number), 1)
    return bytes
  }
  const bytes = Buffer.alloc(9, 0xcb)
  bytes.writeDoubleBE(number, 1)
  return bytes
}

/** Flags 01, whatever the payload: the payload's first byte alone tells the form. */
function sendLegacy(peer: Peer, message: { [key: string]: Packable }): void {
  const payload = pack(message)
  peer.sendFrame(Buffer.concat([Buffer.of(0x53, 0x01, payload.length >>> 8, payload.length & 0xff), payload]))
}

describe('a peer that sends MessagePack', () => {
  let bench: Bench
  let python: Peer
  let reader: Peer

  beforeEach(async () => {
    bench = await Bench.start()
    python = await bench.join('python')
    reader = await bench.join('reader')
    reader.subscribe(1, '/**')
    await reader.settle()
  })

  afterEach(() => bench.stop())

  test('its bundle is applied and delivered in order, in the compact form', async () => {
    sendLegacy(python, {
      type: 'BUNDLE',
      timestamp: null,
      messages: [
        { type: 'SET', address: '/py/int', value: 42, revision: null, lock: false, unlock: false },
        { type: 'SET', address: '/py/float', value: 0.5 },
        { type: 'PUBLISH', address: '/py/event', signal: 'event', payload: { cue: 'go' } },
        { type: 'SET', address: '/py/list', value: [1, 'two', null] },
      ],
    })
    const [whole, real] = [await reader.next('SET'), await reader.next('SET')]
    const event = await reader.next('PUBLISH')
    const list = await reader.next('SET')
    assert.deepEqual([whole.address, whole.value], ['/py/int', int(42)])
    assert.deepEqual([real.address, real.value], ['/py/float', float(0.5)])
    assert.deepEqual(event.value, { type: 'map', value: [['cue', text('go')]] })
    assert.deepEqual(list.value, { type: 'array', value: [int(1), text('two'), nil] })
    assert.equal((await python.next('ACK')).revision, list.revision)
  })

  test('a bundle with one message that cannot be applied changes nothing', async () => {
    sendLegacy(python, {
      type: 'BUNDLE',
      timestamp: null,
      messages: [
        { type: 'SET', address: '/py/good', value: 1 },
        { type: 'SET', address: '/py//bad', value: 1 },
      ],
    })
    assert.equal((await python.next('ERROR')).code, 400)
    assert.deepEqual(await reader.settle(), [])
    assert.equal(bench.router.statistics.params, 0)
  })

  test('its query is answered with the announced signals that match', async () => {
    reader.send({
      type: 'ANNOUNCE',
      namespace: '/desk',
      signals: [
        { address: '/desk/fader/1', type: 'param', datatype: 'f64' },
        { address: '/desk/go', type: 'event' },
      ],
    })
    await reader.next('ACK')
    sendLegacy(python, { type: 'QUERY', pattern: '/desk/fader/*' })
    const { signals } = await python.next('RESULT')
    assert.deepEqual(
      signals.map(({ address, type }) => [address, type]),
      [['/desk/fader/1', 'param']],
    )
  })

  test('single messages work as well: SET with a TTL, GET, SUBSCRIBE with options, UNSUBSCRIBE, PING', async () => {
    sendLegacy(python, { type: 'SET', address: '/py/1', value: -3, ttl: { Sliding: 60 } })
    const ack = await python.next('ACK')
    assert.deepEqual([ack.address, ack.revision], ['/py/1', 1])
    sendLegacy(python, { type: 'GET', address: '/py/1' })
    assert.deepEqual((await python.next('SNAPSHOT')).params[0].value, int(-3))
    const options = { max_rate: null, epsilon: null, history: null, window: null }
    sendLegacy(python, { type: 'SUBSCRIBE', id: 9, pattern: '/py/*', types: ['param'], options })
    assert.equal((await python.next('SNAPSHOT')).params[0].address, '/py/1')
    sendLegacy(python, { type: 'UNSUBSCRIBE', id: 9 })
    sendLegacy(python, { type: 'PING' })
    await python.next('PONG')
    assert.equal(bench.router.statistics.subscriptions, 1)
  })

  test('the keyframes of its timeline arrive as a map, which every subscriber can decode', async () => {
    sendLegacy(python, {
      type: 'PUBLISH',
      address: '/py/fade',
      signal: 'timeline',
      timeline: {
        keyframes: [
          { time: 0, value: 0.5 },
          { time: 1_000_000, value: 1.5, easing: 'cubic-bezier', bezier: [0.25, 0.5, 0.75, 1] },
        ],
        loop_: true,
        start_time: 1_700_000_000_000_000,
        duration: 2_000_000,
      },
    })
    const { signal, value } = await reader.next('PUBLISH')
    assert.equal(signal, 'timeline')
    assert.ok(value?.type === 'map')
    const fields = new Map(value.value)
    assert.deepEqual(fields.get('loop'), { type: 'bool', value: true })
    assert.deepEqual(fields.get('startTime'), int(1_700_000_000_000_000))
    assert.deepEqual(fields.get('duration'), int(2_000_000))
    const keyframes = fields.get('keyframes')
    assert.ok(keyframes?.type === 'array')
    assert.deepEqual(keyframes.value.map(plainMap), [
      { time: int(0), value: float(0.5), easing: text('linear') },
      {
        time: int(1_000_000),
        value: float(1.5),
        easing: text('cubic-bezier'),
        bezier: { type: 'array', value: [float(0.25), float(0.5), float(0.75), float(1)] },
      },
    ])
  })

  test('no MessagePack ever goes out', async () => {
    const payloads: number[] = []
    reader.socket.on('data', (chunk) => payloads.push(chunk[8]))
    sendLegacy(python, { type: 'SET', address: '/py/1', value: { a: [1, { b: 2 }] } })
    await reader.next('SET')
    assert.deepEqual(payloads, [0x21])
  })

  test('a payload that breaks off, or is no message, costs nothing but a count', async () => {
    const good = pack({ type: 'SET', address: '/py/1', value: 1 })
    for (let length = 1; length < good.length; length++) {
      python.sendFrame(Buffer.concat([Buffer.of(0x53, 0x01, 0, length), good.subarray(0, length)]))
    }
    sendLegacy(python, { type: 'NONSENSE' })
    sendLegacy(python, { type: 'SET', address: '/py/1' })
    sendLegacy(python, { address: '/py/1', value: 1 })
    assert.deepEqual(await python.settle(), [])
    assert.equal(bench.router.statistics.undecodable, good.length + 2)
    assert.equal(bench.router.statistics.params, 0)
  })
})

function plainMap(value: Value): object {
  assert.ok(value.type === 'map')
  return Object.fromEntries(value.value)
}
