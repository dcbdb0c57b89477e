/** Messages that set up a connection between two clients; wire reference §16, router reference §10. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { until } from '../until.ts'
import { Bench, bytes, int, type Peer, text } from './fixture.ts'

describe('peer signalling', () => {
  let bench: Bench
  let caller: Peer
  let callee: Peer

  beforeEach(async () => {
    bench = await Bench.start()
    caller = await bench.join('caller')
    callee = await bench.join('callee')
  })

  afterEach(() => bench.stop())

  const addressOf = (peer: Peer) => `/clasp/p2p/signal/${peer.session}`
  const publish = (address: string, value?: Value): Message => ({ type: 'PUBLISH', address, signal: 'event', value })
  const map = (...entries: [string, Value][]): Value => ({ type: 'map', value: entries })

  test('reaches exactly the session it names, subscribed or not, once', async () => {
    const listener = await bench.join('listener')
    listener.subscribe(1, '/**')
    callee.subscribe(1, '/clasp/**')
    caller.send(publish(addressOf(callee), map(['type', text('offer')], ['sdp', text('v=0')])))
    assert.deepEqual(await caller.settle(), [])
    const [signal, ...rest] = await callee.settle()
    assert.deepEqual(rest, [])
    assert.ok(signal.type === 'PUBLISH')
    assert.equal(signal.address, addressOf(callee))
    assert.deepEqual(signal.value, map(['type', text('offer')], ['sdp', text('v=0')]))
    assert.deepEqual(await listener.settle(), [])
    caller.send({ type: 'GET', address: addressOf(callee) })
    assert.deepEqual(await caller.settle(), [], 'nothing is stored')
  })

  test('says who really sent it', async () => {
    const forged = map(['type', text('answer')], ['from', text(callee.session)], ['correlation_id', text('1')])
    caller.send(publish(addressOf(callee), forged))
    const { value } = await callee.next('PUBLISH')
    const entries = new Map(value?.type === 'map' ? value.value : [])
    assert.deepEqual(entries.get('from'), text(caller.session))
    assert.deepEqual(entries.get('type'), text('answer'))
    assert.deepEqual(entries.get('correlation_id'), text('1'))
    assert.equal(entries.size, 3)
  })

  test('may be sent to oneself, and carry anything', async () => {
    for (const value of [undefined, int(1), text('offer'), bytes(60_000)]) {
      caller.send(publish(addressOf(caller), value))
      assert.deepEqual((await caller.next('PUBLISH')).value, value)
    }
  })

  test('to a session that does not exist, or no longer, is answered by 404', async () => {
    const gone = addressOf(callee)
    callee.close()
    await until(() => bench.router.statistics.sessions === 1, 'end of the session')
    for (const address of ['/clasp/p2p/signal/nobody', gone]) {
      caller.send(publish(address))
      assert.deepEqual(await caller.next('ERROR'), {
        type: 'ERROR',
        code: 404,
        message: `Target session not found: ${address.slice('/clasp/p2p/signal/'.length)}`,
        address,
      })
    }
  })

  test('goes by the newest id of a connection that has said HELLO twice', async () => {
    const before = addressOf(callee)
    callee.send({ type: 'HELLO', version: 1, features: [], name: 'again' })
    callee.session = (await callee.next('WELCOME')).session
    await callee.next('SNAPSHOT')
    caller.send(publish(before))
    assert.equal((await caller.next('ERROR')).code, 404)
    caller.send(publish(addressOf(callee)))
    assert.equal((await callee.next('PUBLISH')).address, addressOf(callee))
  })

  test('that leaves no room for the sender’s name is refused', async () => {
    caller.send(publish(addressOf(callee), bytes(65_200)))
    assert.equal((await caller.next('ERROR')).code, 400)
    assert.deepEqual(await callee.settle(), [])
  })

  test('announcements reach all subscribers but the sender, whatever types they asked for', async () => {
    caller.subscribe(1, '/clasp/p2p/announce')
    callee.subscribe(1, '/clasp/p2p/*', { types: ['param'] })
    const outsider = await bench.join('outsider')
    outsider.subscribe(1, '/elsewhere/**')
    await callee.settle()
    await outsider.settle()
    const announcement = map(['session_id', text(caller.session)], ['p2p_capable', { type: 'bool', value: true }])
    caller.send(publish('/clasp/p2p/announce', announcement))
    assert.deepEqual(await caller.settle(), [])
    assert.deepEqual((await callee.next('PUBLISH')).value, announcement)
    assert.deepEqual(await outsider.settle(), [])
  })

  test('leaves other addresses below /clasp/p2p, and SETs, as they are', async () => {
    callee.subscribe(1, '/clasp/**')
    await callee.settle()
    for (const address of [
      '/clasp/p2p/other',
      '/clasp/p2p/signal/',
      `${addressOf(callee)}/more`,
      '/clasp/p2p/signal',
    ]) {
      caller.send(publish(address))
      assert.equal((await callee.next('PUBLISH')).address, address)
    }
    caller.set(addressOf(callee), int(1))
    assert.equal((await caller.next('ACK')).revision, 1)
    assert.equal((await callee.next('SET')).address, addressOf(callee))
  })

  test('to a session that does not read does not hold up its sender, who is told 404 once that session is given up', async () => {
    callee.socket.pause()
    for (let i = 0; i < 300; i++) caller.send(publish(addressOf(callee), bytes(60_000)))
    const codes = (await caller.settle()).map((message) => (message.type === 'ERROR' ? message.code : message.type))
    assert.ok(codes.length > 0 && codes.length < 290, `${codes.length} of 300 were refused`)
    assert.deepEqual(new Set(codes), new Set([404]))
  })
})
