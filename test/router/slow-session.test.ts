/** What a session gets that reads nothing for a while; router reference §12, D-08. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Message, Phase } from '../../firmware-protocol/wire/message.ts'
import { defaultRouterOptions, type QueueOptions } from '../../runtime/router/options.ts'
import { until } from '../until.ts'
import { Bench, bytes, int, type Peer } from './fixture.ts'
import { SteppedClock } from './stepped-clock.ts'

const KILOBYTE = 1024
const FILLER = '/filler'

describe('a session that does not read', () => {
  let clock: SteppedClock
  let bench: Bench
  let writer: Peer
  let reader: Peer

  async function start(queue: Partial<QueueOptions> = {}): Promise<void> {
    clock = new SteppedClock()
    bench = await Bench.start({
      clock,
      options: {
        queue: { ...defaultRouterOptions.queue, highWaterBytes: 64 * KILOBYTE, ...queue },
        gestures: { ...defaultRouterOptions.gestures, coalesce: false },
      },
    })
    writer = await bench.join('writer')
    reader = await bench.join('reader')
    reader.subscribe(1, '/**')
    await reader.settle()
    await congest()
  }

  beforeEach(() => start())
  afterEach(() => bench.stop())

  async function restart(queue: Partial<QueueOptions>): Promise<void> {
    await bench.stop()
    await start(queue)
  }

  const statistics = () => bench.router.sessionStatistics().find(({ name }) => name === 'reader')

  /** Stops reading, and sends one param until the system's buffers are full and the router has to keep what comes. */
  async function congest(): Promise<void> {
    reader.socket.pause()
    for (let waiting = 0; waiting < 10; ) {
      for (let i = 0; i < 10; i++) writer.set(FILLER, bytes(60_000))
      await writer.settle()
      waiting = (statistics()?.queuedMessages ?? 0) > 0 ? waiting + 1 : 0
    }
  }

  const nameOf = (message: Message): string => {
    if (message.type !== 'SET' && message.type !== 'PUBLISH') return message.type
    const value = message.value !== undefined && message.value.type === 'i64' ? message.value.value : '-'
    const kind = message.type === 'SET' ? 'set' : message.signal === 'gesture' ? message.phase : message.signal
    return `${kind} ${message.address} ${value}`
  }

  /** Reads again, and returns what comes up to the given event, the filler and the notice of drops left out. */
  async function resumeUntil(last: string): Promise<string[]> {
    reader.socket.resume()
    await reader.until(() => reader.inbox.some((message) => 'address' in message && message.address === last), last)
    return reader.inbox
      .splice(0)
      .filter((message) => message.type !== 'ERROR')
      .filter((message) => !('address' in message) || (message.address !== FILLER && message.address !== last))
      .map(nameOf)
  }

  const publish = (signal: 'event' | 'stream' | 'timeline', address: string, value = 0): void =>
    writer.send({ type: 'PUBLISH', address, signal, value: int(value) })
  const gesture = (phase: Phase, id: number, value: number): void =>
    writer.send({ type: 'PUBLISH', address: '/pad', signal: 'gesture', phase, id, value: int(value) })

  test('gets the last value of each param and stream, every event and timeline, each in its place', async () => {
    for (let i = 1; i <= 100; i++) {
      writer.set('/a', int(i))
      publish('stream', '/s', i)
      if (i % 25 === 0) publish(i % 2 === 0 ? 'event' : 'timeline', '/e', i)
      if (i === 60) writer.set('/b', int(i))
    }
    publish('event', '/last')
    await writer.settle()
    assert.deepEqual(await resumeUntil('/last'), [
      'timeline /e 25',
      'event /e 50',
      'set /b 60',
      'timeline /e 75',
      'set /a 100',
      'stream /s 100',
      'event /e 100',
    ])
  })

  test('gets the start, the last move and the end of each gesture', async () => {
    for (const id of [1, 2]) gesture('start', id, id)
    for (let i = 1; i <= 50; i++) for (const id of [1, 2]) gesture('move', id, 100 * id + i)
    gesture('end', 1, 1)
    gesture('cancel', 2, 2)
    publish('event', '/last')
    await writer.settle()
    assert.deepEqual(await resumeUntil('/last'), [
      ...['start /pad 1', 'start /pad 2', 'move /pad 150', 'move /pad 250'],
      ...['end /pad 1', 'cancel /pad 2'],
    ])
  })

  test('gets all replies to what it goes on asking, in order', async () => {
    const acks = 500
    for (let i = 1; i <= acks; i++) reader.set('/own', int(i))
    reader.send({ type: 'GET', address: '/own' })
    reader.send({ type: 'SYNC', t1: 1 })
    await until(() => bench.router.statistics.messages.sync === 1, 'the last request')
    publish('event', '/last')
    const names = await resumeUntil('/last')
    assert.equal(names.filter((name) => name === 'ACK').length, acks)
    assert.deepEqual(names.slice(-2), ['SNAPSHOT', 'SYNC'])
    assert.ok(names.includes(`set /own ${acks}`), 'the last echo is there')
  })

  test('loses streams first when memory is short, the oldest of them, and no event', async () => {
    await restart({ maxMessages: 300 })
    for (let i = 0; i < 200; i++) publish('stream', `/s/${i}`, i)
    for (let i = 0; i < 250; i++) publish('event', '/e', i)
    publish('event', '/last')
    await writer.settle()
    const { queuedMessages = 0, dropped = 0 } = statistics() ?? {}
    assert.ok(queuedMessages <= 300)
    assert.ok(dropped > 0)
    const names = await resumeUntil('/last')
    const events = names.filter((name) => name.startsWith('event'))
    assert.deepEqual(
      events,
      Array.from({ length: 250 }, (_, i) => `event /e ${i}`),
    )
    const streams = names.filter((name) => name.startsWith('stream'))
    assert.ok(streams.length > 0 && streams.length < 60, `${streams.length} streams are left`)
    assert.deepEqual(
      streams,
      Array.from({ length: streams.length }, (_, k) => 200 - streams.length + k).map((i) => `stream /s/${i} ${i}`),
    )
  })

  test('is told 503 in the known words, and others are not', async () => {
    for (let i = 0; i < 300; i++) writer.set('/a', int(i))
    publish('event', '/last')
    const replies = await writer.settle()
    assert.ok(replies.every(({ type }) => type === 'ACK'))
    reader.socket.resume()
    await reader.until(() => reader.inbox.some((m) => m.type === 'PUBLISH' && m.address === '/last'), '/last')
    const errors = reader.inbox.flatMap((message) => (message.type === 'ERROR' ? [message] : []))
    assert.equal(errors.length, 1, 'once in 10 s')
    assert.equal(errors[0].code, 503)
    assert.match(errors[0].message, /^Buffer overflow: messages being dropped \(\d+ drops in last 10 seconds\)$/)
  })

  test('delays nobody else', async () => {
    const other = await bench.join('other')
    other.subscribe(1, '/a')
    await other.settle()
    for (let i = 1; i <= 1000; i++) writer.set('/a', int(i))
    await writer.settle()
    assert.equal((await other.settle()).length, 1000)
  })

  test('is an ordinary session again once it has caught up', async () => {
    publish('event', '/last')
    await writer.settle()
    await resumeUntil('/last')
    await reader.settle()
    assert.equal(statistics()?.queuedMessages, 0)
    assert.equal(statistics()?.queuedBytes, 0)
    for (let i = 1; i <= 1000; i++) writer.set('/a', int(i))
    await writer.settle()
    const names = (await reader.settle()).map(nameOf)
    assert.equal(names.length, 1000, 'nothing is left out any more')
    clock.advance(10 * 60_000)
    assert.deepEqual(await reader.settle(), [], 'and nobody takes it for stuck')
  })

  test('is told 503 and closed when more events wait than may, instead of missing one', async () => {
    await restart({ maxMessages: 100 })
    for (let i = 0; i < 200; i++) publish('event', '/e', i)
    await writer.settle()
    assert.equal(bench.router.statistics.sessions, 1)
    reader.socket.resume()
    await until(() => reader.isClosed, 'end of the connection')
    const events = reader.inbox.map(nameOf).filter((name) => name.startsWith('event'))
    assert.deepEqual(
      events,
      Array.from({ length: events.length }, (_, i) => `event /e ${i}`),
      'what came is without gaps',
    )
  })

  test('is closed when it has taken nothing for the configured time, and no earlier', async () => {
    await restart({ stuckTimeoutMs: 5000 })
    clock.advance(4900)
    await writer.settle()
    assert.equal(bench.router.statistics.sessions, 2)
    clock.advance(200)
    await until(() => bench.router.statistics.sessions === 1, 'end of the session')
    assert.equal(bench.router.statistics.subscriptions, 0)
    writer.set('/a', int(1))
    await writer.next('ACK')
  })

  test('keeps the snapshot of a new subscription in order with the updates', async () => {
    for (let i = 0; i < 3000; i++) writer.set(`/many/${i}`, int(1))
    await writer.settle()
    reader.subscribe(2, '/many/**')
    reader.set('/marker', int(1))
    await until(() => bench.router.statistics.messages.subscribe === 2, 'the subscription')
    for (let i = 0; i < 3000; i++) writer.set(`/many/${i}`, int(2))
    await writer.settle()
    publish('event', '/last')
    await writer.settle()
    reader.socket.resume()
    const messages = await reader.settle()
    assert.ok(messages.some((m) => m.type === 'PUBLISH' && m.address === '/last'))
    const last = new Map<string, unknown>()
    const values = (message: Message) =>
      message.type === 'SET' ? [message] : message.type === 'SNAPSHOT' ? message.params : []
    for (const message of messages) for (const { address, value } of values(message)) last.set(address, value)
    for (let i = 0; i < 3000; i++) assert.deepEqual(last.get(`/many/${i}`), int(2), `/many/${i}`)
  })
})
