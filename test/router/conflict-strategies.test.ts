/** Conflict strategies against a plain model of their rules; wire reference §12.3, §12.6, router reference D-06. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { AddressPolicy } from '../../runtime/router/options.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { loadVectors, toValue, type VectorValue } from '../firmware-protocol/vectors.ts'
import { Bench, float, int, type Peer, text } from './fixture.ts'

interface Sequence {
  name: string
  initial: { value: VectorValue; writer: string; lock?: boolean }
  steps: { value: VectorValue; writer: string; lock?: boolean; unlock?: boolean }[]
}

const policies: AddressPolicy[] = ['max', 'min', 'merge', 'lock', 'lww'].map((conflict) => ({
  pattern: `/${conflict}/**`,
  conflict: conflict as AddressPolicy['conflict'],
}))

describe('a conflict strategy', () => {
  let bench: Bench
  let peer: Peer
  let run = 0

  beforeEach(async () => {
    bench = await Bench.start({ options: { policies } })
    peer = await bench.join()
  })

  afterEach(() => bench.stop())

  async function stored(address: string): Promise<Value> {
    peer.send({ type: 'GET', address })
    return (await peer.next('SNAPSHOT')).params[0].value
  }

  test('never lets a session unlock or overwrite what another one has locked', async () => {
    const sequence = loadVectors<Sequence[]>('state.json').find(({ name }) => name.includes('unlock-by-other'))
    assert.ok(sequence !== undefined)
    for (const strategy of ['lww', 'max', 'min', 'merge', 'lock']) {
      const address = `/${strategy}/p`
      const peers = new Map([
        ['A', peer],
        ['B', await bench.join('B')],
      ])
      peer.set(address, toValue(sequence.initial.value), { lock: true })
      await peer.next('ACK')
      for (const { value, writer, lock, unlock } of sequence.steps) {
        const other = peers.get(writer) as Peer
        other.set(address, toValue(value), { lock, unlock })
        const { code, message } = await other.next('ERROR')
        assert.equal(code, 400)
        // Wire reference §12.3: under the lock strategy a stranger's unlock is a conflict.
        assert.match(message, strategy === 'lock' && unlock ? /^ConflictRejected$/ : /^LockHeld \{ holder: "/)
        assert.deepEqual(await stored(address), toValue(sequence.initial.value))
      }
    }
  })

  const number = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value): Value => ({ type: 'i64', value })),
    fc.integer({ min: -3, max: 3 }).map(int),
    fc.double().map(float),
    fc.integer({ min: -2, max: 2 }).map(float),
    fc.constantFrom(text('x'), float(Number.NaN)),
  )

  for (const strategy of ['max', 'min'] as const) {
    test(`${strategy} takes what is ${strategy === 'max' ? 'greater' : 'less'} among integers and among floats, and anything of another kind`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(number, { minLength: 1, maxLength: 12 }), async (values) => {
          const address = `/${strategy}/${run++}`
          let expected: Value | undefined
          for (const value of values) {
            peer.set(address, value)
            const isTaken = expected === undefined || wins(strategy, value, expected)
            assert.equal((await peer.settle())[0].type, isTaken ? 'ACK' : 'ERROR')
            if (isTaken) expected = value
          }
          assert.deepEqual(canonical(await stored(address)), canonical(expected as Value))
        }),
        { numRuns: 150 },
      )
    })
  }

  test('merge joins maps key by key, nested ones whole, and replaces everything else', async () => {
    const leaf = fc.integer().map(int)
    const map = fc
      .array(
        fc.tuple(
          fc.constantFrom('a', 'b', 'ü', ''),
          fc.oneof(leaf, fc.constant<Value>({ type: 'map', value: [['n', int(1)]] })),
        ),
        {
          maxLength: 4,
        },
      )
      .map((entries): Value => ({ type: 'map', value: [...new Map(entries)] }))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(map, map, leaf), { minLength: 1, maxLength: 6 }), async (values) => {
        const address = `/merge/${run++}`
        let expected: Value | undefined
        for (const value of values) {
          peer.set(address, value)
          expected =
            expected?.type === 'map' && value.type === 'map'
              ? { type: 'map', value: [...new Map([...expected.value, ...value.value])] }
              : value
        }
        assert.ok((await peer.settle()).every(({ type }) => type === 'ACK'))
        assert.deepEqual(await stored(address), expected)
      }),
      { numRuns: 150 },
    )
  })

  test('merge refuses a map that would outgrow a frame, and changes nothing', async () => {
    const half = (key: string): Value => ({ type: 'map', value: [[key, text('x'.repeat(40_000))]] })
    peer.set('/merge/large', half('a'))
    await peer.next('ACK')
    peer.set('/merge/large', half('b'))
    assert.match((await peer.next('ERROR')).message, /too large/)
    assert.deepEqual(await stored('/merge/large'), half('a'))
    peer.set('/merge/large', half('a'))
    assert.equal((await peer.next('ACK')).revision, 2)
  })

  test('is that of the first policy that matches, and may be exchanged while the router runs', async () => {
    const write = async (value: number) => {
      peer.set('/zone/1', int(value))
      return (await peer.settle())[0].type
    }
    const configure = (...policies: AddressPolicy[]) => bench.router.reconfigure({ ...defaultRouterOptions, policies })
    configure({ pattern: '/zone/*', conflict: 'max' }, { pattern: '/**', conflict: 'min' })
    assert.deepEqual([await write(5), await write(4), await write(6)], ['ACK', 'ERROR', 'ACK'])
    configure({ pattern: '/**', conflict: 'min' })
    assert.deepEqual([await write(7), await write(5)], ['ERROR', 'ACK'])
    configure()
    assert.deepEqual([await write(9), await write(1)], ['ACK', 'ACK'])
  })

  test('holds within a bundle as well', async () => {
    peer.set('/max/p', int(5))
    await peer.next('ACK')
    const set = (address: string, value: number) => ({ type: 'SET' as const, address, value: int(value) })
    peer.send({ type: 'BUNDLE', messages: [set('/max/p', 6), set('/max/p', 6)] })
    const error = await peer.next('ERROR')
    assert.deepEqual([error.code, error.message, error.address], [400, 'ConflictRejected', '/max/p'])
    assert.deepEqual(await stored('/max/p'), int(5))
    peer.send({ type: 'BUNDLE', messages: [set('/max/p', 6), set('/max/p', 7)] })
    assert.equal((await peer.next('ACK')).revision, 3)
  })
})

function wins(strategy: 'max' | 'min', value: Value, stored: Value): boolean {
  if (value.type === 'i64' && stored.type === 'i64') {
    return strategy === 'max' ? value.value > stored.value : value.value < stored.value
  }
  if (value.type === 'f64' && stored.type === 'f64') {
    return strategy === 'max' ? value.value > stored.value : value.value < stored.value
  }
  return true
}

/** Small integers come back as numbers, whatever they were written as. */
function canonical(value: Value): Value {
  return value.type === 'i64' ? { type: 'i64', value: BigInt(value.value) } : value
}
