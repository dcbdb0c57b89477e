import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { rawServer } from '../client/scripted-router.ts'
import { Bench, bytes, float, int, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { startHub } from './hub-fixture.ts'
import { attempt, Heard, openSession, prefixed, sendTo, WELCOME } from './hub-session-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

const addressesOf = (messages: { address: string }[]) => messages.map(({ address }) => address)

describe('a session at a router of ours', () => {
  for (const scheme of ['ws', 'tcp']) {
    it(`sets, subscribes, gets, publishes and measures the clock over ${scheme}`, async (t) => {
      const bench = await Bench.start()
      t.after(() => bench.stop())
      const other = await bench.join()
      other.set('/house/lamp', int(1))
      await other.settle()
      const { session, heard } = await openSession(t, `${scheme}://127.0.0.1:${bench.port}`)
      assert.equal(session.hubName, 'Test Router')
      assert.deepEqual(await session.barrier(), { kind: 'done' })
      assert.deepEqual(addressesOf(heard.snapshots.flat()), ['/house/lamp'])

      session.subscribe(1, '/house/**')
      assert.deepEqual(await session.set('/house/lamp', int(2)), { kind: 'stored', revision: 2 })
      assert.deepEqual(await session.set('/house/fan', float(0.5), { mode: 'never' }), { kind: 'stored', revision: 1 })
      await session.barrier()
      assert.deepEqual(addressesOf(heard.sets), ['/house/lamp', '/house/fan'])

      heard.snapshots = []
      session.get('/house/fan')
      session.get('/house/nothing')
      await session.barrier()
      assert.equal(heard.snapshots.flat().find(({ address }) => address === '/house/fan')?.writer, session.id)

      other.subscribe(1, '/cue/**')
      await other.settle()
      assert.equal(session.publish({ type: 'PUBLISH', address: '/cue/go', signal: 'event', value: text('now') }), true)
      assert.equal((await other.next('PUBLISH')).address, '/cue/go')

      session.unsubscribe(1)
      await session.barrier()
      heard.sets = []
      other.set('/house/lamp', int(3))
      await other.settle()
      await session.barrier()
      assert.deepEqual(heard.sets, [])

      const sample = await session.sampleClock()
      assert.ok(sample !== undefined && Math.abs(sample.offsetUs) < 1_000_000 && sample.roundTripUs >= 0)
      assert.deepEqual(heard.refusals, [])
      assert.ok(session.counters.framesSent >= 13 && session.counters.framesReceived >= 9)
      assert.equal(session.counters.throttled, 0)
    })
  }

  it('gives every SET its own answer when many are under way', async (t) => {
    const bench = await Bench.start()
    t.after(() => bench.stop())
    const { session, heard } = await openSession(t, `tcp://127.0.0.1:${bench.port}`, { window: 50 })
    session.subscribe(1, '/**')
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => session.set(`/many/${i}`, int(i))))
    assert.ok(answers.every((answer) => answer.kind === 'stored' && answer.revision === 1))
    await session.barrier()
    assert.equal(heard.sets.length, 50)
  })

  it('says that there is room again when the window was full', async (t) => {
    const bench = await Bench.start()
    t.after(() => bench.stop())
    const { session, heard } = await openSession(t, `ws://127.0.0.1:${bench.port}`, { window: 2 })
    const answers = [session.set('/a', int(1))]
    assert.equal(session.canSend, true)
    answers.push(session.set('/b', int(1)))
    assert.equal(session.canSend, false)
    assert.equal(heard.rooms, 0)
    await until(() => heard.rooms === 1, 'word of room')
    assert.equal(session.canSend, true)
    await Promise.all(answers)
    await session.barrier()
    assert.equal(heard.rooms, 1, 'nobody asked again')
  })

  it('never sends a frame that no transport carries', async (t) => {
    const bench = await Bench.start()
    t.after(() => bench.stop())
    const { session, heard } = await openSession(t, `tcp://127.0.0.1:${bench.port}`)
    await session.barrier()
    const sent = session.counters.framesSent
    const big = bytes(65_530)
    const answer = await session.set('/big', big)
    assert.ok(answer.kind === 'refused' && answer.refusal.code === 402 && answer.refusal.address === '/big')
    assert.equal((await session.bundle([{ type: 'SET', address: '/big', value: big }])).kind, 'refused')
    const revisions = Array.from({ length: 5000 }, (_, i): [string, number] => [`/address/number/${i}`, 0])
    assert.equal((await session.revisionVector(revisions)).kind, 'refused')
    assert.equal(session.publish({ type: 'PUBLISH', address: '/big', signal: 'event', value: big }), true)
    session.get(`/${'x'.repeat(70_000)}`)
    assert.deepEqual(addressesOf(heard.refusals as { address: string }[]).length, 2)
    assert.equal(session.counters.framesSent, sent)
    assert.equal((await session.set('/fits', bytes(60_000))).kind, 'stored')
  })
})

test('a hub of ours says that it knows federation, and answers as an upstream hub does', async (t) => {
  const { bench } = await startHub()
  t.after(() => bench.stop())
  const { session, heard } = await openSession(t, `ws://127.0.0.1:${bench.port}`)
  assert.equal(session.isFederatingHub, true)
  assert.deepEqual(await session.declare(['/site-a/**'], 'leaf-test', 5000), { kind: 'done' })
  assert.deepEqual(await session.set('/site-a/t', int(1)), { kind: 'stored', revision: 1 })
  assert.deepEqual(await session.bundle([{ type: 'SET', address: '/site-a/u', value: int(1) }]), { kind: 'done' })
  assert.deepEqual(addressesOf(heard.sets), ['/site-a/t', '/site-a/u'])
  heard.snapshots = []
  assert.deepEqual(await session.requestSync('/site-a/**'), { kind: 'done' })
  assert.deepEqual(await session.revisionVector([['/site-a/t', 0]]), { kind: 'done' })
  assert.deepEqual(addressesOf(heard.snapshots.flat()).sort(), ['/site-a/t', '/site-a/t', '/site-a/u'])
  assert.equal((await session.set('/site-b/t', int(1))).kind, 'refused')
  assert.equal((await session.requestSync('/site-b/**')).kind, 'refused')
})

describe('a session at an upstream hub', () => {
  it('declares, syncs and pages, each answered by itself', async (t) => {
    const hub = await UpstreamHub.start(t)
    hub.set('/site-a/t', float(21.5))
    const { session, heard } = await openSession(t, hub.url)
    assert.equal(session.isFederatingHub, false, 'upstream cannot say so')
    await session.barrier()
    heard.snapshots = []
    assert.deepEqual(await session.declare(['/site-a/**'], 'leaf-test', 5000), { kind: 'done' })
    assert.deepEqual(await session.requestSync('/site-a/**'), { kind: 'done' })
    assert.deepEqual(addressesOf(heard.snapshots.flat()), ['/site-a/t'])
    assert.equal(hub.peer?.declared.join(), '/site-a/**')
    heard.snapshots = []
    assert.deepEqual(
      await session.revisionVector([
        ['/site-a/t', 0],
        ['/site-a/nothing', 0],
      ]),
      { kind: 'done' },
    )
    assert.deepEqual(addressesOf(heard.snapshots.flat()), ['/site-a/t'], 'the SNAPSHOT came before')
    const sets = ['/site-a/x', '/site-a/y'].map((address) => ({ type: 'SET' as const, address, value: int(1) }))
    assert.deepEqual(await session.bundle(sets), { kind: 'done' })
    assert.deepEqual(addressesOf(heard.sets), ['/site-a/x', '/site-a/y'], 'echoes come as broadcasts')
  })

  it('tells refusals of a SET, of a request and of a PUBLISH apart', async (t) => {
    const hub = await UpstreamHub.start(t)
    const { session, heard } = await openSession(t, hub.tcpUrl)
    await session.declare(['/site-a/**'], 'leaf-test', 5000)
    const outside = session.set('/site-b/x', int(1))
    const inside = session.set('/site-a/x', int(1))
    session.publish({ type: 'PUBLISH', address: '/site-b/cue', signal: 'event' })
    const sync = session.requestSync('/site-b/**')
    const answer = await outside
    assert.ok(answer.kind === 'refused' && answer.refusal.code === 403)
    assert.match(answer.refusal.message, /outside declared/)
    assert.equal((await inside).kind, 'stored')
    const refused = await sync
    assert.ok(refused.kind === 'refused' && /not covered/.test(refused.refusal.message))
    assert.deepEqual(
      heard.refusals.map(({ code, address }) => [code, address]),
      [[403, '/site-b/cue']],
    )
  })

  it('finds out that a hub does not know federation, and takes a late ACK for nothing else', async (t) => {
    const hub = await UpstreamHub.start(t, { federation: false })
    const { session } = await openSession(t, hub.url)
    const declared = session.declare(['/site-a/**'], 'leaf-test', 40)
    const bundled = session.bundle([{ type: 'SET', address: '/site-a/x', value: int(1) }])
    assert.deepEqual(await declared, { kind: 'unanswered' })
    assert.deepEqual(await bundled, { kind: 'done' })
    assert.equal(hub.params.size, 1)
  })

  it('sends one DECLARE or BUNDLE at a time, because their ACKs look alike', async (t) => {
    const hub = await UpstreamHub.start(t)
    hub.faults.delayMs = 20
    const { session } = await openSession(t, hub.url)
    const bundles = [1, 2, 3].map((n) => session.bundle([{ type: 'SET', address: `/x/${n}`, value: int(n) }]))
    assert.deepEqual(await Promise.all(bundles), [{ kind: 'done' }, { kind: 'done' }, { kind: 'done' }])
    const kinds = hub.log.flatMap(({ direction, message }) =>
      message.type === 'BUNDLE' || (message.type === 'ACK' && message.address === undefined) ? [direction] : [],
    )
    assert.deepEqual(kinds, ['in', 'out', 'in', 'out', 'in', 'out'])
  })

  it('takes echo and ACK of a SET in either order', async (t) => {
    const hub = await UpstreamHub.start(t)
    const { session, heard } = await openSession(t, hub.url)
    await session.declare(['/site-a/**'], 'leaf-test', 5000)
    assert.equal((await session.set('/site-a/x', int(1))).kind, 'stored')
    hub.inlineReceivers = 0
    assert.equal((await session.set('/site-a/x', int(2))).kind, 'stored')
    await until(() => heard.sets.length === 2, 'both echoes')
    assert.deepEqual(
      heard.sets.map(({ revision }) => revision),
      [1, 2],
    )
  })

  it('measures the clock of the hub, whatever the own wall clock does meanwhile', async (t) => {
    const hub = await UpstreamHub.start(t)
    const clock = new SteppedClock()
    const { session } = await openSession(t, hub.url, { clock })
    const sample = session.sampleClock()
    clock.stepWall(3_600_000_000)
    const measured = await sample
    assert.ok(measured !== undefined)
    const expected = Date.now() * 1000 - (clock.wallUs() - 3_600_000_000)
    assert.ok(Math.abs(measured.offsetUs - expected) < 30_000_000, String(measured.offsetUs))
  })
})

test('a hub of our kind is known by the federation bit of its WELCOME', async (t) => {
  const frame = encodeFrame(WELCOME)
  frame[6] |= 0x04
  const port = await rawServer(t, (socket) => socket.once('data', () => socket.write(prefixed(frame))))
  const { session } = await openSession(t, `tcp://127.0.0.1:${port}`)
  assert.equal(session.isFederatingHub, true)
  assert.equal(session.id, 'session-1')
})

test('HELLO names the leaf and says whether it is a peer', async (t) => {
  const hub = await UpstreamHub.start(t)
  await openSession(t, hub.url, { isPeer: true })
  await openSession(t, hub.url, { isPeer: false, name: 'second' })
  const hellos = hub.log.flatMap(({ message }) => (message.type === 'HELLO' ? [message] : []))
  assert.deepEqual(
    hellos.map(({ name, features }) => [name, features.includes('federation')]),
    [
      ['leaf-test', true],
      ['second', false],
    ],
  )
})

test('the handler hears nothing before the session is there, not even an end in the same packet', async (t) => {
  const port = await rawServer(t, (socket) => {
    socket.once('data', () => {
      sendTo(socket, WELCOME, { type: 'SNAPSHOT', params: [{ address: '/a', value: int(1), revision: 1 }] })
      socket.end(prefixed(Uint8Array.of(1, 2, 3, 4, 5)))
    })
  })
  const heard = new Heard()
  const session = await attempt(t, `tcp://127.0.0.1:${port}`, { handler: heard })
  assert.ok(!('kind' in session))
  assert.deepEqual([heard.snapshots.length, heard.ended.length], [0, 0])
  await until(() => heard.ended.length === 1, 'the end')
  assert.equal(heard.snapshots.length, 1)
  assert.equal(heard.ended[0].kind, 'protocol')
})

test('everything settles when the session ends, whoever ends it', async (t) => {
  for (const end of ['close', 'signal', 'hub']) {
    const port = await rawServer(t, (socket) => {
      socket.once('data', () => {
        sendTo(socket, WELCOME)
        if (end === 'hub') socket.on('data', () => socket.destroy())
      })
    })
    const aborter = new AbortController()
    t.after(() => aborter.abort())
    const clock = new SteppedClock()
    const { session, heard } = await openSession(t, `tcp://127.0.0.1:${port}`, { signal: aborter.signal, clock })
    const waiting = [
      session.set('/a', int(1)),
      session.declare(['/a/**'], 'leaf-test', 5000),
      session.bundle([{ type: 'SET', address: '/b', value: int(1) }]),
      session.requestSync('/a/**'),
      session.revisionVector([['/a', 0]]),
      session.barrier(),
    ]
    const sample = session.sampleClock()
    if (end === 'close') session.close()
    if (end === 'signal') aborter.abort()
    const answers = await Promise.all(waiting)
    assert.deepEqual(new Set(answers.map(({ kind }) => kind)), new Set(['lost']))
    assert.equal(await sample, undefined)
    assert.deepEqual(
      heard.ended.map(({ kind }) => kind),
      ['closed'],
      end,
    )
    assert.deepEqual(await session.set('/a', int(1)), { kind: 'lost' })
    assert.deepEqual(await session.barrier(), { kind: 'lost' })
    assert.equal(session.publish({ type: 'PUBLISH', address: '/a', signal: 'event' }), false)
    assert.equal(session.canSend, false)
    session.get('/a')
    session.close()
    assert.equal(heard.ended.length, 1)
    assert.equal(clock.pendingTimers, 0, 'no timer outlives the session')
  }
})
