import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Message, Phase } from '../../firmware-protocol/wire/message.ts'
import { Bench, int, type Peer, text } from './fixture.ts'

describe('PUBLISH', () => {
  let bench: Bench
  let sender: Peer
  let receiver: Peer
  before(async () => {
    bench = await Bench.start()
    sender = await bench.join('sender')
    receiver = await bench.join('receiver')
    for (const peer of [sender, receiver]) {
      peer.subscribe(1, '/**')
      await peer.settle()
    }
  })
  after(() => bench.stop())

  it('reaches everybody but its sender, has no reply and is not stored', async () => {
    sender.send({ type: 'PUBLISH', address: '/pub/event', signal: 'event', value: text('go'), timestamp: 123 })
    assert.deepEqual(await sender.settle(), [])
    const event = await receiver.next('PUBLISH')
    assert.deepEqual(event, {
      type: 'PUBLISH',
      address: '/pub/event',
      signal: 'event',
      phase: 'start',
      value: text('go'),
      timestamp: 123,
    })
    sender.send({ type: 'GET', address: '/pub/event' })
    assert.deepEqual(await sender.settle(), [])
  })

  it('keeps samples, rate, timestamp and id', async () => {
    const message = {
      type: 'PUBLISH',
      address: '/pub/s',
      signal: 'stream',
      phase: 'start',
      samples: [1, 2.5],
      timestamp: 5,
      rate: 60,
    } as const
    sender.send({ ...message, samples: [...message.samples] })
    assert.deepEqual(await receiver.next('PUBLISH'), message)
  })

  const gesture = (address: string, id: number, phase: Phase, value?: number): Message => ({
    type: 'PUBLISH',
    address,
    signal: 'gesture',
    id,
    phase,
    value: value === undefined ? undefined : int(value),
  })
  const phases = (messages: Message[]) => messages.flatMap((m) => (m.type === 'PUBLISH' ? [m.phase] : []))

  it('passes starts and ends of gestures at once, and the newest move before the end', async () => {
    sender.send(gesture('/touch', 3, 'start'))
    for (let i = 0; i < 1000; i++) sender.send(gesture('/touch', 3, 'move', i))
    sender.send(gesture('/touch', 3, 'end'))
    await sender.settle()
    const messages = await receiver.settle()
    assert.equal(phases(messages)[0], 'start')
    assert.deepEqual(phases(messages).slice(-2), ['move', 'end'])
    assert.ok(messages.length >= 3 && messages.length < 500, `${messages.length} messages`)
    const last = messages[messages.length - 2]
    assert.deepEqual(last.type === 'PUBLISH' && last.value, int(999))
  })

  it('shows a finger that never rests: moves are throttled, not held back', async () => {
    sender.send(gesture('/restless', 1, 'start'))
    const until = performance.now() + 300
    for (let i = 0; performance.now() < until; i++) {
      sender.send(gesture('/restless', 1, 'move', i))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const moves = phases(await receiver.settle()).filter((phase) => phase === 'move')
    assert.ok(moves.length >= 5, `${moves.length} moves came`)
    sender.send(gesture('/restless', 1, 'end'))
    await sender.settle()
    await receiver.settle()
  })

  it('cancels the gestures of a session that leaves, with their last position', async () => {
    const leaving = await bench.join()
    leaving.send(gesture('/orphan', 5, 'start', 0))
    leaving.send(gesture('/orphan', 5, 'move', 1))
    leaving.send(gesture('/orphan', 5, 'move', 2))
    await leaving.settle()
    leaving.close()
    const isCancel = (m: Message) => m.type === 'PUBLISH' && m.phase === 'cancel'
    await receiver.until(() => receiver.inbox.some(isCancel), 'the cancel')
    const cancel = receiver.inbox.find(isCancel)
    assert.ok(cancel?.type === 'PUBLISH')
    assert.deepEqual([cancel.address, cancel.id, cancel.value], ['/orphan', 5, int(2)])
    receiver.inbox.length = 0
  })

  it('carries P2P signals to exactly the session they name, with the true sender in them', async () => {
    const offer = {
      type: 'map',
      value: [
        ['type', text('offer')],
        ['from', text('somebody else')],
        ['sdp', text('x')],
      ],
    } as const
    sender.send({
      type: 'PUBLISH',
      address: `/clasp/p2p/signal/${receiver.session}`,
      signal: 'event',
      value: { ...offer, value: [...offer.value] },
    })
    const signal = await receiver.next('PUBLISH')
    const entries = signal.value?.type === 'map' ? Object.fromEntries(signal.value.value) : {}
    assert.deepEqual(entries.from, text(sender.session))
    assert.deepEqual(entries.sdp, text('x'))
    await sender.settle()
    sender.send({ type: 'PUBLISH', address: '/clasp/p2p/signal/nobody', signal: 'event' })
    const error = await sender.next('ERROR')
    assert.deepEqual([error.code, error.address], [404, '/clasp/p2p/signal/nobody'])
    sender.send({ type: 'PUBLISH', address: '/clasp/p2p/announce', signal: 'event' })
    assert.equal((await receiver.next('PUBLISH')).address, '/clasp/p2p/announce')
  })
})

describe('BUNDLE', () => {
  let bench: Bench
  let peer: Peer
  let watcher: Peer
  before(async () => {
    bench = await Bench.start()
    peer = await bench.join()
    watcher = await bench.join()
    watcher.subscribe(1, '/**')
    await watcher.settle()
  })
  after(() => bench.stop())

  const set = (address: string, value: number, fields = {}): Message => ({
    type: 'SET',
    address,
    value: int(value),
    ...fields,
  })
  const emit = (address: string): Message => ({ type: 'PUBLISH', address, signal: 'event' })
  const seen = async () => (await watcher.settle()).map((m) => ('address' in m ? `${m.type} ${m.address}` : m.type))

  it('delivers its messages one by one in their order, and is acknowledged with the last revision', async () => {
    peer.send({
      type: 'BUNDLE',
      messages: [set('/b/1', 1), emit('/b/cue'), set('/b/2', 1), set('/b/1', 2), { type: 'PING' }],
    })
    assert.deepEqual(await peer.next('ACK'), { type: 'ACK', revision: 2 })
    assert.deepEqual(await seen(), ['SET /b/1', 'PUBLISH /b/cue', 'SET /b/2', 'SET /b/1'])
    peer.send({ type: 'BUNDLE', messages: [] })
    assert.deepEqual(await peer.next('ACK'), { type: 'ACK' })
  })

  it('does nothing at all when one of its SETs is refused', async () => {
    watcher.set('/b/locked', int(1), { lock: true })
    await watcher.settle()
    peer.set('/b/old', text('a longer value than the one that replaces it'), { ttl: { mode: 'never' } })
    await peer.settle()
    await watcher.settle()
    const doomed = [set('/b/old', 7, { lock: true }), set('/b/new', 7), emit('/b/cue'), set('/b/locked', 7)]
    peer.send({ type: 'BUNDLE', messages: doomed })
    const error = await peer.next('ERROR')
    assert.deepEqual([error.code, error.address], [400, '/b/locked'])
    assert.match(error.message, /^LockHeld/)
    assert.deepEqual(await seen(), [])
    for (const address of ['/b/old', '/b/new']) peer.send({ type: 'GET', address })
    const [old, ...rest] = await peer.settle()
    assert.ok(old.type === 'SNAPSHOT' && rest.length === 0)
    assert.deepEqual(
      [old.params[0].revision, old.params[0].value],
      [1, text('a longer value than the one that replaces it')],
    )
    watcher.set('/b/old', int(1))
    assert.equal(
      (await watcher.settle()).some(({ type }) => type === 'ERROR'),
      false,
      'the lock was taken back',
    )
  })

  it('sees its own writes: two SETs of one param with revisions', async () => {
    peer.send({
      type: 'BUNDLE',
      messages: [set('/b/twice', 1), set('/b/twice', 2, { revision: 1 }), set('/b/twice', 3, { revision: 2 })],
    })
    assert.equal((await peer.next('ACK')).revision, 3)
    await watcher.settle()
  })

  it('with a time waits for it, in order with others, and in the past happens at once', async () => {
    const now = Date.now() * 1000
    peer.send({ type: 'BUNDLE', timestamp: now + 150_000, messages: [set('/b/late', 2)] })
    peer.send({ type: 'BUNDLE', timestamp: now + 100_000, messages: [set('/b/soon', 1)] })
    peer.send({ type: 'BUNDLE', timestamp: now - 1_000_000, messages: [set('/b/past', 0)] })
    assert.deepEqual(
      (await peer.settle()).map((m) => m.type === 'ACK' && m.revision),
      [undefined, undefined, 1],
    )
    await watcher.until(() => watcher.inbox.length === 3, 'all three')
    const order = watcher.inbox.splice(0).map((m) => m.type === 'SET' && m.address)
    assert.deepEqual(order, ['/b/past', '/b/soon', '/b/late'])
    const lateMs = Date.now() - now / 1000 - 150
    assert.ok(lateMs > -2 && lateMs < 200, `${lateMs} ms late`)
    peer.send({ type: 'BUNDLE', timestamp: now + 1e14, messages: [set('/b/never', 0)] })
    assert.equal((await peer.next('ERROR')).code, 400)
  })
})

describe('the other messages', () => {
  let bench: Bench
  let peer: Peer
  before(async () => {
    bench = await Bench.start({ options: { maxSignals: 3000 } })
    peer = await bench.join()
  })
  after(() => bench.stop())

  it('SYNC comes back with the same two router times', async () => {
    peer.send({ type: 'SYNC', t1: 42 })
    const { t1, t2, t3 } = await peer.next('SYNC')
    assert.equal(t1, 42)
    assert.equal(t2, t3)
    assert.ok(Math.abs(Number(t2) / 1000 - Date.now()) < 5000)
  })

  it('QUERY finds announced signals, in as many RESULTs as they need', async () => {
    peer.send({ type: 'QUERY', pattern: '/none/**' })
    assert.deepEqual(await peer.next('RESULT'), { type: 'RESULT', signals: [] })
    for (let i = 0; i < 3; i++) {
      const signals = Array.from({ length: 700 }, (_, k) => ({
        address: `/signals/${i}/${'x'.repeat(60)}${k}`,
        type: 'param' as const,
        datatype: 'f32',
      }))
      peer.send({ type: 'ANNOUNCE', namespace: `/signals/${i}`, signals })
      assert.equal((await peer.next('ACK')).address, `/signals/${i}`)
    }
    peer.send({ type: 'QUERY', pattern: '**' })
    const results = await peer.settle()
    assert.ok(results.length > 1)
    assert.equal(
      results.reduce((sum, m) => sum + (m.type === 'RESULT' ? m.signals.length : 0), 0),
      2100,
    )
    peer.send({
      type: 'ANNOUNCE',
      namespace: '/more',
      signals: Array.from({ length: 901 }, (_, k) => ({ address: `/more/${k}`, type: 'event' as const })),
    })
    assert.equal((await peer.next('ERROR')).code, 429)
  })

  it('REPLAY and FEDERATION_SYNC say what this router does not do', async () => {
    peer.send({ type: 'REPLAY', pattern: '/**', types: [] })
    assert.deepEqual(await peer.next('ERROR'), {
      type: 'ERROR',
      code: 501,
      message: 'Journal not configured on this router',
      address: '/**',
    })
    peer.send({ type: 'FEDERATION_SYNC', op: 'declare_namespaces', patterns: ['/x/**'], revisions: [] })
    const error = await peer.next('ERROR')
    assert.equal(error.code, 403)
    assert.match(error.message, /federation/)
  })

  it('a session that sends too much is told once a second, and stays', async () => {
    const limited = await Bench.start({ options: { maxMessagesPerSecond: 100 } })
    try {
      const flooder = await limited.join()
      for (let i = 0; i < 500; i++) flooder.set('/flood', int(i))
      const replies = await flooder.settle()
      const errors = replies.filter(({ type }) => type === 'ERROR')
      assert.deepEqual(
        errors.map((m) => m.type === 'ERROR' && [m.code, m.message]),
        [[429, 'Rate limit exceeded: 100 messages/second']],
      )
      const acks = replies.filter(({ type }) => type === 'ACK').length
      assert.ok(acks >= 99 && acks < 200, `${acks} were taken`)
      flooder.send({
        type: 'BUNDLE',
        messages: Array.from({ length: 300 }, (_, i): Message => ({ type: 'SET', address: `/b${i}`, value: int(1) })),
      })
      assert.equal(limited.router.statistics.params, 1)
      assert.deepEqual(await flooder.settle(), [])
    } finally {
      await limited.stop()
    }
  })
})
