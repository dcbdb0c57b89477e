/** What a hub answers when a leaf asks what is stored there. Federation reference §5.4, §5.5, §14. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { type Bench, bytes, float, int, type Peer, text } from '../router/fixture.ts'
import { joinDeclared, joinLeaf, requestSync, revisionVector, ScopeAuthorizer, startHub } from './hub-fixture.ts'

const paramsOf = (messages: Message[]) => messages.flatMap((m) => (m.type === 'SNAPSHOT' ? m.params : []))
const addressesOf = (messages: Message[]) =>
  paramsOf(messages)
    .map(({ address }) => address)
    .sort()
const numbered = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

/** Each SNAPSHOT as its addresses, everything else as its type; further pages of a SNAPSHOT are joined to the first. */
function outline(messages: Message[]): string[] {
  return messages.map((m) => (m.type === 'SNAPSHOT' ? `[${addressesOf([m])}]` : m.type))
}

/** As many SETs as fit one frame with the longest of these addresses. */
const BUNDLED = 400

async function fill(peer: Peer, count: number, address: (i: number) => string): Promise<void> {
  for (let start = 0; start < count; start += BUNDLED) {
    const messages = Array.from(
      { length: Math.min(BUNDLED, count - start) },
      (_, i): Message => ({ type: 'SET', address: address(start + i), value: float(i) }),
    )
    peer.send({ type: 'BUNDLE', messages })
    await peer.next('ACK')
  }
}

describe('a leaf that asks for its namespaces', () => {
  let bench: Bench
  let writer: Peer

  beforeEach(async () => {
    bench = (await startHub()).bench
    writer = await bench.join('writer')
  })

  afterEach(() => bench.stop())

  async function store(...addresses: string[]): Promise<void> {
    for (const address of addresses) {
      writer.set(address, int(1))
      await writer.next('ACK')
    }
  }

  it('gets a SNAPSHOT for each pattern in turn, an empty one where there is nothing, and then SYNC_COMPLETE', async () => {
    await store('/a/1', '/b/1', '/b/2', '/c/1')
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**', '/b/**', '/none/**'])
    const patterns = ['/b/*', '/none/**', '/a/**', '/b/2', '/b/3', '//a//1', '/b/1']
    requestSync(leaf, patterns)
    const answer = await leaf.settle()
    assert.deepEqual(outline(answer), [
      ...['[/b/1,/b/2]', '[]', '[/a/1]', '[/b/2]', '[]', '[]', '[/b/1]'],
      'FEDERATION_SYNC',
    ])
    const complete = { type: 'FEDERATION_SYNC', op: 'sync_complete', patterns, revisions: [], origin: 'CLASP Relay' }
    assert.deepEqual(answer.at(-1), { ...complete, sinceRevision: undefined })
    requestSync(leaf, [])
    assert.deepEqual(outline(await leaf.settle()), ['FEDERATION_SYNC'])
  })

  it('gets only what is above a given revision', async () => {
    await store('/a/once', '/a/twice', '/a/twice', '/a/thrice', '/a/thrice', '/a/thrice')
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**'])
    requestSync(leaf, ['/a/**', '/a/twice'], 1)
    assert.deepEqual(outline(await leaf.settle()), ['[/a/thrice,/a/twice]', '[/a/twice]', 'FEDERATION_SYNC'])
    requestSync(leaf, ['/a/**', '/a/twice'], 2)
    assert.deepEqual(outline(await leaf.settle()), ['[/a/thrice]', '[]', 'FEDERATION_SYNC'])
    requestSync(leaf, ['/a/**'], 2 ** 52)
    assert.deepEqual(outline(await leaf.settle()), ['[]', 'FEDERATION_SYNC'])
  })

  it('gets nothing but an ERROR when one of the patterns is not its own, or there are too many', async () => {
    await store('/a/1')
    const stranger = await joinLeaf(bench)
    requestSync(stranger, ['/a/**'])
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**'])
    requestSync(leaf, ['/a/**', '/b/**', '/c/**'])
    requestSync(leaf, ['/**'])
    requestSync(leaf, numbered(1001, '/a/'))
    const words = (messages: Message[]) => messages.map((m) => (m.type === 'ERROR' ? `${m.code} ${m.message}` : m.type))
    assert.deepEqual(words(await stranger.settle()), ["403 pattern '/a/**' not covered by declared namespaces"])
    assert.deepEqual(words(await leaf.settle()), [
      "403 pattern '/b/**' not covered by declared namespaces",
      "403 pattern '/**' not covered by declared namespaces",
      '400 too many sync patterns: 1001 (max 1000)',
    ])
    requestSync(leaf, numbered(1000, '/a/'))
    assert.equal((await leaf.settle()).length, 1001)
  })

  it('gets SYNC_COMPLETE even if its patterns leave no room for our name', async () => {
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**'])
    // 4 + 80 × (2 + 817) + 3 bytes: all but twelve of the payload.
    const patterns = numbered(80, '/a/').map((start) => start.padEnd(817, 'x'))
    leaf.send({ type: 'FEDERATION_SYNC', op: 'request_sync', patterns, revisions: [] })
    const answer = await leaf.settle()
    assert.equal(answer.length, 81)
    const last = answer[80]
    assert.ok(last.type === 'FEDERATION_SYNC' && last.origin === undefined)
    assert.deepEqual(last.patterns, patterns)
  })

  it('gets the params that it lists with a lower revision, and silence when there are none', async () => {
    await store('/a/1', '/a/2', '/a/2', '/a/3', '/b/1')
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**'])
    revisionVector(leaf, [
      ['/a/1', 0],
      ['/a/2', 1],
      ['/a/3', 1],
      ['/a/none', 0],
      ['/b/1', 0],
      ['no address', 0],
    ])
    assert.deepEqual(outline(await leaf.settle()).join(), '[/a/1,/a/2]')
    revisionVector(leaf, [
      ['/a/1', 1],
      ['/a/2', 7],
    ])
    revisionVector(leaf, [])
    assert.deepEqual(await leaf.settle(), [])
    // Of entries for one address the last one counts.
    revisionVector(leaf, [
      ['/a/1', 0],
      ['/a/1', 1],
      ['/a/2', 2],
      ['/a/2', 0],
    ])
    assert.deepEqual(outline(await leaf.settle()), ['[/a/2]'])
    const stranger = await joinLeaf(bench)
    revisionVector(stranger, [['/a/1', 0]])
    assert.deepEqual(await stranger.settle(), [])
  })

  it('cannot list more than 10 000 revisions', async () => {
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**'])
    const packed = (value: string) => `${(0xa0 + value.length).toString(16)}${Buffer.from(value).toString('hex')}`
    const count = 10_001
    // As MessagePack, in which so many fit a frame: {"type", "op", "revisions": {"aaa": 0 …}}
    const entries = Array.from({ length: count }, (_, i) => `${packed(i.toString(36).padStart(3, '0'))}00`).join('')
    const payload = `83${packed('type')}${packed('FEDERATION_SYNC')}${packed('op')}${packed('RevisionVector')}${packed('revisions')}de${count.toString(16).padStart(4, '0')}${entries}`
    leaf.sendFrame(
      Uint8Array.from(Buffer.from(`5340${(payload.length / 2).toString(16).padStart(4, '0')}${payload}`, 'hex')),
    )
    const refusal = await leaf.next('ERROR')
    assert.deepEqual([refusal.code, refusal.message], [400, `too many revision entries: ${count} (max 10000)`])
  })

  it('gets what upstream would lose: 1000 params with long addresses, and large values', async () => {
    await fill(writer, 1000, (i) => `/a/${'forty-bytes-and-more/'.repeat(2)}${i}`)
    for (let i = 0; i < 5; i++) {
      writer.set(`/a/large/${i}`, bytes(60_000))
      writer.set(`/a/string/${i}`, text('x'.repeat(65_000)))
    }
    await writer.settle()
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**'])
    requestSync(leaf, ['/a/**'])
    const answer = await leaf.settle()
    assert.equal(new Set(addressesOf(answer)).size, 1010)
    assert.equal(answer.at(-1)?.type, 'FEDERATION_SYNC')
    revisionVector(
      leaf,
      paramsOf(answer).map(({ address }): [string, number] => [address, 0]),
    )
    assert.deepEqual(addressesOf(await leaf.settle()), addressesOf(answer))
  })

  it('gets 100 000 params in pages, with what it asked behind them behind them', async () => {
    await fill(writer, 100_000, (i) => `/a/${i}/a-name-that-is-not-short`)
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**', '/b/**', '/c/**'])
    requestSync(leaf, ['/a/**', '/c/**'])
    // Ends the subscription, not the request.
    leaf.send({ type: 'UNSUBSCRIBE', id: 50_002 })
    leaf.send({ type: 'GET', address: '/a/7/a-name-that-is-not-short' })
    leaf.set('/b/own', int(1))
    requestSync(leaf, ['/b/**'])
    revisionVector(leaf, [['/b/own', 0]])
    const answer = await leaf.settle()
    assert.equal(addressesOf(answer).length, 100_000 + 3)
    const first = answer.findIndex(({ type }) => type === 'FEDERATION_SYNC')
    assert.equal(new Set(addressesOf(answer.slice(0, first))).size, 100_000)
    assert.ok(answer.slice(0, first).every((m) => m.type === 'SNAPSHOT' && m.params.length <= 800))
    assert.deepEqual(outline(answer.slice(first - 1)), [
      ...['[]', 'FEDERATION_SYNC', '[/a/7/a-name-that-is-not-short]', 'SET', 'ACK'],
      ...['[/b/own]', 'FEDERATION_SYNC', '[/b/own]'],
    ])
  })

  it('does not fill the memory with them while it reads nothing', async () => {
    await fill(writer, 100_000, (i) => `/a/${i}/${'x'.repeat(100)}`)
    await fill(writer, 100, (i) => `/a/few/${i}`)
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**'])
    leaf.socket.pause()
    requestSync(leaf, ['/a/**'])
    // Each of these would have the rest of the pages sent at once.
    for (let i = 0; i < 10; i++) leaf.send({ type: 'SYNC', t1: i })
    requestSync(leaf, ['/a/few/*'])
    const statistics = () => bench.router.sessionStatistics().find(({ name }) => name === 'leaf')
    await writer.until(() => bench.router.statistics.messages.federationSync === 3, 'the requests')
    await writer.until(() => (statistics()?.queuedBytes ?? 0) > 0, 'backlog')
    let most = 0
    for (let i = 0; i < 20; i++) {
      await writer.settle()
      most = Math.max(most, statistics()?.queuedBytes ?? 0)
    }
    assert.ok(most < 1_000_000, `${most} of 20 000 000 bytes are waiting`)
    leaf.socket.resume()
    const completions = () => leaf.inbox.filter(({ type }) => type === 'FEDERATION_SYNC').length
    await leaf.until(() => completions() === 2, 'both answers')
    assert.equal(addressesOf(leaf.inbox).length, 100_000 + 200)
    const kinds = leaf.inbox.map(({ type }) => type)
    assert.deepEqual(
      kinds.filter((type, i) => type !== kinds[i - 1]),
      ['SNAPSHOT', 'FEDERATION_SYNC', 'SYNC', 'SNAPSHOT', 'FEDERATION_SYNC'],
    )
  })

  it('does not hold up others with a thousand patterns over many params', async () => {
    await fill(writer, 8000, (i) => `/a/${i}`)
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**'])
    requestSync(leaf, numbered(1000, '/a/*/*'))
    leaf.send({ type: 'SYNC', t1: 1 })
    let exchanges = 0
    while (!leaf.inbox.some(({ type }) => type === 'SYNC')) {
      await writer.settle()
      exchanges++
    }
    // Eight million comparisons, a hundred thousand at a time at most.
    assert.ok(exchanges > 20, `${exchanges}`)
    assert.deepEqual(
      outline(leaf.inbox.slice(999)).filter((item, i, all) => item !== all[i - 1]),
      ['[]', 'FEDERATION_SYNC', 'SYNC'],
    )
  })
})

describe('a leaf with a token', () => {
  let bench: Bench
  let admin: Peer

  beforeEach(async () => {
    bench = (await startHub({ authorizer: new ScopeAuthorizer() })).bench
    admin = await bench.join('admin', 'root a:/**')
    for (const address of ['/a/1', '/a/secret/1', '/b/1']) {
      admin.set(address, int(1))
      await admin.next('ACK')
    }
  })

  afterEach(() => bench.stop())

  const refusals = async (peer: Peer) =>
    (await peer.settle()).map((m) => (m.type === 'ERROR' ? `${m.code} ${m.message}` : m.type))

  it('declares what it may read, the first that it may not is named, and nothing changes then', async () => {
    const leaf = await joinLeaf(bench, 'leaf', 'leaf r:/a/** w:/a/** w:/w/**')
    const patterns = (...list: string[]): Message => ({
      type: 'FEDERATION_SYNC',
      op: 'declare_namespaces',
      patterns: list,
      revisions: [],
      origin: 'leaf',
    })
    leaf.send(patterns('/a/**', '/b/**', '/c/**'))
    leaf.send(patterns('/w/**'))
    leaf.send(patterns('/a/*', '/**'))
    assert.deepEqual(await refusals(leaf), [
      '403 insufficient scope for namespace: /b/**',
      '403 insufficient scope for namespace: /w/**',
      '403 insufficient scope for namespace: /**',
    ])
    leaf.set('/w/x', int(1))
    await leaf.next('ACK')
    leaf.send(patterns('/a/**'))
    assert.deepEqual(await refusals(leaf), ['ACK'])
    leaf.set('/w/x', int(2))
    leaf.set('/b/x', int(2))
    assert.deepEqual(await refusals(leaf), [
      '403 SET outside declared federation namespace',
      // The scope is asked first.
      '301 Insufficient scope for write operation',
    ])
  })

  it('may be admin, which counts as read', async () => {
    const leaf = await joinDeclared(bench, 'leaf', ['/a/**'], 'leaf a:/**')
    requestSync(leaf, ['/a/**'])
    assert.deepEqual(outline(await leaf.settle()), ['[/a/1,/a/secret/1]', 'FEDERATION_SYNC'])
  })

  it('may write nothing when it has declared nothing', async () => {
    const leaf = await joinDeclared(bench, 'leaf', [], 'leaf a:/**')
    leaf.set('/a/1', int(2))
    leaf.send({ type: 'PUBLISH', address: '/a/1', signal: 'event' })
    assert.deepEqual(await refusals(leaf), [
      '403 SET outside declared federation namespace',
      '403 PUBLISH outside declared federation namespace',
    ])
  })

  it('gets nothing that it may not read, by request or by vector', async () => {
    const leaf = await joinDeclared(bench, 'leaf', ['/a/*'], 'leaf r:/a/*')
    requestSync(leaf, ['/a/*'])
    revisionVector(leaf, [
      ['/a/1', 0],
      ['/a/secret/1', 0],
      ['/b/1', 0],
    ])
    assert.deepEqual(outline(await leaf.settle()), ['[/a/1]', 'FEDERATION_SYNC', '[/a/1]'])
  })
})
