import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { fromHex } from '../firmware-protocol/vectors.ts'
import { bytes, float, int, type Peer, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { UpstreamHub } from './upstream-hub.ts'
import { connectPeer, HexPeer, joinPeer } from './upstream-peer.ts'

const NAMESPACES = ['/site-a/**']
const SYNC_REQUEST: Message = { type: 'FEDERATION_SYNC', op: 'request_sync', patterns: NAMESPACES, revisions: [] }

const typesOf = (messages: Message[]) => messages.map(({ type }) => type)

async function setAndSettle(peer: Peer, address: string, value: number): Promise<string[]> {
  peer.set(address, int(value))
  return typesOf(await peer.settle())
}

describe('how the scripted hub comes back', () => {
  for (const [state, expected] of [
    ['empty', undefined],
    ['snapshot', 3],
    ['journal', 1],
  ] as const) {
    it(`holds ${expected ?? 'nothing'} after 1, 2, 3 when it restarts with ${state}, on the same port`, async (t) => {
      const auth = { cpsk_a: { scopes: ['write:/**'] }, ent_a: { scopes: ['read:/**', 'write:/**'] } }
      const hub = await UpstreamHub.start(t, { clock: new SteppedClock(), auth })
      const { url, tcpUrl } = hub
      const peer = await joinPeer(t, hub, { token: 'cpsk_a' })
      for (const value of [1, 2, 3]) peer.set('/site-a/t', int(value), { ttl: { mode: 'never' }, lock: true })
      await peer.settle()
      await hub.restart({ state })
      await peer.closed()
      assert.deepEqual([hub.url, hub.tcpUrl], [url, tcpUrl])
      const param = hub.params.get('/site-a/t')
      assert.deepEqual(param?.value, expected === undefined ? undefined : int(expected))
      assert.equal(param?.revision, expected === undefined ? undefined : 1)
      assert.deepEqual([param?.ttl, param?.holder], [undefined, undefined])
      if (state === 'snapshot') assert.equal(param?.writer, 'restore')
      const refused = await connectPeer(t, hub)
      refused.send({ type: 'HELLO', version: 1, features: [], name: '', token: 'cpsk_a' })
      assert.equal((await refused.next('ERROR')).message, 'Invalid token: token not found')
      await joinPeer(t, hub, { token: 'ent_a' })
    })
  }

  it('is as old as its last snapshot file, and has lost what JSON cannot hold', async (t) => {
    const hub = await UpstreamHub.start(t)
    hub.set('/site-a/t', float(1))
    hub.set('/site-a/bytes', bytes(2))
    hub.set('/site-a/nan', float(Number.NaN))
    hub.state.save()
    hub.set('/site-a/t', float(2))
    await hub.restart({ state: 'snapshot' })
    assert.deepEqual(hub.params.get('/site-a/t')?.value, float(1))
    assert.deepEqual(hub.params.get('/site-a/bytes')?.value, { type: 'array', value: [int(0), int(0)] })
    assert.deepEqual(hub.params.get('/site-a/nan')?.value, { type: 'null' })
  })

  it('has kept everything but its sessions when only the network was away', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock, auth: { cpsk_a: { scopes: ['write:/**'] } } })
    const peer = await joinPeer(t, hub, { token: 'cpsk_a' })
    for (const value of [1, 2, 3]) peer.set('/site-a/t', int(value), { ttl: { mode: 'never' } })
    peer.set('/site-a/short', int(1), { ttl: { mode: 'sliding', seconds: 180 } })
    await peer.settle()
    await hub.kill()
    clock.advance(600_000)
    assert.equal(hub.set('/site-a/t', int(4)), 4, 'somebody else writes meanwhile')
    await hub.reopen({ state: 'kept' })
    assert.deepEqual([...hub.params.keys()], ['/site-a/t'])
    await joinPeer(t, hub, { token: 'cpsk_a' })
    assert.equal(hub.sessions[0].isListed, false)
  })

  it('is gone between kill and reopen', async (t) => {
    const hub = await UpstreamHub.start(t)
    await hub.kill()
    const peer = new HexPeer(t, hub.url)
    await until(() => peer.isClosed, 'the refusal')
    await hub.reopen({ state: 'empty' })
    await HexPeer.open(t, hub)
  })
})

describe('a scripted hub that misbehaves', () => {
  it('carries out what it does not answer, and answers nothing of what it ignores', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    hub.faults.withholds.add('ACK')
    assert.deepEqual(await setAndSettle(peer, '/site-a/t', 1), ['SET'])
    hub.faults.withholds.clear()
    hub.faults.ignores.add('SET')
    assert.deepEqual(await setAndSettle(peer, '/site-a/t', 2), [])
    assert.deepEqual(hub.params.get('/site-a/t')?.value, int(1))
  })

  it('cuts the connection in the middle of a sync', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    hub.faults.cutsBefore.add('SYNC_COMPLETE')
    peer.send(SYNC_REQUEST)
    await peer.closed()
    assert.equal(hub.log.at(-1)?.fate, 'withheld')
    hub.faults.cutsOn.add('DECLARE_NAMESPACES')
    await assert.rejects(joinPeer(t, hub, { namespaces: NAMESPACES }), /connection closed/)
  })

  it('answers late, in order', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    const other = await joinPeer(t, hub)
    hub.faults.delayMs = 4000
    peer.set('/site-a/t', int(1))
    await until(() => hub.params.has('/site-a/t'), 'the write')
    clock.advance(3999)
    hub.faults.delayMs = 0
    await other.settle()
    assert.deepEqual(peer.inbox, [])
    peer.send({ type: 'PING' })
    await until(() => hub.seen.count('PING') === 2, 'the PING')
    clock.advance(0)
    await other.settle()
    assert.deepEqual(peer.inbox, [], 'a shorter delay hurries nothing that came before')
    clock.advance(1)
    await peer.until(() => peer.inbox.length === 3, 'three answers')
    assert.deepEqual(typesOf(peer.inbox), ['SET', 'ACK', 'PONG'])
  })

  it('lies about revisions', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    hub.faults.ackRevision = (_address, revision) => revision + 100
    hub.faults.echoRevision = () => 0
    peer.set('/site-a/t', int(1))
    assert.equal((await peer.next('SET')).revision, 0)
    assert.equal((await peer.next('ACK')).revision, 101)
  })

  it('sends snapshots without end until the connection ends', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    hub.faults.endlessSnapshot = [{ address: '/site-a/t', value: int(1), revision: 1 }]
    peer.send(SYNC_REQUEST)
    await peer.until(() => peer.inbox.length > 100, '100 snapshots')
    peer.close()
    await until(() => hub.openSessions.length === 0, 'the end of the session')
  })

  it('cuts frames short, and sends whatever the test likes', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await HexPeer.open(t, hub)
    hub.faults.mangle = (frame, message) => (message.type === 'SNAPSHOT' ? frame.subarray(0, 5) : frame)
    peer.send('530100170101e40010636c6173702d66656465726174696f6e0000')
    assert.equal((await peer.take(2))[1], '5301000323')
    for (let i = 0; i < 3; i++) hub.sessions[0].connection.reply({ type: 'ERROR', code: 400, message: 'x' })
    hub.sessions[0].connection.sendRaw(fromHex('ff00'))
    assert.equal((await peer.take(4))[3], 'ff00')
  })

  it('refuses what its rules for writes forbid, and hides from snapshots what its filter hides', async (t) => {
    const hub = await UpstreamHub.start(t)
    hub.writeRule = (address) => (address === '/site-a/no' ? 'not you' : undefined)
    hub.snapshotFilter = (address) => address !== '/site-a/hidden'
    hub.set('/site-a/hidden', int(1))
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    peer.send(SYNC_REQUEST)
    assert.equal((await peer.next('SNAPSHOT')).params.length, 0)
    await peer.next('FEDERATION_SYNC')
    peer.send({ type: 'GET', address: '/site-a/hidden' })
    assert.deepEqual(await setAndSettle(peer, '/site-a/no', 1), ['ERROR'])
    peer.send({ type: 'BUNDLE', messages: [{ type: 'SET', address: '/site-a/no', value: int(1) }] })
    const { message, address } = await peer.next('ERROR')
    assert.deepEqual([message, address], ['Bundle rejected: not you', '/site-a/no'])
  })
})

describe('what a test learns from the scripted hub', () => {
  it('counts frames by kind, the values of each address, and repetitions, BUNDLEs included', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    peer.set('/site-a/t', int(1))
    peer.set('/site-a/t', text('1'))
    const same: Message = { type: 'SET', address: '/site-a/t', value: text('1') }
    peer.send({ type: 'BUNDLE', messages: [same, { ...same, address: '/site-a/u' }] })
    await peer.settle()
    const { seen } = hub.sessions[0]
    assert.deepEqual([seen.count('SET'), seen.count('BUNDLE'), seen.count('DECLARE_NAMESPACES')], [2, 1, 1])
    assert.deepEqual(seen.valuesOf('/site-a/t'), [int(1), text('1'), text('1')])
    assert.deepEqual([seen.sets.length, seen.identicalSets], [4, 1])
    assert.equal(hub.seen.total, seen.total)
  })

  it('plays other clients', async (t) => {
    const hub = await UpstreamHub.start(t)
    const peer = await joinPeer(t, hub, { namespaces: NAMESPACES })
    assert.equal(hub.set('/site-a/t', { type: 'i8', value: 5 }), 1)
    assert.deepEqual((await peer.next('SET')).value, int(5), 'numbers grow on their way through the hub')
    hub.publish('/site-a/cue', text('go'))
    assert.deepEqual((await peer.next('PUBLISH')).value, text('go'))
    peer.send({ type: 'PUBLISH', address: '/site-a/cue', signal: 'event', phase: 'start' })
    assert.deepEqual(await peer.settle(), [], 'no echo of an event')
    assert.equal(hub.set('/site-a/t', int(6), { revision: 9 }), 'RevisionConflict { expected: 9, actual: 1 }')
  })

  it('leaves no timer and no connection behind', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const peer = await joinPeer(t, hub)
    const silent = await connectPeer(t, hub)
    const socket = await HexPeer.open(t, hub)
    hub.faults.delayMs = 5000
    peer.send({ type: 'PING' })
    await until(() => hub.seen.count('PING') === 1, 'the PING')
    const closed = once(socket.socket, 'close')
    await hub.stop()
    await Promise.all([peer.closed(), silent.closed(), closed])
    assert.equal(clock.pendingTimers, 0)
  })
})
