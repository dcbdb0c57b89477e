/** What a session without the permission does not get to see or do, on every path; router reference §14, D-03, D-04, D-20. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { covers, Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Access, AccessRefusal, Authorizer } from '../../runtime/router/access.ts'
import { until } from '../until.ts'
import { Bench, int, type Peer, text } from './fixture.ts'
import { SteppedClock } from './stepped-clock.ts'

/** Grants what the token says: `r:/a/** w:/b/* s:/** until:<µs>`; s opens patterns to SUBSCRIBE beyond what may be read. */
class TokenAuthorizer implements Authorizer {
  authorize(token: string | undefined): Access | AccessRefusal {
    if (token === undefined || token === '') return { code: 300, message: 'Authentication required' }
    if (token === 'expired') return { code: 302, message: 'Token has expired' }
    const grants = token.split(' ').map((grant) => [grant[0], grant.slice(grant.indexOf(':') + 1)])
    const patterns = (kind: string) => grants.filter(([key]) => key === kind).map(([, pattern]) => pattern)
    const matcher = (kind: string) => {
      const parsed = patterns(kind).map((text) => Pattern.parse(text) as Pattern)
      return (address: string) => parsed.some((pattern) => pattern.matches(address))
    }
    return {
      subject: token,
      expiresAtUs: Number(patterns('u')[0] ?? Number.POSITIVE_INFINITY),
      canRead: matcher('r'),
      canWrite: matcher('w'),
      canSubscribe: (wanted) => [...patterns('r'), ...patterns('s')].some((granted) => covers(granted, wanted)),
    }
  }
}

const ADMIN = 'r:/** w:/**'

describe('a session with limited rights', () => {
  let bench: Bench
  let admin: Peer
  let clock: SteppedClock

  beforeEach(async () => {
    clock = new SteppedClock()
    bench = await Bench.start({ clock, authorizer: new TokenAuthorizer() })
    admin = await bench.join('admin', ADMIN)
  })

  afterEach(() => bench.stop())

  const event = (address: string): Message => ({ type: 'PUBLISH', address, signal: 'event' })
  const set = (address: string): Message => ({ type: 'SET', address, value: int(7) })
  const addressOf = (item: Message | { address: string }) => ('address' in item ? String(item.address) : item.type)

  async function refusal(peer: Peer, message: Message): Promise<unknown[]> {
    peer.send(message)
    const { code, message: reason, address } = await peer.next('ERROR')
    return [code, reason, address]
  }

  async function stored(): Promise<string[]> {
    admin.subscribe(99, '/**')
    const messages = await admin.settle()
    admin.send({ type: 'UNSUBSCRIBE', id: 99 })
    return messages.flatMap((message) => (message.type === 'SNAPSHOT' ? message.params.map(addressOf) : [])).sort()
  }

  for (const [what, token, code, reason] of [
    ['no token', undefined, 300, 'Authentication required'],
    ['an empty token', '', 300, 'Authentication required'],
    ['an expired token', 'expired', 302, 'Token has expired'],
  ] as const) {
    test(`with ${what} is told ${code} and closed, and learns nothing else`, async () => {
      const peer = await bench.connect()
      peer.send({ type: 'HELLO', version: 1, features: ['federation'], name: 'stranger', token })
      peer.send(set('/too/early'))
      await until(() => peer.isClosed, 'end of the connection')
      assert.deepEqual(peer.inbox, [{ type: 'ERROR', code, message: reason }])
      assert.deepEqual(await stored(), [])
    })
  }

  test('finds only what it may read in the first SNAPSHOT, and an empty one when that is nothing', async () => {
    admin.set('/a/1', int(1))
    admin.set('/b/1', int(1))
    await admin.settle()
    for (const [token, visible] of [
      ['r:/a/**', ['/a/1']],
      ['w:/b/**', []],
      ['r:/nothing', []],
    ] as const) {
      const peer = await bench.connect()
      peer.send({ type: 'HELLO', version: 1, features: [], name: 'reader', token })
      await peer.next('WELCOME')
      assert.deepEqual((await peer.next('SNAPSHOT')).params.map(addressOf), visible, token)
      assert.deepEqual(await peer.settle(), [])
    }
  })

  test('is refused GET with 301, whether there is a value or not', async () => {
    admin.set('/b/1', int(1))
    await admin.settle()
    const peer = await bench.join('reader', 'r:/a/**')
    for (const address of ['/b/1', '/b/missing']) {
      const expected = [301, 'Insufficient scope for read operation', address]
      assert.deepEqual(await refusal(peer, { type: 'GET', address }), expected)
    }
    admin.set('/a/1', int(1))
    await admin.settle()
    peer.send({ type: 'GET', address: '/a/1' })
    assert.equal((await peer.next('SNAPSHOT')).params.length, 1)
  })

  test('is refused SET with 301, and nothing is stored or delivered', async () => {
    admin.subscribe(1, '/**')
    const peer = await bench.join('writer', 'w:/a/*')
    for (const address of ['/b', '/a', '/a/x/y']) {
      assert.deepEqual(await refusal(peer, set(address)), [301, 'Insufficient scope for write operation', address])
    }
    assert.deepEqual(await admin.settle(), [])
    peer.send(set('/a/x'))
    await peer.next('ACK')
    assert.deepEqual(await stored(), ['/a/x'])
  })

  test('is refused PUBLISH with 301 for every signal, and for peer signalling', async () => {
    admin.subscribe(1, '/**')
    const peer = await bench.join('writer', 'w:/a/*')
    for (const signal of ['param', 'event', 'stream', 'gesture', 'timeline'] as const) {
      const message: Message = { type: 'PUBLISH', address: '/b', signal }
      assert.deepEqual(await refusal(peer, message), [301, 'Insufficient scope for publish operation', '/b'], signal)
    }
    const signalling = `/clasp/p2p/signal/${admin.session}`
    assert.equal((await refusal(peer, event(signalling)))[0], 301)
    assert.equal((await refusal(peer, event('/clasp/p2p/announce')))[0], 301)
    assert.deepEqual(await admin.settle(), [])
    peer.send(event('/a/x'))
    await peer.settle()
    assert.equal((await admin.next('PUBLISH')).address, '/a/x')
  })

  test('is refused a subscription that reaches beyond what it may read', async () => {
    const peer = await bench.join('reader', 'r:/a/* r:/m/*/x')
    for (const pattern of ['/a/**', '/**', '/b', '/*', '/m/**/x', '/m/*/*']) {
      const message: Message = { type: 'SUBSCRIBE', id: 1, pattern, types: [] }
      assert.deepEqual(await refusal(peer, message), [301, 'Insufficient scope for subscription', pattern])
    }
    for (const [id, pattern] of ['/a/*', '/a/b', '/m/1/x'].entries()) peer.subscribe(id + 1, pattern)
    admin.send(set('/a/b'))
    admin.send(set('/a/b/c'))
    admin.send(set('/m/1/x'))
    await admin.settle()
    assert.deepEqual((await peer.settle()).map(addressOf), ['/a/b', '/m/1/x'])
  })

  test('gets of a wider subscription only what it may read: snapshot, SET, event, gesture, bundle and history', async () => {
    admin.send(set('/a/old'))
    admin.send(set('/b/old'))
    await admin.settle()
    const peer = await bench.join('reader', 'r:/a/** s:/**')
    peer.subscribe(1, '/**', { options: { history: 10 } })
    peer.subscribe(2, '/b/old')
    const first = await peer.settle()
    const seen = first.flatMap((m) => (m.type === 'SNAPSHOT' ? m.params.map(addressOf) : [addressOf(m)]))
    assert.deepEqual(seen, ['/a/old', '/a/old'], 'once as history, once as state')
    for (const top of ['/a', '/b']) {
      admin.send(set(`${top}/set`))
      admin.send(event(`${top}/event`))
      admin.send({ type: 'PUBLISH', address: `${top}/gesture`, signal: 'gesture', phase: 'start', id: 1 })
      admin.send({ type: 'BUNDLE', messages: [set(`${top}/bundle`), event(`${top}/bundle`)] })
    }
    await admin.settle()
    const expected = ['/a/set', '/a/event', '/a/gesture', '/a/bundle', '/a/bundle']
    assert.deepEqual((await peer.settle()).map(addressOf), expected)
    const other = await bench.join('gone soon', ADMIN)
    for (const top of ['/a', '/b'])
      other.send({ type: 'PUBLISH', address: `${top}/orphan`, signal: 'gesture', phase: 'start', id: 1 })
    await other.settle()
    other.close()
    await until(() => bench.router.statistics.sessions === 2, 'end of the session')
    assert.deepEqual((await peer.settle()).map(addressOf), ['/a/orphan', '/a/orphan'], 'start and cancel')
  })

  test('gets of a thinned out subscription only what it may read', async () => {
    const peer = await bench.join('reader', 'r:/a/** s:/**')
    peer.subscribe(1, '/**', { options: { maxRate: 10 } })
    await peer.settle()
    for (let i = 0; i < 3; i++) {
      admin.set('/a/fast', int(i))
      admin.set('/b/fast', int(i))
    }
    await admin.settle()
    clock.advance(1000)
    assert.deepEqual((await peer.settle()).map(addressOf), ['/a/fast', '/a/fast'])
  })

  test('that may write but not read gets its ACK and no echo', async () => {
    const peer = await bench.join('writer', 'w:/a/** s:/**')
    peer.subscribe(1, '/**')
    peer.send(set('/a/x'))
    assert.deepEqual(await peer.settle(), [{ type: 'ACK', address: '/a/x', revision: 1 }])
  })

  test('has a bundle refused as a whole with 403 for one message beyond its rights, nested ones included', async () => {
    admin.subscribe(1, '/**')
    const peer = await bench.join('writer', 'w:/a/**')
    for (const [messages, reason, address] of [
      [[set('/a/1'), set('/b/1')], 'insufficient scope for SET to /b/1', '/b/1'],
      [[set('/a/1'), event('/b/2')], 'insufficient scope for PUBLISH to /b/2', '/b/2'],
      [[set('/a/1'), { type: 'BUNDLE', messages: [set('/b/3')] }], 'insufficient scope for SET to /b/3', '/b/3'],
    ] as [Message[], string, string][]) {
      const refused = await refusal(peer, { type: 'BUNDLE', messages })
      assert.deepEqual(refused, [403, `Bundle rejected: ${reason}`, address])
    }
    const later = clock.wallUs() + 1_000_000
    assert.equal((await refusal(peer, { type: 'BUNDLE', timestamp: later, messages: [set('/b/4')] }))[0], 403)
    clock.advance(2000)
    assert.deepEqual(await admin.settle(), [])
    assert.deepEqual(await stored(), [])
  })

  test('announces and finds only signals within its rights', async () => {
    const announce = (address: string): Message => ({
      type: 'ANNOUNCE',
      namespace: '/x',
      signals: [
        { address: '/a/ok', type: 'param' },
        { address, type: 'param' },
      ],
    })
    const peer = await bench.join('writer', 'w:/a/** r:/r/**')
    assert.deepEqual((await refusal(peer, announce('/b/no'))).slice(0, 1), [301])
    admin.send({ type: 'QUERY', pattern: '/**' })
    assert.deepEqual((await admin.next('RESULT')).signals, [], 'a refused ANNOUNCE leaves nothing')
    peer.send(announce('/a/too'))
    await peer.next('ACK')
    admin.send(announce('/r/visible'))
    await admin.next('ACK')
    peer.send({ type: 'QUERY', pattern: '**' })
    assert.deepEqual((await peer.next('RESULT')).signals.map(addressOf), ['/r/visible'])
  })

  test('is not asked for rights by PING, SYNC and UNSUBSCRIBE', async () => {
    const peer = await bench.join('nobody', 'r:/nothing')
    peer.send({ type: 'SYNC', t1: 1 })
    peer.send({ type: 'UNSUBSCRIBE', id: 1 })
    assert.deepEqual(
      (await peer.settle()).map(({ type }) => type),
      ['SYNC'],
    )
  })

  test('has other rights after a second HELLO with another token', async () => {
    const peer = await bench.join('changing', ADMIN)
    peer.subscribe(1, '/**')
    peer.send({ type: 'HELLO', version: 1, features: [], name: 'changing', token: 'r:/a/**' })
    await peer.next('WELCOME')
    await peer.next('SNAPSHOT')
    admin.send(set('/a/x'))
    await admin.settle()
    assert.deepEqual(await peer.settle(), [])
    assert.equal((await refusal(peer, set('/a/x')))[0], 301)
  })

  test('whose second HELLO is refused is told why and closed, and keeps nothing', async () => {
    const peer = await bench.join('changing', ADMIN)
    peer.subscribe(1, '/**')
    peer.set('/held', int(1), { lock: true })
    await peer.settle()
    peer.send({ type: 'HELLO', version: 1, features: [], name: 'changing', token: 'expired' })
    peer.send(set('/too/late'))
    await until(() => peer.isClosed, 'end of the connection')
    assert.deepEqual(peer.inbox, [{ type: 'ERROR', code: 302, message: 'Token has expired' }])
    assert.equal(bench.router.statistics.subscriptions, 0)
    admin.set('/held', int(2))
    await admin.next('ACK')
    assert.deepEqual(await stored(), ['/held'])
  })

  test('is told 302 and closed when its permission ends, and what it holds is freed', async () => {
    const peer = await bench.join('guest', `${ADMIN} u:${clock.wallUs() + 60_000_000}`)
    const forever = await bench.join('resident', ADMIN)
    peer.subscribe(1, '/**')
    peer.set('/held', int(1), { lock: true })
    await peer.settle()
    clock.advance(59_900)
    assert.deepEqual(await peer.settle(), [])
    clock.advance(200)
    await until(() => peer.isClosed, 'end of the connection')
    assert.deepEqual(peer.inbox, [{ type: 'ERROR', code: 302, message: 'Token has expired' }])
    forever.set('/held', int(2))
    await forever.next('ACK')
    assert.equal(bench.router.statistics.subscriptions, 0)
  })

  test('keeps its permission while the wall clock has not reached its end, however often it is set back', async () => {
    const peer = await bench.join('guest', `${ADMIN} u:${clock.wallUs() + 60_000_000}`)
    clock.stepWall(-30_000_000)
    clock.advance(61_000)
    assert.deepEqual(await peer.settle(), [])
    clock.advance(30_000)
    await until(() => peer.isClosed, 'end of the connection')
  })

  test('cannot make the router leak a value through the text of an error', async () => {
    admin.set('/b/secret', text('s3cret'))
    await admin.settle()
    const peer = await bench.join('writer', 'w:/a/**')
    for (const message of [set('/b/secret'), { type: 'GET', address: '/b/secret' } as const]) {
      assert.ok(!JSON.stringify(await refusal(peer, message)).includes('s3cret'))
    }
  })
})
