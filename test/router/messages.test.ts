import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Bench, type Peer, text } from './fixture.ts'

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
})

describe('the other messages', () => {
  let bench: Bench
  let peer: Peer
  before(async () => {
    bench = await Bench.start()
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
})
