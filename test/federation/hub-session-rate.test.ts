import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { FrameRate } from '../../runtime/federation/leaf/frame-rate.ts'
import { type Script, type ScriptedPeer, scriptedRouter } from '../client/scripted-router.ts'
import { Bench, int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { openSession } from './hub-session-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

const TOO_FAST: Message = { type: 'ERROR', code: 429, message: 'Rate limit exceeded: 30 messages/second' }

/** Discards what the test says, with an ERROR 429 each. */
function discarding(discards: (message: Message, n: number) => boolean): Script {
  let n = 0
  return (message: Message, peer: ScriptedPeer) => {
    if (message.type === 'HELLO' || !discards(message, n++)) return false
    peer.send(TOO_FAST)
    return true
  }
}

/** Lets time pass in steps that leave the sockets room, until the condition holds. */
async function passing(clock: SteppedClock, condition: () => boolean, what: string, limitMs = 60_000): Promise<number> {
  const start = clock.now()
  while (!condition()) {
    if (clock.now() - start > limitMs) throw new Error(`no ${what} within ${limitMs} ms of the hub's time`)
    clock.advance(20)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return clock.now() - start
}

describe('the frame rate', () => {
  it('never lets more than 30 frames leave in any second at 25 per second', () => {
    const rate = new FrameRate(25, 0)
    const left: number[] = []
    for (let ms = 0; ms < 10_000; ms++) while (rate.take(ms)) left.push(ms)
    assert.ok(left.length >= 250 && left.length <= 255, `${left.length} frames in 10 s`)
    for (const from of left) {
      const inSecond = left.filter((at) => at >= from && at < from + 1000).length
      assert.ok(inSecond <= 30, `${inSecond} frames from ${from} ms on`)
    }
  })

  it('pauses a second and halves with each burst of 429, down to 5, and climbs back by 1 every 10 s', () => {
    const rate = new FrameRate(25, 0)
    rate.throttle(0)
    rate.throttle(500)
    assert.equal(rate.current, 12.5, 'one burst')
    assert.equal(rate.waitMs(500), 500)
    assert.equal(rate.take(999), false)
    assert.equal(rate.take(1000), true)
    rate.throttle(1100)
    rate.throttle(2200)
    rate.throttle(3300)
    assert.equal(rate.current, 5)
    assert.equal(rate.take(4300), true)
    assert.equal(rate.current, 5)
    rate.waitMs(13_300)
    assert.equal(rate.current, 6)
    rate.waitMs(1_000_000)
    assert.equal(rate.current, 25, 'not above where it began')
  })

  it('is unlimited until the first 429, then begins at 25', () => {
    const rate = new FrameRate(0, 0)
    for (let i = 0; i < 10_000; i++) assert.equal(rate.take(0), true)
    assert.equal(rate.current, Number.POSITIVE_INFINITY)
    rate.throttle(0)
    assert.equal(rate.current, 25)
    rate.throttle(1500)
    assert.equal(rate.current, 12.5)
  })

  it('keeps a configured rate below the floor', () => {
    const rate = new FrameRate(2, 0)
    rate.throttle(0)
    assert.equal(rate.current, 2)
    assert.equal(rate.take(1000), true)
    assert.equal(rate.take(1499), false)
    assert.equal(rate.take(1500), true)
  })
})

describe('a hub that discards frames', () => {
  it('makes exactly the SETs that it discarded come back as discarded', async (t) => {
    const router = await scriptedRouter(
      t,
      discarding((message) => message.type === 'SET' && /3|4/.test(message.address)),
    )
    const clock = new SteppedClock()
    const { session, heard } = await openSession(t, router.url, { clock })
    const answers = Promise.all([1, 2, 3, 4, 5].map((n) => session.set(`/x/${n}`, int(n))))
    await until(() => session.counters.throttled === 2, 'both 429')
    assert.equal(session.canSend, false)
    assert.equal(session.publish({ type: 'PUBLISH', address: '/cue', signal: 'event' }), false)
    assert.equal(session.rate, 25)
    assert.equal(router.received.at(-1)?.type, 'SET', 'nothing is sent during the pause')
    clock.advance(1000)
    assert.deepEqual(
      (await answers).map(({ kind }) => kind),
      ['stored', 'stored', 'discarded', 'discarded', 'stored'],
    )
    assert.equal(router.received.at(-1)?.type, 'PING')
    clock.advance(100)
    await until(() => heard.rooms === 1, 'word of room')
    assert.deepEqual(heard.refusals, [])
  })

  it('is asked every second when it discards the PINGs as well', async (t) => {
    let isDeaf = true
    const router = await scriptedRouter(t, (message, peer) => {
      if (!isDeaf || message.type === 'HELLO') return false
      peer.send(TOO_FAST)
      return true
    })
    const clock = new SteppedClock()
    const { session } = await openSession(t, router.url, { clock })
    const answer = session.set('/x', int(1))
    const pings = () => router.received.filter(({ type }) => type === 'PING').length
    for (let n = 1; n <= 4; n++) {
      await until(() => session.counters.throttled === n, `429 number ${n}`)
      clock.advance(1000)
      await until(() => pings() === n, `PING number ${n}`)
    }
    await until(() => session.counters.throttled === 5, 'the last 429')
    assert.equal(session.rate, 5)
    isDeaf = false
    clock.advance(1000)
    await until(() => pings() === 5, 'the last PING')
    // The PONG counts for the oldest PING that may have been answered: enough for the SET.
    assert.deepEqual(await answer, { kind: 'discarded' })
    const barrier = session.barrier()
    await passing(clock, () => session.canSend, 'room')
    const again = session.set('/x', int(2))
    await passing(clock, () => pings() > 5, 'a PING of the barrier')
    assert.deepEqual([await again, await barrier], [{ kind: 'stored', revision: 1 }, { kind: 'done' }])
  })

  it('gets requests that are not SETs again without being asked, and barriers wait for that', async (t) => {
    const seen: string[] = []
    const router = await scriptedRouter(t, (message, peer) => {
      if (message.type === 'HELLO' || message.type === 'PING') return false
      const isFirst = !seen.includes(message.type)
      seen.push(message.type)
      if (isFirst) peer.send(TOO_FAST)
      else if (message.type === 'BUNDLE') peer.send({ type: 'ACK', revision: 1 })
      return true
    })
    const clock = new SteppedClock()
    const { session } = await openSession(t, router.url, { clock })
    let isReached = false
    session.subscribe(1, '/x/**')
    session.get('/x')
    const bundle = session.bundle([{ type: 'SET', address: '/x', value: int(1) }])
    const vector = session.revisionVector([['/x', 0]])
    const barrier = session.barrier().then((answer) => {
      isReached = true
      return answer
    })
    await until(() => session.counters.throttled === 4, 'four 429')
    assert.equal(isReached, false)
    await passing(clock, () => isReached, 'the barrier')
    assert.deepEqual(
      [await bundle, await vector, await barrier],
      [{ kind: 'done' }, { kind: 'done' }, { kind: 'done' }],
    )
    const first = ['SUBSCRIBE', 'GET', 'BUNDLE', 'FEDERATION_SYNC']
    assert.deepEqual(seen, [...first, ...first])
  })

  it('that takes none of them ever gets a request three times, not for ever', async (t) => {
    const router = await scriptedRouter(
      t,
      discarding(({ type }) => type !== 'PING'),
    )
    const clock = new SteppedClock()
    const { session } = await openSession(t, router.url, { clock })
    session.subscribe(1, '/x/**')
    let answer: unknown
    session.bundle([{ type: 'SET', address: '/x', value: int(1) }]).then((it) => {
      answer = it
    })
    await passing(clock, () => answer !== undefined, 'the end of the BUNDLE')
    assert.deepEqual(answer, { kind: 'unanswered' })
    await passing(clock, () => session.canSend, 'room')
    const count = (type: string) => router.received.filter((message) => message.type === type).length
    assert.deepEqual([count('SUBSCRIBE'), count('BUNDLE')], [3, 3])
  })

  it('is sent 30 frames a second at most from the start when 25 are configured', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock, auth: { secret: { scopes: ['read:/**', 'write:/**'] } } })
    const { session } = await openSession(t, hub.url, { clock, rate: 25, token: 'secret', window: 1000 })
    const answers = Promise.all(Array.from({ length: 100 }, (_, i) => session.set(`/many/${i}`, int(i))))
    let isDone = false
    answers.then(() => {
      isDone = true
    })
    const took = await passing(clock, () => isDone, 'all answers')
    assert.ok((await answers).every(({ kind }) => kind === 'stored'))
    assert.ok(took >= 3700 && took < 5000, `${took} ms for 100 frames`)
    assert.equal(session.counters.throttled, 0)
  })

  it('loses nothing of a flood that begins unlimited', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock, auth: { secret: { scopes: ['read:/**', 'write:/**'] } } })
    const { session } = await openSession(t, hub.url, { clock, token: 'secret', window: 1000 })
    let discarded = 0
    let stored = 0
    const store = async (address: string) => {
      for (;;) {
        const answer = await session.set(address, int(1))
        if (answer.kind === 'stored') break
        assert.equal(answer.kind, 'discarded')
        discarded++
      }
      stored++
    }
    for (let i = 0; i < 100; i++) store(`/many/${i}`)
    await passing(clock, () => stored === 100, 'all values')
    assert.equal(hub.params.size, 100)
    assert.ok(discarded >= 60, `${discarded} were discarded`)
    assert.ok(session.rate <= 25)
  })
})

test('a router of ours tells of a whole burst once: the rest is found out', async (t) => {
  const bench = await Bench.start({ options: { maxMessagesPerSecond: 20 } })
  t.after(() => bench.stop())
  const { session } = await openSession(t, `tcp://127.0.0.1:${bench.port}`, { window: 100 })
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => session.set(`/x/${i}`, int(i))))
  assert.equal(session.counters.throttled, 1)
  const stored = answers.filter(({ kind }) => kind === 'stored').length
  assert.ok(stored >= 15 && stored < 40, `${stored} stored`)
  assert.equal(answers.filter(({ kind }) => kind === 'discarded').length, 40 - stored)
})

test('a limit of subscriptions is a refusal, not a matter of speed', async (t) => {
  const router = await scriptedRouter(t, (message, peer) => {
    if (message.type !== 'SUBSCRIBE') return false
    peer.send({ type: 'ERROR', code: 429, message: 'Subscription limit reached (max 1000)', address: message.pattern })
    return true
  })
  const { session, heard } = await openSession(t, router.url)
  session.subscribe(1, '/x/**')
  await session.barrier()
  assert.deepEqual(
    heard.refusals.map(({ address }) => address),
    ['/x/**'],
  )
  assert.equal(session.counters.throttled, 0)
})

test('a batch of PUBLISHes is closed by one PING', async (t) => {
  const router = await scriptedRouter(t)
  const clock = new SteppedClock()
  const { session } = await openSession(t, router.url, { clock })
  for (let i = 0; i < 10; i++) assert.ok(session.publish({ type: 'PUBLISH', address: `/cue/${i}`, signal: 'event' }))
  const count = (type: string) => router.received.filter((message) => message.type === type).length
  await until(() => count('PUBLISH') === 10, 'the events')
  assert.equal(count('PING'), 0)
  clock.advance(2000)
  await until(() => count('PING') === 1, 'the PING')
  clock.advance(5000)
  await session.barrier()
  assert.equal(count('PING'), 2)
})
