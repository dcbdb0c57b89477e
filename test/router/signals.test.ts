/** ANNOUNCE and QUERY; router reference §4.9, §4.10, D-20, D-33. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import { Bench, int, type Peer } from './fixture.ts'
import { SteppedClock } from './stepped-clock.ts'

describe('announced signals', () => {
  let clock: SteppedClock
  let bench: Bench
  let peer: Peer

  beforeEach(async () => {
    clock = new SteppedClock()
    bench = await Bench.start({ clock, options: { maxSignals: 5, signalTtlSeconds: 60 } })
    peer = await bench.join()
  })

  afterEach(() => bench.stop())

  async function announce(...addresses: string[]): Promise<void> {
    const signals = addresses.map((address): SignalDefinition => ({ address, type: 'param' }))
    peer.send({ type: 'ANNOUNCE', namespace: '/ns', signals })
    assert.deepEqual(await peer.next('ACK'), { type: 'ACK', address: '/ns' })
  }

  async function query(pattern: string): Promise<string[]> {
    peer.send({ type: 'QUERY', pattern })
    return (await peer.next('RESULT')).signals.map(({ address }) => address).sort()
  }

  test('are found by pattern, and the answer comes even when nothing is found', async () => {
    await announce('/a', '/a/b', '/a/b/c', '/other')
    assert.deepEqual(await query('/a'), ['/a'])
    assert.deepEqual(await query('/a/*'), ['/a/b'])
    assert.deepEqual(await query('/a/**'), ['/a', '/a/b', '/a/b/c'])
    assert.deepEqual(await query('**'), ['/a', '/a/b', '/a/b/c', '/other'])
    assert.deepEqual(await query('/nothing/**'), [])
    assert.deepEqual(await query(''), [])
    assert.deepEqual(await query('a'), [])
  })

  test('come back with their type, data type and access, as the last ANNOUNCE has them', async () => {
    await announce('/a')
    const signal: SignalDefinition = { address: '/a', type: 'stream', datatype: 'f32', access: 'r' }
    const meta = { unit: 'lux', range: [0, 10] as [number, number], default: int(1), description: 'light' }
    peer.send({ type: 'ANNOUNCE', namespace: '/ns', signals: [{ ...signal, meta }] })
    await peer.next('ACK')
    peer.send({ type: 'QUERY', pattern: '/a' })
    assert.deepEqual((await peer.next('RESULT')).signals, [signal])
  })

  test('are told to nobody who does not ask, and outlive the session that announced them', async () => {
    const watcher = await bench.join('watcher')
    watcher.subscribe(1, '/**')
    await announce('/a')
    assert.deepEqual(await watcher.settle(), [])
    peer.close()
    peer = watcher
    assert.deepEqual(await query('/**'), ['/a'])
  })

  test('are no params: a SET makes none, and they make no param', async () => {
    peer.set('/set', int(1))
    await peer.next('ACK')
    await announce('/a')
    assert.deepEqual(await query('/**'), ['/a'])
    peer.send({ type: 'GET', address: '/a' })
    assert.deepEqual(await peer.settle(), [])
  })

  test('are forgotten a while after their last ANNOUNCE, whether somebody asked for them or not', async () => {
    await announce('/a', '/b')
    clock.advance(40_000)
    await announce('/b')
    assert.deepEqual(await query('/**'), ['/a', '/b'])
    clock.advance(30_000)
    assert.deepEqual(await query('/**'), ['/b'])
    clock.advance(40_000)
    assert.deepEqual(await query('/**'), [])
    assert.equal(bench.router.statistics.signals, 0)
  })

  test('beyond the limit are refused as a whole; known ones may be announced again', async () => {
    await announce('/1', '/2', '/3', '/4')
    const signals = ['/5', '/6'].map((address): SignalDefinition => ({ address, type: 'event' }))
    peer.send({ type: 'ANNOUNCE', namespace: '/ns', signals })
    const error = await peer.next('ERROR')
    assert.deepEqual([error.code, error.message], [429, 'Signal limit reached (max 5)'])
    assert.equal(bench.router.statistics.signals, 4)
    await announce('/5', '/5', '/1')
    assert.equal(bench.router.statistics.signals, 5)
    await announce('/1', '/2', '/3', '/4', '/5')
  })

  test('may be none', async () => {
    await announce()
    assert.deepEqual(await query('/**'), [])
  })
})
