import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FederationOp, Message, U64 } from '../../firmware-protocol/wire/message.ts'
import { bool, bytes, float, int, type Peer, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { UpstreamHub } from './upstream-hub.ts'
import { connectPeer, joinPeer } from './upstream-peer.ts'

const NAMESPACES = ['/site-a', '/site-a/**']

function sync(op: FederationOp, patterns: string[], revisions: [string, U64][] = []): Message {
  return { type: 'FEDERATION_SYNC', op, patterns, revisions }
}

const typesOf = (messages: Message[]) => messages.map(({ type }) => type)
const revisionsOf = (messages: Message[]) =>
  messages.flatMap((message) => (message.type === 'SET' ? [message.revision] : []))

/** What came up to the PONG: messages that answer requests, and broadcasts. */
async function answersTo(peer: Peer, ...messages: Message[]): Promise<Message[]> {
  for (const message of messages) peer.send(message)
  return peer.settle()
}

describe('the scripted hub as an ordinary router', () => {
  it('shows a newcomer everything it holds, whatever its token allows', async (t) => {
    const hub = await UpstreamHub.start(t, {
      clock: new SteppedClock(),
      auth: { cpsk_a: { scopes: ['read:/site-a/**'] } },
    })
    hub.set('/secret', int(1))
    const peer = await connectPeer(t, hub)
    peer.send({ type: 'HELLO', version: 1, features: ['param'], name: 'x', token: 'cpsk_a' })
    assert.deepEqual((await peer.next('WELCOME')).features, ['param', 'event', 'stream', 'gesture', 'timeline'])
    assert.deepEqual(
      (await peer.next('SNAPSHOT')).params.map(({ address }) => address),
      ['/secret'],
    )
  })

  it('counts revisions from 1, whatever the writer of a new address expects, and tells the writer only if subscribed', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub)
    const other = await joinPeer(t, hub, { namespaces: NAMESPACES })
    peer.set('/site-a/t', int(5), { revision: 77 })
    assert.equal((await peer.next('ACK')).revision, 1)
    assert.equal((await other.next('SET')).revision, 1)
    peer.set('/site-a/t', int(6), { revision: 1 })
    assert.equal((await peer.next('ACK')).revision, 2)
    assert.deepEqual(hub.params.get('/site-a/t')?.writer, peer.session)
  })

  it('locks for a session that has left for ever, and lets an unlocking stranger write (D14)', async (t) => {
    const hub = await UpstreamHub.start(t)
    const holder = await joinPeer(t, hub)
    holder.set('/site-a/t', int(1), { lock: true })
    await holder.next('ACK')
    holder.close()
    await until(() => hub.openSessions.length === 0, 'the end of the session')
    const stranger = await joinPeer(t, hub)
    stranger.set('/site-a/t', int(2))
    assert.equal((await stranger.next('ERROR')).message, `LockHeld { holder: "${holder.session}" }`)
    stranger.set('/site-a/t', int(3), { unlock: true })
    assert.equal((await stranger.next('ACK')).revision, 2)
    assert.equal(hub.params.get('/site-a/t')?.holder, holder.session)
  })

  it('rejects every write while its clock is behind the last one (D20)', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const peer = await joinPeer(t, hub)
    assert.equal(hub.set('/site-a/t', int(1)), 1)
    clock.stepWall(-5_000_000)
    peer.set('/site-a/t', int(2))
    const { code, message, address } = await peer.next('ERROR')
    assert.deepEqual([code, message, address], [400, 'ConflictRejected', '/site-a/t'])
    clock.stepWall(5_000_000)
    peer.set('/site-a/t', int(2))
    assert.equal((await peer.next('ACK')).revision, 2)
  })

  it('forgets params silently: an hour after the last write, by their own TTL, never, or when there are too many', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock, sessionTimeoutS: 0 })
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    hub.set('/site-a/hour', int(1))
    hub.set('/site-a/never', int(1), { ttl: { mode: 'never' } })
    hub.set('/site-a/sliding', int(1), { ttl: { mode: 'sliding', seconds: 180 } })
    hub.set('/site-a/absolute', int(1), { ttl: { mode: 'absolute', seconds: 1 } })
    await peer.settle()
    clock.advance(60_000)
    assert.equal(hub.params.has('/site-a/absolute'), false)
    clock.advance(180_000)
    assert.equal(hub.params.has('/site-a/sliding'), false)
    assert.equal(hub.set('/site-a/absolute', int(1)), 1, 'the counter starts again')
    clock.advance(3_660_000)
    assert.deepEqual([...hub.params.keys()], ['/site-a/never'])
    assert.deepEqual(revisionsOf(await peer.settle()), [1], 'only the new write was told')
    hub.state.maxParams = 2
    hub.set('/site-a/b', int(1))
    hub.set('/site-a/c', int(1))
    assert.deepEqual([...hub.params.keys()], ['/site-a/b', '/site-a/c'], 'the oldest made room, TTL never or not')
  })

  it('echoes after the ACK and in reverse order when more than ten sessions listen', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    const set = (value: number): Message => ({ type: 'SET', address: '/site-a/t', value: int(value) })
    assert.deepEqual(typesOf(await answersTo(peer, set(1))), ['SET', 'ACK'])
    for (let i = 0; i < 10; i++) await joinPeer(t, hub, { namespaces: NAMESPACES })
    peer.socket.cork()
    peer.send(set(2))
    peer.send(set(3))
    peer.socket.uncork()
    await peer.until(() => peer.inbox.length === 4, 'two echoes')
    assert.deepEqual(typesOf(peer.inbox), ['ACK', 'ACK', 'SET', 'SET'])
    assert.deepEqual(revisionsOf(peer.inbox), [3, 2])
  })

  it('answers GET, SUBSCRIBE, QUERY, ANNOUNCE, SYNC and REPLAY in its own ways', async (t) => {
    const hub = await UpstreamHub.start(t, { clock: new SteppedClock() })
    hub.set('/site-b', int(0))
    hub.set('/site-b/t', int(4))
    const peer = await joinPeer(t, hub)
    assert.deepEqual(await answersTo(peer, { type: 'GET', address: '/nothing' }), [])
    const [got] = await answersTo(peer, { type: 'GET', address: '/site-b/t' })
    assert.equal(got.type === 'SNAPSHOT' && got.params.length, 1)
    peer.subscribe(7, '/site-b/**')
    const shown = (await peer.next('SNAPSHOT')).params.map(({ address }) => address)
    assert.deepEqual(shown, ['/site-b/t'], 'the glob leaves out the root')
    hub.set('/site-b', int(1))
    assert.equal((await peer.next('SET')).address, '/site-b', 'the trie does not')
    peer.subscribe(7, '/site-c/**')
    peer.send({ type: 'UNSUBSCRIBE', id: 7 })
    await peer.settle()
    hub.set('/site-b/t', int(5))
    assert.equal((await peer.next('SET')).address, '/site-b/t', 'the older pattern of the id stays')
    peer.subscribe(8, '/a//b')
    assert.equal((await peer.next('ERROR')).code, 202)
    peer.send({ type: 'REPLAY', pattern: '/site-b/**', types: [] })
    assert.equal((await peer.next('ERROR')).message, 'Journal not configured on this router')
    peer.send({ type: 'ANNOUNCE', namespace: '/n', signals: [{ address: '/n/x', type: 'param' }] })
    assert.equal((await peer.next('ACK')).address, '/n')
    peer.send({ type: 'QUERY', pattern: '/n/*' })
    assert.equal((await peer.next('RESULT')).signals.length, 1)
    peer.send({ type: 'SYNC', t1: 12 })
    assert.deepEqual(await peer.next('SYNC'), { type: 'SYNC', t1: 12, t2: hub.clock.wallUs(), t3: hub.clock.wallUs() })
  })

  it('refuses what the scopes of a token do not grant: writing, reading, and subscribing with an admin token (D13)', async (t) => {
    const auth = { cpsk_admin: { scopes: ['admin:/**'] }, cpsk_read: { scopes: ['read:/x/*'] } }
    const hub = await UpstreamHub.start(t, { clock: new SteppedClock(), auth })
    const admin = await joinPeer(t, hub, { token: 'cpsk_admin' })
    admin.set('/x/y', int(1))
    await admin.next('ACK')
    admin.subscribe(1, '/x/**')
    assert.equal((await admin.next('ERROR')).message, 'Insufficient scope for subscription')
    const reader = await joinPeer(t, hub, { token: 'cpsk_read' })
    reader.subscribe(1, '/x/**')
    assert.equal((await reader.next('SNAPSHOT')).params.length, 1)
    reader.set('/x/y', int(1))
    assert.equal((await reader.next('ERROR')).code, 301)
    reader.send({ type: 'GET', address: '/z' })
    assert.equal((await reader.next('ERROR')).message, 'Insufficient scope for read operation')
    reader.send({ type: 'PUBLISH', address: '/z', signal: 'event', phase: 'start' })
    assert.equal((await reader.next('ERROR')).message, 'Insufficient scope for publish operation')
    reader.send({ type: 'BUNDLE', messages: [{ type: 'SET', address: '/z', value: int(1) }] })
    const { code, message } = await reader.next('ERROR')
    assert.deepEqual([code, message], [403, 'Bundle rejected: insufficient scope for SET to /z'])
  })
})

describe('the scripted hub and federation', () => {
  it('is silent about FEDERATION_SYNC when it was built without federation', async (t) => {
    const hub = await UpstreamHub.start(t, { federation: false })
    const peer = await joinPeer(t, hub)
    assert.deepEqual(await answersTo(peer, sync('declare_namespaces', NAMESPACES)), [])
  })

  it('frees a peer that declares nothing, and acknowledges patterns that it cannot compile (D12)', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: [...NAMESPACES, 'no-slash', '/site-a/*'] })
    assert.deepEqual(hub.peer?.declared, [...NAMESPACES, 'no-slash', '/site-a/*'])
    assert.deepEqual(hub.peer?.subscribed, [
      [50_000, '/site-a'],
      [50_001, '/site-a/**'],
      [50_003, '/site-a/*'],
    ])
    peer.set('/site-b/x', int(1))
    assert.equal((await peer.next('ERROR')).message, 'SET outside declared federation namespace')
    peer.send({ type: 'PUBLISH', address: '/site-b/x', signal: 'event', phase: 'start' })
    assert.equal((await peer.next('ERROR')).message, 'PUBLISH outside declared federation namespace')
    peer.send(sync('declare_namespaces', []))
    await peer.next('ACK')
    assert.deepEqual(hub.peer?.subscribed, [])
    peer.set('/site-b/x', int(1))
    await peer.next('ACK')
  })

  it('lets a BUNDLE write outside the namespaces, skips what the store refuses, and sends events last (D10)', async (t) => {
    const hub = await UpstreamHub.start(t)
    const listener = await joinPeer(t, hub, { namespaces: ['/**'] })
    hub.set('/site-a/locked', int(1), { lock: true, writer: 'somebody' })
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    const answers = await answersTo(peer, {
      type: 'BUNDLE',
      messages: [
        { type: 'PUBLISH', address: '/site-a/cue', signal: 'event', phase: 'start', value: text('go') },
        { type: 'SET', address: '/site-b/x', value: bool(true) },
        { type: 'SET', address: '/site-a/locked', value: int(2) },
      ],
    })
    assert.deepEqual(answers, [{ type: 'ACK', revision: 1 }], 'no echo of what lies outside, no event of its own')
    assert.deepEqual(typesOf(await listener.settle()), ['SET', 'SET', 'PUBLISH'])
    assert.equal(hub.params.get('/site-a/locked')?.revision, 1)
  })

  it('covers more than was declared behind an inner ** (D11)', async (t) => {
    const hub = await UpstreamHub.start(t)
    hub.set('/a/secret', int(1))
    const peer = await joinPeer(t, hub, { namespaces: ['/a/**/x'] })
    const answers = await answersTo(peer, sync('request_sync', ['/a/**']))
    assert.deepEqual(typesOf(answers), ['SNAPSHOT', 'FEDERATION_SYNC'])
    assert.equal(answers[0].type === 'SNAPSHOT' && answers[0].params[0].address, '/a/secret')
  })

  it('loses a chunk of 800 params that is too large for a frame, and reports the sync complete (D7)', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    for (let i = 0; i < 1000; i++)
      hub.state.set({ address: `/site-a/fader/${1000 + i}`, value: float(i) }, peer.session)
    const answers = await answersTo(peer, sync('request_sync', ['/site-a/**']))
    assert.deepEqual(typesOf(answers), ['SNAPSHOT', 'FEDERATION_SYNC'])
    assert.equal(answers[0].type === 'SNAPSHOT' && answers[0].params.length, 200)
    assert.equal(hub.log.filter(({ fate }) => fate === 'lost').length, 1)
    const page = Array.from({ length: 200 }, (_, i): [string, U64] => [`/site-a/fader/${1000 + i}`, 0])
    const [verified] = await answersTo(peer, sync('revision_vector', [], page))
    assert.equal(verified.type === 'SNAPSHOT' && verified.params.length, 200, 'a smaller page finds them')
  })

  it('stores a value that it can never show again', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    peer.set('/site-a/big', bytes(65_500))
    assert.equal((await peer.next('SET')).revision, 1)
    await peer.next('ACK')
    assert.deepEqual(await answersTo(peer, { type: 'GET', address: '/site-a/big' }), [])
  })

  it('answers a revision vector from declared namespaces only, and not for what does not exist (D8)', async (t) => {
    const hub = await UpstreamHub.start(t)
    for (const address of ['/site-a/t', '/site-a/u', '/site-b/t']) hub.set(address, int(1))
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    const listed: [string, U64][] = [
      ['/site-a/t', 0],
      ['/site-a/u', 1],
      ['/site-b/t', 0],
      ['/site-a/missing', 0],
    ]
    const answers = await answersTo(peer, sync('revision_vector', [], listed))
    assert.equal(answers.length, 1)
    assert.deepEqual(answers[0].type === 'SNAPSHOT' && answers[0].params.map(({ address }) => address), ['/site-a/t'])
  })

  it('lets a token declare more than it may read, and leaves the rest out of revision vectors only (D13)', async (t) => {
    const hub = await UpstreamHub.start(t, { auth: { cpsk_a: { scopes: ['read:/x/*'] } } })
    for (const address of ['/x/near', '/x/y/far']) hub.set(address, int(1))
    const peer = await joinPeer(t, hub, { token: 'cpsk_a', namespaces: ['/x/**'] })
    hub.set('/x/y/far', int(2))
    assert.equal((await peer.next('SET')).address, '/x/y/far')
    const listed: [string, U64][] = ['/x/near', '/x/y/far'].map((address) => [address, 0])
    const [shown] = await answersTo(peer, sync('revision_vector', [], listed))
    assert.deepEqual(shown.type === 'SNAPSHOT' && shown.params.map(({ address }) => address), ['/x/near'])
    const [synced] = await answersTo(peer, sync('request_sync', ['/x/**']))
    assert.equal(synced.type === 'SNAPSHOT' && synced.params.length, 2)
    assert.deepEqual((await answersTo(peer, sync('declare_namespaces', ['/y'])))[0], {
      type: 'ERROR',
      code: 403,
      message: 'insufficient scope for namespace: /y',
    })
  })

  it('leaves no room for a SUBSCRIBE beside 1000 namespaces', async (t) => {
    const hub = await UpstreamHub.start(t)
    const namespaces = Array.from({ length: 1000 }, (_, i) => `/site-a/${i}`)
    const peer = await joinPeer(t, hub, { namespaces })
    peer.subscribe(1, '/site-b/**')
    assert.equal((await peer.next('ERROR')).message, 'Subscription limit reached (max 1000)')
  })

  it('keeps the session of the first HELLO when a second one comes, for as long as nobody sweeps (D25)', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    peer.send({ type: 'HELLO', version: 1, features: ['param'], name: 'again' })
    assert.notEqual((await peer.next('WELCOME')).session, peer.session)
    await peer.next('SNAPSHOT')
    hub.set('/site-a/t', int(1))
    await peer.next('SET')
    peer.close()
    await until(() => hub.openSessions.length === 0, 'the end of the connection')
    assert.deepEqual(
      hub.sessions.map(({ isListed }) => isListed),
      [true, false],
    )
  })
})
