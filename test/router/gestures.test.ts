/** Gestures through the router; router reference §7, D-16, §23.4. Time stands still unless a test moves it. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Message, Phase } from '../../firmware-protocol/wire/message.ts'
import { defaultRouterOptions, type RouterOptions } from '../../runtime/router/options.ts'
import { until } from '../until.ts'
import { Bench, int, type Peer } from './fixture.ts'
import { SteppedClock } from './stepped-clock.ts'

const INTERVAL_MS = 16

describe('gestures', () => {
  let clock: SteppedClock
  let bench: Bench
  let finger: Peer
  let watcher: Peer

  async function start(options: Partial<RouterOptions> = {}): Promise<void> {
    clock = new SteppedClock()
    bench = await Bench.start({ clock, options })
    finger = await bench.join('finger')
    watcher = await bench.join('watcher')
    for (const peer of [finger, watcher]) peer.subscribe(1, '/**')
    await watcher.settle()
  }

  beforeEach(() => start())
  afterEach(() => bench.stop())

  async function restart(gestures: Partial<RouterOptions['gestures']>): Promise<void> {
    await bench.stop()
    await start({ gestures: { ...defaultRouterOptions.gestures, ...gestures } })
  }

  function send(phase: Phase, value: number, { id = 1, address = '/pad', from = finger } = {}): void {
    from.send({ type: 'PUBLISH', address, signal: 'gesture', phase, id, value: int(value) })
  }

  const nameOf = (message: Message): string =>
    message.type === 'PUBLISH' && message.value?.type === 'i64'
      ? `${message.phase} ${message.id} ${message.value.value}`
      : JSON.stringify(message)

  /** What has reached the watcher since the last look, once the router has heard everything. */
  async function seen(): Promise<string[]> {
    assert.deepEqual((await finger.settle()).map(nameOf), [], 'nothing comes back to the finger')
    return (await watcher.settle()).map(nameOf)
  }

  async function elapse(ms: number): Promise<string[]> {
    clock.advance(ms)
    return seen()
  }

  test('start passes at once, and so does the first move after it', async () => {
    send('start', 0)
    assert.deepEqual(await seen(), ['start 1 0'])
    send('move', 1)
    assert.deepEqual(await seen(), ['move 1 1'])
  })

  test('of the moves within an interval only the newest passes, when the interval is over', async () => {
    send('start', 0)
    for (let i = 1; i <= 10; i++) send('move', i)
    assert.deepEqual(await seen(), ['start 1 0', 'move 1 1'])
    assert.deepEqual(await elapse(INTERVAL_MS - 1), [])
    assert.deepEqual(await elapse(1), ['move 1 10'])
    assert.deepEqual(await elapse(1000), [], 'each move passes once')
  })

  test('a finger that never rests is shown on a steady beat', async () => {
    send('start', 0)
    await seen()
    const moves: string[] = []
    for (let ms = 0; ms < 1000; ms += 4) {
      send('move', ms)
      await finger.settle()
      moves.push(...(await elapse(4)))
    }
    assert.ok(moves.length >= 55 && moves.length <= 63, `${moves.length} moves in a second`)
    const values = moves.map((move) => Number(move.split(' ')[2]))
    for (const [i, value] of values.entries()) {
      if (i > 0) assert.ok(value - values[i - 1] <= 20, `no move between ${values[i - 1]} and ${value} ms`)
    }
  })

  for (const phase of ['end', 'cancel'] as const) {
    test(`${phase} passes at once, behind the move that was held back`, async () => {
      send('start', 0)
      for (let i = 1; i <= 1000; i++) send('move', i)
      send(phase, 1001)
      assert.deepEqual(await seen(), ['start 1 0', 'move 1 1', 'move 1 1000', `${phase} 1 1001`])
      assert.deepEqual(await elapse(1000), [])
    })

    test(`${phase} without a move, or without a start, passes as it is`, async () => {
      send('start', 0)
      send(phase, 1)
      send(phase, 2, { id: 9 })
      assert.deepEqual(await seen(), ['start 1 0', `${phase} 1 1`, `${phase} 9 2`])
    })
  }

  test('a second start drops the move that was held back', async () => {
    send('start', 0)
    for (const value of [1, 2]) send('move', value)
    send('start', 3)
    assert.deepEqual(await seen(), ['start 1 0', 'move 1 1', 'start 1 3'])
    assert.deepEqual(await elapse(1000), [])
  })

  test('a move without a start passes, and the next one on the beat', async () => {
    for (let i = 1; i <= 3; i++) send('move', i)
    assert.deepEqual(await seen(), ['move 1 1'])
    assert.deepEqual(await elapse(INTERVAL_MS), ['move 1 3'])
  })

  test('ids, addresses and senders have a beat of their own', async () => {
    const other = await bench.join('other finger')
    const fingers = [{}, { id: 2 }, { address: '/pad2' }, { from: other }]
    finger.send({ type: 'UNSUBSCRIBE', id: 1 })
    for (const which of fingers) send('start', 0, which)
    await other.settle()
    await seen()
    for (const which of fingers) for (const value of [1, 2]) send('move', value, which)
    await other.settle()
    assert.deepEqual((await seen()).sort(), ['move 1 1', 'move 1 1', 'move 1 1', 'move 2 1'])
    assert.deepEqual((await elapse(INTERVAL_MS)).sort(), ['move 1 2', 'move 1 2', 'move 1 2', 'move 2 2'])
  })

  test('one session ending a gesture does not end the gesture of the same id of another', async () => {
    const other = await bench.join('other finger')
    send('start', 0)
    for (const value of [1, 2]) send('move', value)
    await seen()
    send('end', 9, { from: other })
    await other.settle()
    // The finger is subscribed as well, so it sees the other one.
    assert.deepEqual((await finger.settle()).map(nameOf), ['end 1 9'])
    assert.deepEqual(await seen(), ['end 1 9'])
    assert.deepEqual(await elapse(INTERVAL_MS), ['move 1 2'])
  })

  test('without an id it has none on its way out either, and not in its cancel', async () => {
    const leaving = await bench.join('leaving')
    leaving.send({ type: 'PUBLISH', address: '/pad', signal: 'gesture', phase: 'start', value: int(1) })
    await leaving.settle()
    leaving.close()
    await watcher.until(() => watcher.inbox.length === 2, 'start and cancel')
    assert.deepEqual(
      watcher.inbox.splice(0).map((m) => m.type === 'PUBLISH' && [m.phase, m.id, m.value]),
      [
        ['start', undefined, int(1)],
        ['cancel', undefined, int(1)],
      ],
    )
    finger.inbox.length = 0
  })

  test('when its sender leaves, it ends with its last position and a cancel, each gesture once', async () => {
    const leaving = await bench.join('leaving')
    for (const id of [1, 2]) {
      send('start', 0, { id, from: leaving })
      for (const value of [1, 2, 3]) send('move', value, { id, from: leaving })
    }
    send('start', 0, { id: 3, from: leaving })
    send('end', 1, { id: 3, from: leaving })
    await leaving.settle()
    await watcher.settle()
    leaving.close()
    await until(() => bench.router.statistics.sessions === 2, 'end of the session')
    const names = (await watcher.settle()).map(nameOf)
    assert.deepEqual(names, ['move 1 3', 'cancel 1 3', 'move 2 3', 'cancel 2 3'])
    finger.inbox.length = 0
    assert.deepEqual(await elapse(1000), [])
  })

  test('a second HELLO cancels the gestures of the session before it', async () => {
    send('start', 5)
    await seen()
    finger.send({ type: 'HELLO', version: 1, features: [], name: 'again' })
    await finger.next('WELCOME')
    await finger.next('SNAPSHOT')
    assert.deepEqual(await seen(), ['cancel 1 5'])
  })

  test('whose last message carried samples is cancelled with a message that can be read', async () => {
    const leaving = await bench.join('leaving')
    leaving.send({ type: 'PUBLISH', address: '/pad', signal: 'gesture', phase: 'start', id: 4, samples: [1, 2] })
    await leaving.settle()
    leaving.close()
    await watcher.until(() => watcher.inbox.length === 2, 'start and cancel')
    const cancel = watcher.inbox.splice(0)[1]
    assert.deepEqual(cancel, { type: 'PUBLISH', address: '/pad', signal: 'gesture', phase: 'cancel', id: 4 })
    finger.inbox.length = 0
  })

  test('of which nothing is heard for 300 s is cancelled once; one that moves now and then lives on', async () => {
    send('start', 0, { id: 1 })
    send('start', 0, { id: 2 })
    await seen()
    for (let s = 0; s < 290; s += 10) await elapse(10_000)
    send('move', 7, { id: 2 })
    assert.deepEqual(await seen(), ['move 2 7'])
    assert.deepEqual(await elapse(20_000), ['cancel 1 0'])
    assert.deepEqual(await elapse(200_000), [])
    assert.deepEqual(await elapse(100_000), ['cancel 2 7'])
    assert.deepEqual(await elapse(1_000_000), [])
  })

  test('passes message by message when coalescing is off, or its interval is 0', async () => {
    for (const gestures of [{ coalesce: false }, { intervalMs: 0 }]) {
      await restart(gestures)
      send('start', 0)
      for (let i = 1; i <= 50; i++) send('move', i)
      send('end', 51)
      const names = await seen()
      assert.equal(names.length, 52)
      assert.deepEqual(names.slice(-2), ['move 1 50', 'end 1 51'])
    }
  })

  test('100 of them at once all end cleanly', async () => {
    for (let id = 0; id < 100; id++) {
      send('start', 0, { id })
      for (const value of [1, 2, 3]) send('move', value, { id })
    }
    for (let id = 0; id < 100; id++) send('end', 4, { id })
    const names = await seen()
    for (let id = 0; id < 100; id++) {
      const own = names.filter((name) => name.split(' ')[1] === `${id}`)
      assert.deepEqual(own, [`start ${id} 0`, `move ${id} 1`, `move ${id} 3`, `end ${id} 4`])
    }
  })

  test('a session that starts ever more of them without an end has its oldest ones cancelled', async () => {
    for (let id = 0; id < 1030; id++) send('start', 0, { id })
    const cancelled = (await seen()).filter((name) => name.startsWith('cancel'))
    assert.deepEqual(cancelled, ['cancel 0 0', 'cancel 1 0', 'cancel 2 0', 'cancel 3 0', 'cancel 4 0', 'cancel 5 0'])
  })

  test('is no event: an event of the same address is not held back', async () => {
    send('start', 0)
    for (const value of [1, 2]) send('move', value)
    finger.send({ type: 'PUBLISH', address: '/pad', signal: 'event', id: 1, value: int(3) })
    assert.deepEqual(await seen(), ['start 1 0', 'move 1 1', 'start 1 3'])
  })
})
