/** The hub as a leaf meets it, frame by frame. Federation reference §5, §14, §17. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { FeatureBit, MessageCode } from '../../firmware-protocol/wire/constants.ts'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Hub } from '../../runtime/federation/hub/hub.ts'
import { type Bench, float, int, type Peer, text } from '../router/fixture.ts'
import { declare, joinDeclared, joinLeaf, requestSync, revisionVector, startHub } from './hub-fixture.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))
const toHex = (frame: Uint8Array) => Buffer.from(frame).toString('hex')
const typesOf = (messages: Message[]) => messages.map(({ type }) => type)
const addressesIn = (messages: Message[]) =>
  messages.flatMap((m) => (m.type === 'SNAPSHOT' ? m.params.map(({ address }) => address) : []))
const numbered = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

/** What the hub sends to a peer, bare and in hex. */
function tap(peer: Peer): { frames: () => string[] } {
  let rest = Buffer.alloc(0)
  const frames: string[] = []
  peer.socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0)
      frames.push(rest.subarray(4, end).toString('hex'))
      rest = rest.subarray(end)
    }
  })
  return { frames: () => frames.splice(0) }
}

describe('a hub', () => {
  let bench: Bench
  let hub: Hub

  beforeEach(async () => {
    const started = await startHub()
    bench = started.bench
    hub = started.hub
  })

  afterEach(() => bench.stop())

  const HELLO = '530100170101e40010636c6173702d66656465726174696f6e0000'
  const DECLARE = '5341001f04010001000a2f736974652d612f2a2a000040000a73746167652d6c656674'
  const ACK = '530100025000'
  const PONG = '5301000142'

  /** An upstream leaf, from its first byte. */
  async function upstreamLeaf(): Promise<{ exchange: (...frames: string[]) => Promise<string[]> }> {
    const peer = await bench.connect()
    const { frames } = tap(peer)
    const exchange = async (...sent: string[]) => {
      for (const frame of sent) peer.sendFrame(hex(frame))
      await peer.settle()
      return frames().filter((frame) => frame !== PONG)
    }
    return { exchange }
  }

  it('welcomes a leaf and says that it is a hub, which upstream peers overlook', async () => {
    const { exchange } = await upstreamLeaf()
    const [welcome, ...snapshots] = await exchange(HELLO)
    assert.equal(Number.parseInt(welcome.slice(8, 10), 16), MessageCode.welcome)
    assert.equal(Number.parseInt(welcome.slice(12, 14), 16), 0xf8 | FeatureBit.federation)
    assert.ok(welcome.endsWith('000b434c4153502052656c61790000'))
    assert.equal(snapshots[0], '53010003230000')
  })

  it('answers the sequence of connect, declare, sync byte for byte', async () => {
    const writer = await bench.join('writer')
    const { exchange } = await upstreamLeaf()
    await exchange(HELLO)
    assert.deepEqual(await exchange(DECLARE), [ACK])
    assert.deepEqual(await exchange('5341001310000003e8000a2f736974652d622f2a2aff00'), [])
    const request = '5341001f04020001000a2f736974652d612f2a2a000040000a73746167652d6c656674'
    const complete = '5341002004040001000a2f736974652d612f2a2a000040000b434c4153502052656c6179'
    assert.deepEqual(await exchange(request), ['53010003230000', complete])
    for (let i = 0; i < 7; i++) writer.set('/site-a/t', float(21.5))
    await writer.settle()
    const answer = (await exchange(request)).filter((frame) => !frame.startsWith('5341001d21'))
    assert.equal(answer.length, 2)
    // The last two fields, writer and time, are not the same in every run.
    const known = '5301004e23000100092f736974652d612f74074035800000000000000000000000000703'
    assert.equal(answer[0].slice(0, known.length), known)
    assert.equal(answer[0].length, 2 * (4 + 0x4e))
    assert.equal(answer[1], complete)
  })

  it('answers a declare by an empty ACK, and sends no snapshot', async () => {
    const writer = await bench.join('writer')
    writer.set('/site-a/t', int(1))
    await writer.next('ACK')
    const leaf = await joinLeaf(bench)
    declare(leaf, ['/site-a/**'], 'stage-left')
    assert.deepEqual(await leaf.settle(), [{ type: 'ACK' }])
  })

  it('echoes an owned write with its revision before the ACK, byte for byte', async () => {
    const { exchange } = await upstreamLeaf()
    await exchange(HELLO, DECLARE)
    const set = '53410015210700092f736974652d612f744035800000000000'
    assert.deepEqual(await exchange(set), [
      '5341001d218700092f736974652d612f7440358000000000000000000000000001',
      '53010015500300092f736974652d612f740000000000000001',
    ])
    const never = '53410019211700092f736974652d612f74403580000000000000000000'
    const sets = [...Array(6).fill(set), never]
    const frames = await exchange(...sets)
    assert.deepEqual(frames.slice(-2), [
      '53410021219700092f736974652d612f744035800000000000000000000000000800000000',
      '53010015500300092f736974652d612f740000000000000008',
    ])
    assert.deepEqual(await exchange('5341001d218700092f736974652d612f7440358000000000000000000000000003'), [
      '5301003c510190002b5265766973696f6e436f6e666c696374207b2065787065637465643a20332c2061637475616c3a2038207d0100092f736974652d612f74',
    ])
  })

  it('refuses what lies outside with the frames that leaves know', async () => {
    const { exchange } = await upstreamLeaf()
    await exchange(HELLO)
    const uncovered =
      '5301003d51019300377061747465726e20272f736974652d622f2a2a27206e6f7420636f7665726564206279206465636c61726564206e616d6573706163657300'
    const request = toHex(
      encodeFrame({ type: 'FEDERATION_SYNC', op: 'request_sync', patterns: ['/site-b/**'], revisions: [] }),
    )
    assert.deepEqual(await exchange(request), [uncovered])
    await exchange(DECLARE)
    assert.deepEqual(await exchange(request), [uncovered])
    assert.deepEqual(await exchange(toHex(encodeFrame({ type: 'SET', address: '/site-b/x', value: int(1) }))), [
      '5301003a5101930029534554206f757473696465206465636c617265642066656465726174696f6e206e616d6573706163650100092f736974652d622f78',
    ])
    const publish = encodeFrame({ type: 'PUBLISH', address: '/site-b/x', signal: 'event' })
    const [refusal] = await exchange(toHex(publish))
    assert.ok(refusal.includes(Buffer.from('PUBLISH outside declared federation namespace').toString('hex')))
    assert.ok(refusal.endsWith(Buffer.from('/site-b/x').toString('hex')))
    const patterns = numbered(1001, '/site-a/')
    const many = encodeFrame({ type: 'FEDERATION_SYNC', op: 'declare_namespaces', patterns, revisions: [] })
    assert.deepEqual(await exchange(toHex(many)), [
      '53010032510190002c746f6f206d616e79206e616d657370616365207061747465726e733a203130303120286d617820313030302900',
    ])
  })

  it('refuses every FEDERATION_SYNC of a session without the federation bit, and keeps the session', async () => {
    const client = await bench.join('client')
    const { frames } = tap(client)
    declare(client, ['/site-a/**'], 'stage-left')
    requestSync(client, ['/site-a/**'])
    revisionVector(client, [['/site-a/t', 0]])
    await client.settle()
    const refusal =
      '53010030510193002a46656465726174696f6e53796e632072657175697265732066656465726174696f6e206665617475726500'
    assert.deepEqual(
      frames().filter((frame) => frame !== PONG),
      [refusal, refusal, refusal],
    )
    client.set('/site-b/x', int(1))
    assert.equal((await client.next('ACK')).address, '/site-b/x')
  })

  it('accepts up to 1000 namespaces and names the first that is none', async () => {
    const leaf = await joinLeaf(bench)
    declare(leaf, numbered(1000, '/site-a/'), 'stage-left')
    assert.deepEqual(await leaf.settle(), [{ type: 'ACK' }])
    for (const wrong of ['', 'site-b', '/site-b//x', '**']) {
      declare(leaf, ['/site-b/**', wrong], 'stage-left')
      const [refusal, ...rest] = await leaf.settle()
      assert.ok(refusal.type === 'ERROR' && refusal.code === 400, JSON.stringify(refusal))
      assert.ok(refusal.message.startsWith(`invalid namespace '${wrong}': `), refusal.message)
      assert.deepEqual(rest, [])
    }
    // Nothing has changed.
    assert.equal(hub.statistics.peers[0].namespaces.length, 1000)
    leaf.set('/site-b/x', int(1))
    assert.equal((await leaf.next('ERROR')).code, 403)
    // The federation subscriptions leave no room for another one, as upstream.
    leaf.subscribe(1, '/other/**')
    assert.equal((await leaf.next('ERROR')).code, 429)
  })

  it('lets a leaf write anywhere before it has declared, and after it has declared nothing', async () => {
    const leaf = await joinLeaf(bench)
    leaf.set('/anywhere', int(1))
    await leaf.next('ACK')
    declare(leaf, ['/site-a/**'], 'stage-left')
    await leaf.next('ACK')
    leaf.set('/anywhere', int(2))
    assert.equal((await leaf.next('ERROR')).message, 'SET outside declared federation namespace')
    declare(leaf, [], 'stage-left')
    await leaf.next('ACK')
    leaf.set('/anywhere', int(3))
    assert.equal((await leaf.next('ACK')).revision, 2)
    assert.equal(bench.router.statistics.subscriptions, 0)
  })

  it('restricts what stands in bundles, nested ones too, and applies nothing of them', async () => {
    const leaf = await joinDeclared(bench, 'stage-left', ['/site-a/**'])
    const set = (address: string): Message => ({ type: 'SET', address, value: int(1) })
    const event: Message = { type: 'PUBLISH', address: '/site-b/cue', signal: 'event' }
    const bundle = (...messages: Message[]): Message => ({ type: 'BUNDLE', messages })
    for (const outside of [set('/site-b/x'), event, bundle(set('/site-a/2'), set('/site-b/x'))]) {
      leaf.send(bundle(set('/site-a/1'), outside))
      const refusal = await leaf.next('ERROR')
      assert.equal(refusal.code, 403)
      assert.match(refusal.message, /^Bundle rejected: (SET|PUBLISH) outside declared federation namespace$/)
    }
    assert.equal(bench.router.statistics.params, 0)
    leaf.send(bundle(set('/site-a/1'), set('/site-a/2')))
    assert.deepEqual(typesOf(await leaf.settle()), ['SET', 'SET', 'ACK'])
  })

  it('restricts legacy frames alike', async () => {
    const leaf = await joinDeclared(bench, 'stage-left', ['/site-a/**'])
    // {"type":"SET","address":"/b","value":1} as MessagePack in a frame of version 0.
    const payload = `83${'a474797065a3534554'}${'a761646472657373a22f62'}${'a576616c756501'}`
    leaf.sendFrame(hex(`5340${(payload.length / 2).toString(16).padStart(4, '0')}${payload}`))
    assert.equal((await leaf.next('ERROR')).message, 'SET outside declared federation namespace')
  })

  it('subscribes a leaf to its own namespaces, all signals, and to no others', async () => {
    const leaf = await joinDeclared(bench, 'stage-left', ['/site-a/**', '/dmx/*'])
    const writer = await bench.join('writer')
    writer.set('/site-a/on', int(1))
    writer.set('/dmx/1', int(2))
    writer.set('/dmx/1/2', int(3))
    writer.set('/site-b/on', int(4))
    writer.send({ type: 'PUBLISH', address: '/site-a/cue', signal: 'event', value: text('go') })
    writer.send({ type: 'PUBLISH', address: '/site-a/level', signal: 'stream', value: float(0.5) })
    await writer.settle()
    const heard = (await leaf.settle()).map((m) => ('address' in m ? m.address : m.type))
    assert.deepEqual(heard, ['/site-a/on', '/dmx/1', '/site-a/cue', '/site-a/level'])
    // A PUBLISH is not echoed to who sent it, a SET is.
    leaf.send({ type: 'PUBLISH', address: '/site-a/cue', signal: 'event' })
    leaf.set('/site-a/on', int(5))
    assert.deepEqual(typesOf(await leaf.settle()), ['SET', 'ACK'])
  })

  it('replaces the subscriptions with the declaration', async () => {
    const leaf = await joinDeclared(bench, 'stage-left', ['/site-a/**', '/site-b/**', '/site-c/**'])
    leaf.subscribe(7, '/remote/**')
    declare(leaf, ['/site-c/**'], 'stage-left')
    await leaf.next('ACK')
    const writer = await bench.join('writer')
    for (const address of ['/site-a/x', '/site-b/x', '/site-c/x', '/remote/x']) writer.set(address, int(1))
    await writer.settle()
    assert.deepEqual(
      (await leaf.settle()).map((m) => ('address' in m ? m.address : m.type)),
      ['/site-c/x', '/remote/x'],
    )
    assert.equal(bench.router.statistics.subscriptions, 2)
    assert.equal(bench.router.sessionStatistics().find(({ id }) => id === leaf.session)?.subscriptions, 2)
    leaf.send({ type: 'UNSUBSCRIBE', id: 50_000 })
    await leaf.settle()
    assert.equal(bench.router.statistics.subscriptions, 1)
    // What was unsubscribed is no obstacle to a new declaration.
    declare(leaf, ['/site-a/**', '/site-b/**'], 'stage-left')
    await leaf.next('ACK')
    assert.equal(bench.router.statistics.subscriptions, 3)
  })

  it('serves everything else as it serves any client', async () => {
    const leaf = await joinDeclared(bench, 'stage-left', ['/site-a/**'])
    const writer = await bench.join('writer')
    writer.set('/site-b/x', int(1))
    await writer.next('ACK')
    leaf.subscribe(1, '/site-b/**')
    assert.deepEqual(addressesIn([await leaf.next('SNAPSHOT')]), ['/site-b/x'])
    leaf.send({ type: 'GET', address: '/site-b/x' })
    assert.deepEqual(addressesIn([await leaf.next('SNAPSHOT')]), ['/site-b/x'])
    leaf.send({ type: 'SYNC', t1: 1 })
    await leaf.next('SYNC')
    leaf.send({ type: 'QUERY', pattern: '/**' })
    await leaf.next('RESULT')
    leaf.send({ type: 'FEDERATION_SYNC', op: 'sync_complete', patterns: [], revisions: [] })
    assert.deepEqual(await leaf.settle(), [])
    // Its second session, without the bit, writes where it likes.
    const second = await bench.join('stage-left')
    second.set('/site-b/x', int(2))
    assert.equal((await second.next('ACK')).revision, 2)
    assert.equal((await leaf.next('SET')).address, '/site-b/x')
  })

  it('forgets a leaf with its session, and what a second HELLO leaves behind', async () => {
    const leaf = await joinDeclared(bench, 'stage-left', ['/site-a/**'])
    leaf.send({ type: 'HELLO', version: 1, features: ['param', 'federation'], name: 'again' })
    await leaf.settle()
    assert.deepEqual(
      hub.statistics.peers.map(({ routerId, namespaces }) => [routerId, namespaces]),
      [['again', []]],
    )
    leaf.set('/anywhere', int(1))
    await leaf.next('ACK')
    assert.equal(bench.router.statistics.subscriptions, 0)
    declare(leaf, ['/site-a/**'], 'stage-left')
    await leaf.next('ACK')
    leaf.close()
    const watcher = await bench.join('watcher')
    await watcher.until(() => hub.statistics.peers.length === 0, 'end of the leaf')
    assert.equal(bench.router.statistics.subscriptions, 0)
  })

  it('tells of each leaf who it is, where from, since when, and what it has done', async () => {
    const leaf = await joinDeclared(bench, 'stage-left', ['/site-a/**'])
    await joinLeaf(bench, 'silent')
    leaf.set('/site-a/x', int(1))
    leaf.set('/site-a/y', int(1))
    leaf.set('/site-b/x', int(1))
    leaf.send({ type: 'PUBLISH', address: '/site-a/cue', signal: 'event' })
    requestSync(leaf, ['/site-b/**'])
    await leaf.settle()
    const [first, second] = hub.statistics.peers
    const { connectedAt, declaredAt, remote, ...rest } = first
    assert.deepEqual(rest, {
      routerId: 'stage-left',
      session: leaf.session,
      namespaces: ['/site-a/**'],
      sets: 2,
      publishes: 1,
      refused: 2,
    })
    assert.match(remote, /127\.0\.0\.1/)
    assert.ok((declaredAt ?? 0) >= connectedAt && connectedAt > 0)
    assert.deepEqual([second.routerId, second.declaredAt, second.namespaces], ['silent', undefined, []])
  })

  it('may be a leaf itself: what its own hub tells reaches the leaf below, and what that one writes is seen', async () => {
    const above: string[] = []
    bench.router.observer = {
      onSet: (entry, param) => above.push(`${entry.text} ${param.writer.id}`),
      onRemoved() {},
      refusal: () => null,
    }
    const below = await joinDeclared(bench, 'below', ['/house/stage/**'])
    // The uplink is a part of the process; its session says HELLO like any other, and no namespace restricts it.
    const uplink = bench.router.openLocal({ name: 'uplink' })
    uplink.send({ type: 'SET', address: '/house/stage/x', value: int(1) })
    uplink.send({ type: 'SET', address: '/house/hall/x', value: int(1) })
    assert.equal((await below.next('SET')).address, '/house/stage/x')
    below.set('/house/stage/x', int(2))
    below.set('/house/hall/x', int(2))
    assert.deepEqual(typesOf(await below.settle()), ['SET', 'ACK', 'ERROR'])
    assert.deepEqual(above, [
      `/house/stage/x ${uplink.id}`,
      `/house/hall/x ${uplink.id}`,
      `/house/stage/x ${below.session}`,
    ])
  })

  it('survives every truncation of the frames of federation', async () => {
    const leaf = await joinDeclared(bench, 'stage-left', ['/site-a/**'])
    const frames: Message[] = [
      {
        type: 'FEDERATION_SYNC',
        op: 'declare_namespaces',
        patterns: ['/site-a/**'],
        revisions: [],
        origin: 'stage-left',
      },
      { type: 'FEDERATION_SYNC', op: 'request_sync', patterns: ['/site-a/**'], revisions: [], sinceRevision: 41 },
      { type: 'FEDERATION_SYNC', op: 'revision_vector', patterns: [], revisions: [['/site-a/t', 7]], origin: 'x' },
    ]
    let cut = 0
    for (const message of frames) {
      const frame = encodeFrame(message)
      for (let length = 5; length < frame.length; length++, cut++) {
        const short = frame.slice(0, length)
        short[2] = 0
        short[3] = length - 4
        leaf.sendFrame(short)
      }
    }
    leaf.sendFrame(hex('534100070405000000000000'.slice(0, 22)))
    const answers = await leaf.settle()
    assert.ok(answers.length <= 3, JSON.stringify(answers))
    assert.ok(bench.router.statistics.undecodable >= cut - 3)
    leaf.set('/site-a/x', int(1))
    assert.deepEqual(typesOf(await leaf.settle()), ['SET', 'ACK'])
  })
})
