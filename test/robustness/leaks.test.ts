/** What is left of a router after `stop`: nothing. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Hello } from '../../firmware-protocol/wire/message.ts'
import { type Clock, systemClock, type Timer } from '../../runtime/router/clock.ts'
import { Bench, bytes, int, Peer } from '../router/fixture.ts'
import { until } from '../until.ts'
import { heldBytes, MEGABYTE } from './memory.ts'

const HELLO: Hello = { type: 'HELLO', version: 1, features: ['param'], name: 'one of many' }

/** The system's clock, with a count of what is still to call back. Its timers keep no process alive, so nothing else shows them. */
class CountingClock implements Clock {
  readonly timers = new Set<Timer>()
  turns = 0
  readonly now = systemClock.now
  readonly wallUs = systemClock.wallUs

  timer(delayMs: number, callback: () => void): Timer {
    const inner = systemClock.timer(delayMs, () => {
      this.timers.delete(outer)
      callback()
    })
    const outer = {
      cancel: () => {
        this.timers.delete(outer)
        inner.cancel()
      },
    }
    this.timers.add(outer)
    return outer
  }

  afterTurn(callback: () => void): void {
    this.turns++
    systemClock.afterTurn(() => {
      this.turns--
      callback()
    })
  }
}

/** A router with something of everything under way: all carriers, and whatever waits for a time or for a peer. */
async function busyRouter(clock: Clock): Promise<{ bench: Bench; browser: WebSocket }> {
  const bench = await Bench.start({
    clock,
    listen: { clock, pingIntervalMs: 1000 },
    options: { policies: [{ pattern: '/short/**', ttlSeconds: 1 }] },
  })
  const browser = new WebSocket(`ws://127.0.0.1:${bench.port}`, 'clasp')
  browser.on('error', () => {})
  await once(browser, 'open')
  browser.send(encodeFrame(HELLO))
  await (await fetch(`http://127.0.0.1:${bench.port}/health`)).text()
  const silent = await bench.connect()
  silent.socket.write(Buffer.of(0, 0))
  const bare = await bench.connect()
  bare.socket.removeAllListeners('data')
  bare.socket.write(encodeFrame(HELLO))
  const paced = await bench.join('paced')
  paced.subscribe(1, '/**', { options: { maxRate: 1 } })
  await paced.settle()
  const stuck = await bench.join('stuck')
  stuck.subscribe(1, '/**')
  await stuck.settle()
  stuck.socket.pause()
  const writer = await bench.join('writer')
  for (let i = 0; i < 3000; i++) writer.set(`/load/${i % 100}`, bytes(5000))
  for (let i = 0; i < 10; i++) writer.set('/short/lived', int(i), { lock: true })
  writer.send({ type: 'PUBLISH', address: '/touch', signal: 'gesture', phase: 'start', id: 1, value: int(0) })
  for (let i = 0; i < 10; i++) {
    writer.send({ type: 'PUBLISH', address: '/touch', signal: 'gesture', phase: 'move', id: 1, value: int(i) })
  }
  writer.send({
    type: 'BUNDLE',
    timestamp: Date.now() * 1000 + 60_000_000,
    messages: [{ type: 'SET', address: '/later', value: int(1) }],
  })
  writer.send({ type: 'ANNOUNCE', namespace: '/desk', signals: [{ address: '/desk/1', type: 'param' }] })
  await writer.settle()
  await until(() => bench.router.statistics.sessions === 5, 'five sessions')
  return { bench, browser }
}

describe('a stopped router', () => {
  test('leaves no timer, socket or listener behind', async () => {
    // Whatever the platform keeps for good is there before.
    await (await busyRouter(systemClock)).bench.stop()
    await until(() => sockets().length === 0, 'the end of the first router')
    const before = process.getActiveResourcesInfo().sort()
    const clock = new CountingClock()
    const { bench, browser } = await busyRouter(clock)
    assert.ok(clock.timers.size > 5, `${clock.timers.size} timers before`)
    assert.ok(sockets().length > 10, `${sockets().length} sockets before`)
    await bench.stop()
    await until(() => browser.readyState === WebSocket.CLOSED, 'the end of the WebSocket')
    await until(() => sockets().length === 0, 'the end of all sockets')
    await until(() => clock.turns === 0, 'the end of the last turn')
    assert.equal(clock.timers.size, 0)
    assert.deepEqual(process.getActiveResourcesInfo().sort(), before)
  })

  test('tells every session before it goes', async () => {
    const bench = await Bench.start()
    const browser = new WebSocket(`ws://127.0.0.1:${bench.port}`, 'clasp')
    await once(browser, 'open')
    browser.send(encodeFrame(HELLO))
    await until(() => bench.router.statistics.sessions === 1, 'its session')
    const [[code, reason]] = await Promise.all([once(browser, 'close'), bench.stop()])
    assert.equal(code, 1001)
    assert.match(String(reason), /stopping/)
  })

  test('can be stopped twice, and while peers are arriving', async () => {
    for (let round = 0; round < 20; round++) {
      const bench = await Bench.start()
      const arriving = Array.from({ length: 20 }, () => {
        const socket = connect({ port: bench.port, host: '127.0.0.1' })
        socket.on('error', () => {})
        socket.on('connect', () => new Peer(socket).send(HELLO))
        return once(socket, 'close').catch(() => {})
      })
      // The moment that stop meets is another one in every round.
      for (let turns = 0; turns < round; turns++) await new Promise((resolve) => setImmediate(resolve))
      await Promise.all([bench.stop(), bench.stop()])
      await Promise.all(arriving)
      await until(() => sockets().length === 0, 'the end of all sockets')
    }
  })

  test('gives its memory back', async () => {
    const runOne = async (): Promise<void> => {
      const { bench } = await busyRouter(systemClock)
      await bench.stop()
      await until(() => sockets().length === 0, 'the end of all sockets')
    }
    // The first rounds also pay for compiled code and pools that stay.
    for (let round = 0; round < 3; round++) await runOne()
    const before = heldBytes()
    for (let round = 0; round < 5; round++) await runOne()
    // On a busy machine the last router's sockets are still on their way out; five of them would not go away.
    await until(() => heldBytes() - before < 3 * MEGABYTE, 'return of the memory of five routers')
  })

  test('can be followed by another one on its port at once', async () => {
    const first = await Bench.start()
    await first.join()
    await first.stop()
    const second = await Bench.start({ listen: { port: first.port } })
    await second.join()
    await second.stop()
  })
})

/** TCP handles of this process, at both ends, listening ones included. */
function sockets(): string[] {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP'))
}
