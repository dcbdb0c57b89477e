import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { fromHex } from '../firmware-protocol/vectors.ts'
import { bytes, int, type Peer } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { UpstreamHub } from './upstream-hub.ts'
import { connectPeer, joinPeer } from './upstream-peer.ts'

const NAMESPACES = ['/site-a/**']

const typesOf = (messages: Message[]) => messages.map(({ type }) => type)

async function setAndSettle(peer: Peer, address: string, value: number): Promise<string[]> {
  peer.set(address, int(value))
  return typesOf(await peer.settle())
}

describe('what becomes of sessions at the scripted hub', () => {
  it('forgets one that got no broadcast for 300 s, goes on answering it, and delivers nothing (D6)', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    clock.advance(290_000)
    await peer.settle()
    clock.advance(11_000)
    assert.equal(hub.peer?.isListed, true, 'the sweep comes every 75 s')
    clock.advance(74_000)
    assert.equal(hub.peer?.isListed, false)
    assert.deepEqual(await setAndSettle(peer, '/site-a/t', 1), ['ACK'])
    peer.subscribe(1, '/site-a/**')
    await peer.next('SNAPSHOT')
    assert.deepEqual(await setAndSettle(peer, '/site-a/t', 2), ['ACK'])
    assert.equal(peer.isClosed, false)
  })

  it('remembers one that gets broadcasts', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    for (let minute = 0; minute < 10; minute++) {
      clock.advance(60_000)
      assert.deepEqual(await setAndSettle(peer, '/site-a/hb', minute), ['SET', 'ACK'])
    }
    assert.equal(hub.peer?.isListed, true)
  })

  it('gives up a connection without HELLO after 10 s, and one that starts with something else', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const silent = await connectPeer(t, hub)
    const wrong = await connectPeer(t, hub)
    wrong.send({ type: 'PING' })
    await wrong.closed()
    clock.advance(10_000)
    await silent.closed()
    assert.deepEqual([silent.inbox, wrong.inbox], [[], []])
  })

  it('leaves a refused connection hanging when told to', async (t) => {
    const hub = await UpstreamHub.start(t, { clock: new SteppedClock(), auth: {} })
    hub.closesRefused = false
    const peer = await connectPeer(t, hub)
    peer.send({ type: 'HELLO', version: 1, features: [], name: '', token: 'cpsk_unknown' })
    assert.equal((await peer.next('ERROR')).message, 'Invalid token: token not found')
    peer.send({ type: 'PING' })
    const second = await connectPeer(t, hub)
    second.send({ type: 'HELLO', version: 1, features: [], name: '' })
    await second.next('ERROR')
    assert.deepEqual([peer.isClosed, peer.inbox], [false, []])
  })

  it('does not serve more connections than it may, and tells plain HTTP that it is there', async (t) => {
    const hub = await UpstreamHub.start(t)
    hub.maxSessions = 1
    await joinPeer(t, hub)
    await (await connectPeer(t, hub)).closed()
    assert.equal(await (await fetch(hub.url.replace('ws:', 'http:'))).text(), 'ok\n')
  })

  it('answers 500 to everybody when it has no validator', async (t) => {
    const hub = await UpstreamHub.start(t, { auth: {} })
    if (hub.tokens !== null) hub.tokens.isMisconfigured = true
    const peer = await connectPeer(t, hub)
    peer.send({ type: 'HELLO', version: 1, features: [], name: '', token: 'cpsk_a' })
    const { code, message } = await peer.next('ERROR')
    assert.deepEqual([code, message], [500, 'Server misconfiguration'])
    await peer.closed()
  })

  it('lets the task of a connection die over a truncated payload, and does not clean up (D18)', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    peer.sendFrame(fromHex('53410003040100'))
    await until(() => hub.seen.undecodable === 1, 'the frame')
    peer.send({ type: 'PING' })
    peer.close()
    await until(() => hub.openSessions.length === 0, 'the end of the connection')
    assert.deepEqual([hub.sessions[0].isListed, hub.seen.count('PING')], [true, 0])
  })

  it('admits 30 frames in each second of the wall clock, undecodable ones included', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock, auth: { cpsk_a: { scopes: ['write:/**'] } } })
    const peer = await joinPeer(t, hub, { token: 'cpsk_a' })
    peer.sendFrame(fromHex('00'))
    for (let i = 0; i < 31; i++) peer.set('/a', int(i))
    await peer.until(() => peer.inbox.length === 31, '31 answers')
    assert.deepEqual(typesOf(peer.inbox.splice(0)), [...Array(29).fill('ACK'), 'ERROR', 'ERROR'])
    assert.deepEqual(hub.params.get('/a')?.value, int(28))
    assert.equal(hub.seen.limited, 2)
    clock.advance(1000)
    peer.set('/a', int(99))
    await peer.next('ACK')
  })
})

describe('what the scripted hub loses', () => {
  it('drops broadcasts without a word, and reports them from the hundredth in 10 s on, once in 10 s', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    hub.faults.dropBroadcasts(99)
    for (let i = 0; i < 99; i++) hub.set('/site-a/t', int(i))
    assert.deepEqual(await peer.settle(), [])
    hub.faults.dropBroadcasts(200)
    for (let i = 0; i < 200; i++) hub.set('/site-a/t', int(i))
    const notices = await peer.settle()
    assert.equal(notices.length, 1)
    const words = 'Buffer overflow: messages being dropped (100 drops in last 10 seconds)'
    assert.deepEqual(notices[0], { ...notices[0], type: 'ERROR', code: 503, message: words })
    clock.advance(10_000)
    hub.faults.dropBroadcasts(100)
    for (let i = 0; i < 100; i++) hub.set('/site-a/t', int(i))
    assert.deepEqual(typesOf(await peer.settle()), ['ERROR'])
    assert.equal(hub.peer?.drops, 399)
  })

  it('drops for one session and not for another', async (t) => {
    const hub = await UpstreamHub.start(t)
    const first = await joinPeer(t, hub, { namespaces: NAMESPACES })
    const second = await joinPeer(t, hub, { namespaces: NAMESPACES })
    hub.faults.dropBroadcasts(1, { id: second.session })
    hub.set('/site-a/t', int(1))
    assert.deepEqual(typesOf(await first.settle()), ['SET'])
    assert.deepEqual(await second.settle(), [])
  })

  it('drops what a peer that does not read leaves no room for, and keeps every answer', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    const session = hub.sessions[0]
    session.connection.queue.capacity = 20
    peer.socket.pause()
    const value = bytes(60_000)
    await until(() => {
      for (let i = 0; i < 50; i++) hub.set('/site-a/big', value)
      return session.drops > 0
    }, 'a drop')
    for (let i = 0; i < 50; i++) peer.set('/site-a/small', int(i))
    await (await joinPeer(t, hub)).settle()
    assert.equal(session.seen.count('SET'), 0, 'answers would find no room')
    peer.socket.resume()
    const isAck = (message: Message) => message.type === 'ACK'
    await peer.until(() => peer.inbox.filter(isAck).length === 50, '50 ACKs')
  })

  it('sends nothing while frozen, and everything when thawed', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    hub.sessions[0].connection.freeze()
    peer.set('/site-a/t', int(1))
    hub.set('/site-a/u', int(1))
    const other = await joinPeer(t, hub)
    await other.settle()
    assert.deepEqual([peer.inbox, peer.isClosed, hub.params.has('/site-a/t')], [[], false, false])
    hub.sessions[0].connection.thaw()
    assert.deepEqual(typesOf(await peer.settle()), ['SET', 'SET', 'ACK'])
  })
})
