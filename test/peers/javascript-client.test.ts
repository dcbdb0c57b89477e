/** The published JavaScript client against this router. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, mock, test } from 'node:test'
import { Clasp, type Value } from '@clasp-to/core'
import { WebSocket } from 'ws'
import { Bench, float } from '../router/fixture.ts'
import { until } from '../until.ts'

type ClientOptions = ConstructorParameters<typeof Clasp>[1]
type Delivery = [address: string, value: Value]

describe('the published JavaScript client', () => {
  let bench: Bench
  let clients: Clasp[] = []
  let markers = 0

  before(() => {
    // A platform feature from Node 22 on.
    if (!('WebSocket' in globalThis)) Object.assign(globalThis, { WebSocket })
    // The client prints every ACK and every ERROR.
    mock.method(console, 'debug', () => {})
    mock.method(console, 'error', () => {})
  })

  after(() => mock.restoreAll())

  beforeEach(async () => {
    bench = await Bench.start()
  })

  afterEach(async () => {
    for (const client of clients) client.close()
    clients = []
    await bench.stop()
  })

  async function connect(options: ClientOptions = {}): Promise<Clasp> {
    const client = new Clasp(`ws://127.0.0.1:${bench.port}`, { reconnect: false, ...options })
    clients.push(client)
    await client.connect()
    return client
  }

  /** Resolves when the router has handled all that this client has sent, and the client all that came back. */
  async function settled(client: Clasp): Promise<void> {
    // A new one each time: `get` answers from the client's cache if it can.
    const marker = `/settled/${markers++}`
    client.set(marker, true)
    await client.get(marker)
  }

  function record(client: Clasp, pattern: string): Delivery[] {
    const deliveries: Delivery[] = []
    client.on(pattern, (value, address) => deliveries.push([address, value]))
    return deliveries
  }

  test('connects, learns its session and the router’s time', async () => {
    const client = await connect({ name: 'desk' })
    assert.equal(client.connected, true)
    assert.match(client.session ?? '', /^[0-9a-f-]{36}$/)
    assert.ok(Math.abs(client.time() / 1000 - Date.now()) < 2000)
    assert.equal(bench.router.sessionStatistics()[0].name, 'desk')
  })

  test('takes a token along to a router that asks for none', async () => {
    const client = await connect({ token: 'cpsk_anything' })
    assert.equal(client.connected, true)
  })

  test('sets a value of every kind and another client gets it', async () => {
    const [writer, reader] = [await connect(), await connect()]
    const values: Record<string, Value> = {
      '/v/number': 0.75,
      '/v/integral': 3,
      '/v/text': 'grün',
      '/v/true': true,
      '/v/null': null,
      '/v/bytes': Uint8Array.of(1, 2, 255),
      '/v/list': [1, 'two', [3], null],
      '/v/map': { r: 1, nested: { deep: [true] } },
    }
    for (const [address, value] of Object.entries(values)) writer.set(address, value)
    await settled(writer)
    for (const [address, value] of Object.entries(values)) assert.deepEqual(await reader.get(address), value, address)
  })

  test('hears what matches its wildcards, its own writes included', async () => {
    const client = await connect()
    const oneLevel = record(client, '/lights/*/level')
    const anyDepth = record(client, '/lights/**')
    client.set('/lights/1/level', 0.5)
    client.set('/lights/2/colour', 'red')
    client.set('/sound/1/level', 1)
    await until(() => anyDepth.length === 2, 'two deliveries')
    await settled(client)
    assert.deepEqual(oneLevel, [['/lights/1/level', 0.5]])
    assert.deepEqual(anyDepth, [
      ['/lights/1/level', 0.5],
      ['/lights/2/colour', 'red'],
    ])
  })

  test('is told the current values when it subscribes', async () => {
    const writer = await connect()
    writer.set('/mixer/1', 0.1)
    await settled(writer)
    const reader = await connect()
    const seen = record(reader, '/mixer/*')
    await until(() => seen.length > 0, 'the stored value')
    assert.deepEqual(seen[0], ['/mixer/1', 0.1])
  })

  test('keeps what it saw as cached values', async () => {
    const writer = await connect()
    writer.set('/cached/1', 7)
    await settled(writer)
    const reader = await connect()
    await until(() => reader.cached('/cached/1') !== undefined, 'the first snapshot')
    assert.equal(reader.cached('/cached/1'), 7)
    assert.equal(reader.cached('/cached/2'), undefined)
  })

  test('emits events and streams to all but itself', async () => {
    const [sender, receiver] = [await connect(), await connect()]
    const own = record(sender, '/show/**')
    const theirs = record(receiver, '/show/**')
    await settled(sender)
    await settled(receiver)
    sender.emit('/show/cue', { number: 4 })
    sender.emit('/show/stop')
    for (let i = 0; i < 10; i++) sender.stream('/show/level', i)
    await until(() => theirs.length === 12, 'twelve messages')
    await settled(sender)
    assert.deepEqual(own, [])
    assert.deepEqual(theirs.slice(0, 3), [
      ['/show/cue', { number: 4 }],
      ['/show/stop', null],
      ['/show/level', 0],
    ])
    assert.deepEqual(theirs[11], ['/show/level', 9])
  })

  test('a gesture arrives with its start, its last position and its end, in this order', async () => {
    const [sender, receiver] = [await connect(), await connect()]
    const seen: { phase: string; gestureId: number; x: number }[] = []
    receiver.on('/touch', (value) => seen.push(value as unknown as (typeof seen)[0]))
    await settled(receiver)
    sender.gesture('/touch', 11, 'start', { x: 0 })
    for (let x = 1; x <= 100; x++) sender.gesture('/touch', 11, 'move', { x })
    sender.gesture('/touch', 11, 'end', { x: 101 })
    await until(() => seen.at(-1)?.phase === 'end', 'the end of the gesture')
    assert.deepEqual(seen[0], { phase: 'start', gestureId: 11, x: 0 })
    assert.deepEqual(seen.at(-2), { phase: 'move', gestureId: 11, x: 100 })
    assert.deepEqual(seen.at(-1), { phase: 'end', gestureId: 11, x: 101 })
    assert.ok(seen.length < 102, 'moves are thinned out')
  })

  test('a gesture is cancelled for the others when its client goes', async () => {
    const [sender, receiver] = [await connect(), await connect()]
    const phases: string[] = []
    receiver.on('/touch', (value) => phases.push((value as { phase: string }).phase))
    await settled(receiver)
    sender.gesture('/touch', 1, 'start', { x: 0 })
    await until(() => phases.length === 1, 'the start')
    sender.close()
    await until(() => phases.length === 2, 'the cancel')
    assert.deepEqual(phases, ['start', 'cancel'])
  })

  test('a bundle arrives in its order with nothing in between', async () => {
    const [sender, other, receiver] = [await connect(), await connect(), await connect()]
    const seen = record(receiver, '/b/**')
    await settled(receiver)
    for (let i = 0; i < 50; i++) other.set('/b/noise', i)
    sender.bundle([{ set: ['/b/1', 1] }, { emit: ['/b/2', 'go'] }, { set: ['/b/3', 3] }])
    for (let i = 0; i < 50; i++) other.set('/b/noise', i)
    await until(() => seen.length === 103, 'everything')
    const at = seen.findIndex(([address]) => address === '/b/1')
    assert.deepEqual(seen.slice(at, at + 3), [
      ['/b/1', 1],
      ['/b/2', 'go'],
      ['/b/3', 3],
    ])
  })

  test('a bundle for later happens at its time', async () => {
    const [sender, receiver] = [await connect(), await connect()]
    let arrivedAt = 0
    receiver.on('/later', () => {
      arrivedAt = performance.now()
    })
    await settled(receiver)
    const delayMs = 250
    // Date.now() is up to a millisecond behind, and the client's clock knows no fractions.
    const sentAt = performance.now()
    sender.bundle([{ set: ['/later', 1] }], { at: sender.time() + delayMs * 1000 })
    await until(() => arrivedAt > 0, 'the bundle')
    const tookMs = arrivedAt - sentAt
    assert.ok(tookMs > delayMs - 3, `not early (after ${tookMs} ms)`)
    assert.ok(tookMs < delayMs + 500, `not late (after ${tookMs} ms)`)
  })

  test('a late joiner gets 10 000 params, each once, and they are in its cache', async () => {
    const writer = await bench.join('filler')
    for (let i = 0; i < 10_000; i++) writer.set(`/late/${i}`, float(i))
    await writer.until(() => writer.inbox.length === 10_000, 'all ACKs')
    const reader = await connect()
    await until(() => reader.cached('/late/0') !== undefined && reader.cached('/late/9999') !== undefined, 'snapshots')
    for (let i = 0; i < 10_000; i++) assert.equal(reader.cached(`/late/${i}`), i)
    const seen = record(reader, '/late/*')
    await until(() => seen.length >= 10_000, 'the values for the subscription')
    await settled(reader)
    assert.equal(seen.length, 10_000)
    assert.equal(new Set(seen.map(([address]) => address)).size, 10_000)
  })

  test('hears nothing more after unsubscribing', async () => {
    const client = await connect()
    const seen: Value[] = []
    const stop = client.on('/u', (value) => seen.push(value))
    client.set('/u', 1)
    await until(() => seen.length === 1, 'the first delivery')
    stop()
    client.set('/u', 2)
    await settled(client)
    assert.deepEqual(seen, [1])
    assert.equal(bench.router.statistics.subscriptions, 0)
  })

  test('maxRate thins a fast param out and ends on its last value', async () => {
    const [writer, reader] = [await connect(), await connect()]
    const seen: Value[] = []
    reader.on('/fast', (value) => seen.push(value), { maxRate: 20 })
    await settled(reader)
    for (let i = 1; i <= 500; i++) writer.set('/fast', i)
    await until(() => seen.at(-1) === 500, 'the last value')
    assert.ok(seen.length < 20, `${seen.length} deliveries`)
  })

  test('learns from getLastError why a request was refused, and stays connected', async () => {
    const client = await connect()
    assert.equal(client.getLastError(), null)
    client.on('no-slash', () => {})
    await until(() => client.getLastError() !== null, 'the error')
    assert.equal(client.getLastError()?.code, 202)
    client.clearError()
    client.set('/a//b', 1)
    await until(() => client.getLastError() !== null, 'the error')
    assert.equal(client.getLastError()?.code, 400)
    await settled(client)
    assert.equal(client.connected, true)
  })

  test('hears why it was turned away', async () => {
    await bench.stop()
    bench = await Bench.start({
      authorizer: { authorize: () => ({ code: 300, message: 'Token required' }) },
    })
    await assert.rejects(connect(), /Token required/)
  })

  test('comes back after the router restarted on its port, with its subscriptions', async () => {
    const { port } = bench
    const client = await connect({ reconnect: true, reconnectInterval: 40 })
    const seen = record(client, '/r/**')
    await settled(client)
    const firstSession = client.session
    await bench.stop()
    await until(() => !client.connected, 'the disconnect')
    bench = await Bench.start({ listen: { port } })
    await until(() => client.connected && bench.router.statistics.subscriptions === 1, 'the subscription')
    assert.notEqual(client.session, firstSession)
    const other = await connect()
    other.set('/r/1', 'back')
    await until(() => seen.length > 0, 'a delivery')
    assert.deepEqual(seen, [['/r/1', 'back']])
  })

  test('200 of them at once all hear a change', async () => {
    const all = await Promise.all(Array.from({ length: 200 }, () => connect()))
    let deliveries = 0
    for (const client of all) {
      client.on('/all', (value) => {
        if (value === 'now') deliveries++
      })
    }
    await until(() => bench.router.statistics.subscriptions === 200, 'all subscriptions')
    all[0].set('/all', 'now')
    await until(() => deliveries === 200, `200 deliveries`)
    assert.equal(bench.router.statistics.sessions, 200)
    for (const client of all) client.close()
    await until(() => bench.router.statistics.sessions === 0, 'the end of all sessions')
  })
})
