/** maxRate, epsilon, history and window of SUBSCRIBE; router reference §4.3. Time stands still unless a test moves it. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Message, SubscribeOptions } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { Bench, float, int, type Peer, text } from './fixture.ts'
import { SteppedClock } from './stepped-clock.ts'

describe('subscription options', () => {
  let clock: SteppedClock
  let bench: Bench
  let writer: Peer
  let reader: Peer

  beforeEach(async () => {
    clock = new SteppedClock()
    bench = await Bench.start({ clock })
    writer = await bench.join('writer')
    reader = await bench.join('reader')
  })

  afterEach(() => bench.stop())

  const subscribe = (id: number, pattern: string, options: SubscribeOptions) =>
    reader.subscribe(id, pattern, { options })

  const nameOf = (message: Message): string => {
    if (message.type === 'SNAPSHOT') return `SNAPSHOT ${message.params.map(nameOfParam).join(' ')}`
    if (message.type === 'SET') return nameOfParam(message)
    if (message.type !== 'PUBLISH') return message.type
    return `${message.signal} ${message.address} ${message.value === undefined ? '-' : plain(message.value)}`
  }
  const nameOfParam = ({ address, value }: { address: string; value: Value }) => `${address}=${plain(value)}`
  const plain = (value: Value) => ('value' in value ? String(value.value) : 'null')

  /** What has come since the last look, once the router has heard the writer out. */
  async function seen(): Promise<string[]> {
    await writer.settle()
    return (await reader.settle()).map(nameOf)
  }

  async function elapse(ms: number): Promise<string[]> {
    clock.advance(ms)
    return seen()
  }

  async function set(address: string, ...values: number[]): Promise<void> {
    for (const value of values) writer.set(address, float(value))
    await writer.settle()
  }

  const publish = (signal: 'event' | 'stream' | 'timeline' | 'param', address: string, value: number) =>
    writer.send({ type: 'PUBLISH', address, signal, value: int(value) })

  test('maxRate lets the first update pass, holds back the others, and delivers the last one when its time has come', async () => {
    subscribe(1, '/p', { maxRate: 10 })
    await seen()
    await set('/p', 1, 2, 3)
    assert.deepEqual(await seen(), ['/p=1'])
    assert.deepEqual(await elapse(99), [])
    assert.deepEqual(await elapse(1), ['/p=3'])
    await set('/p', 4)
    assert.deepEqual(await elapse(99), [])
    assert.deepEqual(await elapse(1), ['/p=4'])
    assert.deepEqual(await elapse(1000), [])
    await set('/p', 5)
    assert.deepEqual(await seen(), ['/p=5'], 'after a pause an update passes at once')
  })

  test('maxRate counts each address by itself', async () => {
    subscribe(1, '/**', { maxRate: 10 })
    await seen()
    await set('/a', 1, 2)
    await set('/b', 1, 2)
    assert.deepEqual(await seen(), ['/a=1', '/b=1'])
    assert.deepEqual((await elapse(100)).sort(), ['/a=2', '/b=2'])
  })

  test('maxRate thins out streams as well, but no events, timelines or published params', async () => {
    subscribe(1, '/**', { maxRate: 10 })
    await seen()
    for (const signal of ['stream', 'event', 'timeline', 'param'] as const) {
      for (const value of [1, 2, 3]) publish(signal, `/${signal}`, value)
    }
    const other = (signal: string) => [1, 2, 3].map((value) => `${signal} /${signal} ${value}`)
    assert.deepEqual(await seen(), ['stream /stream 1', ...other('event'), ...other('timeline'), ...other('param')])
    assert.deepEqual(await elapse(100), ['stream /stream 3'])
  })

  test('a rate below one a second is kept too', async () => {
    subscribe(1, '/p', { maxRate: 1 })
    await seen()
    await set('/p', 1)
    await seen()
    const times: number[] = []
    for (let ms = 0; ms < 5000; ms += 100) {
      await set('/p', ms)
      if ((await elapse(100)).length > 0) times.push(ms)
    }
    assert.deepEqual(times, [900, 1900, 2900, 3900, 4900])
  })

  test('epsilon is measured from what was delivered, so that many small steps add up', async () => {
    subscribe(1, '/p', { epsilon: 0.5 })
    await seen()
    await set('/p', 1, 1.2, 1.4, 1.49, 1.5, 1.6, 1.1, 0.9)
    assert.deepEqual(await seen(), ['/p=1', '/p=1.5', '/p=0.9'])
  })

  test('epsilon compares integers, and lets everything pass that is no number', async () => {
    subscribe(1, '/p', { epsilon: 2 })
    await seen()
    for (const value of [int(1), int(2), int(3), text('a'), text('a'), float(Number.NaN), int(3)])
      writer.set('/p', value)
    assert.deepEqual(await seen(), ['/p=1', '/p=3', '/p=a', '/p=a', '/p=NaN', '/p=3'])
  })

  test('maxRate with epsilon: an update that has waited is dropped when the value comes back to what was delivered', async () => {
    subscribe(1, '/p', { maxRate: 10, epsilon: 0.5 })
    await seen()
    await set('/p', 1, 5, 1.1)
    assert.deepEqual(await seen(), ['/p=1'])
    assert.deepEqual(await elapse(1000), [])
  })

  test('of two subscriptions to one address the more demanding one counts', async () => {
    subscribe(1, '/p', { maxRate: 1 })
    subscribe(2, '/*', { maxRate: 10 })
    await seen()
    await set('/p', 1, 2)
    assert.deepEqual(await seen(), ['/p=1'])
    assert.deepEqual(await elapse(100), ['/p=2'])
    reader.subscribe(3, '/**')
    await seen()
    await set('/p', 3, 4, 5)
    assert.deepEqual(await seen(), ['/p=3', '/p=4', '/p=5'])
  })

  test('options of one session do not thin out another, nor the writer’s own echo', async () => {
    subscribe(1, '/p', { maxRate: 1 })
    writer.subscribe(1, '/p')
    await seen()
    for (const value of [1, 2, 3]) writer.set('/p', float(value))
    const echoes = (await writer.settle()).filter(({ type }) => type === 'SET').map(nameOf)
    assert.deepEqual(echoes, ['/p=1', '/p=2', '/p=3'])
    assert.deepEqual(await seen(), ['/p=1'])
  })

  test('an update that waits does not come after UNSUBSCRIBE', async () => {
    subscribe(1, '/p', { maxRate: 10 })
    subscribe(2, '/q', { maxRate: 10 })
    await seen()
    await set('/p', 1, 2)
    await set('/q', 1, 2)
    await seen()
    reader.send({ type: 'UNSUBSCRIBE', id: 1 })
    assert.deepEqual(await seen(), [])
    assert.deepEqual(await elapse(1000), ['/q=2'], 'what is still subscribed comes')
  })

  test('an update that waits does not come after a newer one, when the subscription is widened meanwhile', async () => {
    subscribe(1, '/p', { maxRate: 1 })
    await seen()
    await set('/p', 1, 2)
    await seen()
    reader.subscribe(2, '/p')
    await set('/p', 3)
    const after = [...(await seen()), ...(await elapse(5000))]
    assert.equal(after.at(-1), '/p=3', after.join(', '))
  })

  test('an update that waits is forgotten with its session', async () => {
    subscribe(1, '/p', { maxRate: 10 })
    await seen()
    await set('/p', 1, 2)
    await seen()
    reader.send({ type: 'HELLO', version: 1, features: [], name: 'again' })
    await reader.next('WELCOME')
    await reader.next('SNAPSHOT')
    assert.deepEqual(await elapse(1000), [])
  })

  test('history brings the last n messages of each address, oldest first, before the stored values', async () => {
    await set('/h/a', 1, 2, 3)
    for (const value of [1, 2, 3]) publish('event', '/h/e', value)
    await set('/h/b', 9)
    await set('/other', 1)
    subscribe(1, '/h/**', { history: 2 })
    const messages = await seen()
    assert.deepEqual(messages.slice(0, -1), ['/h/a=2', '/h/a=3', 'event /h/e 2', 'event /h/e 3', '/h/b=9'])
    assert.match(messages.at(-1) ?? '', /^SNAPSHOT /)
  })

  test('history keeps to the types that are subscribed, and knows no gestures', async () => {
    publish('event', '/h', 1)
    publish('stream', '/h', 2)
    writer.send({ type: 'PUBLISH', address: '/h', signal: 'gesture', phase: 'start', value: int(3) })
    writer.set('/h', int(4))
    await seen()
    reader.subscribe(1, '/h', { types: ['stream', 'gesture'], options: { history: 10 } })
    assert.deepEqual(await seen(), ['stream /h 2', 'SNAPSHOT /h=4'])
  })

  test('window leaves out what is older, and with history the stricter of both counts', async () => {
    publish('event', '/w', 1)
    await writer.settle()
    clock.advance(1000)
    for (const value of [2, 3, 4]) publish('event', '/w', value)
    await writer.settle()
    clock.advance(500)
    subscribe(1, '/w', { window: 600 })
    assert.deepEqual(await seen(), ['event /w 2', 'event /w 3', 'event /w 4'])
    subscribe(2, '/w', { window: 600, history: 1 })
    assert.deepEqual(await seen(), ['event /w 4'])
    subscribe(3, '/w', { window: 5000, history: 10 })
    assert.equal((await seen()).length, 4)
    subscribe(4, '/w', { window: 100 })
    assert.deepEqual(await seen(), [])
  })

  test('history of a router that remembers nothing is empty', async () => {
    const forgetful = await Bench.start({ options: { historyBytes: 0 } })
    try {
      const peer = await forgetful.join()
      peer.set('/h', int(1))
      await peer.next('ACK')
      peer.subscribe(1, '/h', { options: { history: 10, window: 10_000 } })
      assert.deepEqual((await peer.settle()).map(nameOf), ['SNAPSHOT /h=1'])
    } finally {
      await forgetful.stop()
    }
  })

  test('a subscriber with a rate gets the first value of each of 40 000 addresses, and the last one of what repeats', async () => {
    subscribe(1, '/**', { maxRate: 1 })
    await seen()
    for (let i = 0; i < 40_000; i++) {
      publish('stream', `/flood/${i}`, 1)
      if (i % 4000 === 0) await writer.settle()
    }
    assert.equal((await seen()).length, 40_000)
    for (let i = 39_990; i < 40_000; i++) publish('stream', `/flood/${i}`, 2)
    assert.deepEqual(await seen(), [])
    assert.equal((await elapse(1000)).length, 10)
  })
})
