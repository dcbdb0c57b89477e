import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Client } from '../../runtime/client/client.ts'
import { connect } from '../../runtime/client/connect.ts'
import { until } from '../until.ts'
import { Bench, bool, bytes, float, int, text } from './fixture.ts'

/** The checks of the upstream compliance suite by their numbers, one after another on one router (router reference §22). */
describe('upstream compliance', () => {
  let bench: Bench
  let a: Client
  let b: Client
  const clients: Client[] = []
  const client = async (token?: string) => {
    const one = await connect(`ws://127.0.0.1:${bench.port}/clasp`, { name: 'compliance', token })
    clients.push(one)
    return one
  }
  /** Subscribes `a`, lets `act` write by `b`, and returns what came once `b` and then `a` have settled. */
  const heard = async (patterns: string[], act: () => Promise<unknown>) => {
    const seen: string[] = []
    const subscription = await a.subscribe(patterns, ({ address }) => seen.push(address))
    seen.length = 0
    await act()
    await a.ping()
    subscription.unsubscribe()
    return seen
  }

  before(async () => {
    bench = await Bench.start()
    a = await client()
    b = await client()
  })
  after(async () => {
    for (const one of clients) await one.close()
    await bench.stop()
  })

  it('1 HELLO must be first message', async () => {
    const peer = await bench.connect()
    peer.set('/test', int(1))
    await peer.closed()
    assert.deepEqual(peer.inbox, [])
  })

  it('2, 3, 4, 6 WELCOME comes first, for any version and features, with a session id', async () => {
    for (const features of [[], ['param', 'event', 'stream']]) {
      const peer = await bench.connect()
      peer.send({ type: 'HELLO', version: 1, features, name: 'x' })
      assert.notEqual((await peer.next('WELCOME')).session, '')
    }
  })

  it('5 Duplicate HELLO: what follows the first WELCOME is its SNAPSHOT, not a second WELCOME', async () => {
    const peer = await bench.connect()
    peer.send({ type: 'HELLO', version: 1, features: [], name: 'x' })
    peer.send({ type: 'HELLO', version: 1, features: [], name: 'x' })
    await peer.next('WELCOME')
    await peer.next('SNAPSHOT')
    await peer.next('WELCOME')
  })

  it('7, 8, 11 SET of every kind is acknowledged and can be read', async () => {
    const values: [string, Value][] = [
      ['int', int(42)],
      ['float', float(1.25)],
      ['string', text('hello')],
      ['bool', bool(true)],
    ]
    for (const [name, value] of values) {
      await a.set(`/msg/test/${name}`, value)
      assert.deepEqual((await b.get(`/msg/test/${name}`))?.value, value)
    }
  })

  it('10, 12 PUBLISH has no reply', async () => {
    const peer = await bench.join()
    peer.send({ type: 'PUBLISH', address: '/msg/pub/event', signal: 'event', value: text('happened') })
    assert.deepEqual(await peer.settle(), [])
  })

  it('13, 19 the last write wins, with growing revisions', async () => {
    await a.set('/state/lww/test', int(1))
    await b.set('/state/lww/test', int(2))
    assert.deepEqual((await a.get('/state/lww/test'))?.value, int(2))
    for (const value of [1, 2, 3]) await a.set('/state/revision/test', int(value))
    assert.deepEqual((await b.get('/state/revision/test'))?.value, int(3))
  })

  it('16, 17, 18 locks keep others out until they are released', async () => {
    await a.set('/state/lock/prevent', int(1), { lock: true })
    await assert.rejects(b.set('/state/lock/prevent', int(999)))
    assert.deepEqual((await a.get('/state/lock/prevent'))?.value, int(1))
    await a.set('/state/lock/prevent', int(2), { unlock: true })
    await b.set('/state/lock/prevent', int(3))
    assert.deepEqual((await a.get('/state/lock/prevent'))?.value, int(3))
  })

  it('20 – 22, 26 exact, * and ** subscriptions deliver', async () => {
    assert.deepEqual(await heard(['/sub/exact/test'], () => b.set('/sub/exact/test', int(42))), ['/sub/exact/test'])
    const one = await heard(['/sub/single/*/value'], async () => {
      for (const name of ['a', 'b']) await b.set(`/sub/single/${name}/value`, int(1))
    })
    assert.deepEqual(one, ['/sub/single/a/value', '/sub/single/b/value'])
    const deep = await heard(['/sub/multi1/**', '/sub/multi2/**'], async () => {
      for (const address of ['/sub/multi1/a', '/sub/multi1/a/b', '/sub/multi1/a/b/c', '/sub/multi2/x'])
        await b.set(address, int(1))
    })
    assert.equal(deep.length, 4)
  })

  it('23 after UNSUBSCRIBE nothing comes', async () => {
    assert.deepEqual(await heard(['/sub/unsub'], () => b.set('/sub/unsub', int(1))), ['/sub/unsub'])
    let late = 0
    const subscription = await a.subscribe(['/sub/unsub'], () => late++)
    subscription.unsubscribe()
    await a.ping()
    late = 0
    await b.set('/sub/unsub', int(2))
    await a.ping()
    assert.equal(late, 0)
  })

  it('24 a subscription begins with the stored value', async () => {
    await b.set('/sub/snapshot/test', int(100))
    let seen = 0
    const subscription = await a.subscribe(['/sub/snapshot/test'], () => seen++)
    await until(() => seen === 1, 'the snapshot')
    subscription.unsubscribe()
  })

  it('25 wildcards do not match more than they say', async () => {
    const seen = await heard(['/sub/nomatch/*/specific'], async () => {
      for (const address of ['/sub/nomatch/a/b/specific', '/sub/nomatch/different', '/other/nomatch/a/specific'])
        await b.set(address, int(1))
    })
    assert.deepEqual(seen, [])
  })

  it('27 – 32 in open mode any token, and none, is let in and may read and write', async () => {
    for (const token of [undefined, 'test-token-12345', 'invalid-token-xxx', 'expired-token-2020-01-01']) {
      const guest = await client(token)
      await guest.set('/security/scope/write', int(123))
      assert.deepEqual((await guest.get('/security/scope/write'))?.value, int(123))
    }
  })

  it('33 – 40 every kind of message and value survives the codec', () => {
    const values: Value[] = [
      ...[0, 1, -1, 127, -128, 32_767, -32_768, 2 ** 31 - 1, -(2 ** 31)].map(int),
      { type: 'i64', value: 2n ** 63n - 1n },
      { type: 'i64', value: -(2n ** 63n) },
      ...[0, 1, -1, 1.23456789012345, 2.2250738585072014e-308, Number.MAX_VALUE, -Number.MAX_VALUE].map(float),
      ...['', 'ascii', 'ünï 日本 🎛', 'x'.repeat(1000)].map(text),
      bool(true),
      bool(false),
      ...[0, 1, 6, 100, 256].map(bytes),
    ]
    const messages: Message[] = values.map((value) => ({ type: 'SET', address: '/a', value, revision: 5, lock: true }))
    messages.push({ type: 'HELLO', version: 1, features: ['param', 'event'], name: 'x', token: 't' })
    for (const message of messages) {
      const frame = encodeFrame(message)
      const decoded = decodeFrame(frame)
      assert.ok(!(decoded instanceof DecodeError))
      assert.deepEqual(encodeFrame(decoded.message), frame)
      if (message.type === 'SET' && decoded.message.type === 'SET')
        assert.deepEqual(decoded.message.value, message.value)
    }
  })
})
