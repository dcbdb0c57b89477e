import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Client } from '../../runtime/client/client.ts'
import { connect } from '../../runtime/client/connect.ts'
import type { Delivery } from '../../runtime/client/subscription.ts'
import { Bench, float, int, text } from '../router/fixture.ts'
import { until } from '../until.ts'

async function bench(t: TestContext): Promise<Bench> {
  const started = await Bench.start()
  t.after(() => started.stop())
  return started
}

async function client(t: TestContext, router: Bench, scheme = 'ws'): Promise<Client> {
  const connected = await connect(`${scheme}://127.0.0.1:${router.port}`, { name: 'desk' })
  t.after(() => connected.close())
  return connected
}

for (const scheme of ['ws', 'tcp']) {
  test(`a client over ${scheme} sets, gets, subscribes, publishes, bundles, queries and measures`, async (t) => {
    const router = await bench(t)
    const a = await client(t, router, scheme)
    const b = await client(t, router, scheme)
    assert.equal(a.router.name, 'Test Router')

    assert.equal((await a.set('/a/x', int(1))).revision, 1)
    assert.equal((await a.set('/a/x', float(2))).revision, 2)
    const param = await b.get('/a/x')
    assert.deepEqual([param?.value, param?.revision], [float(2), 2])
    assert.equal(await b.get('/a/none'), undefined)

    const seen: Delivery[] = []
    const subscription = await b.subscribe(['/a/**', '/a/*'], (delivery) => seen.push(delivery))
    assert.deepEqual(
      seen.map(({ address, value, isInitial }) => [address, value, isInitial]),
      [['/a/x', float(2), true]],
    )
    await a.set('/a/x', int(3))
    await a.publish({ address: '/a/e', signal: 'event', value: text('hit') })
    await a.bundle([
      { type: 'SET', address: '/a/y', value: int(4) },
      { type: 'PUBLISH', address: '/a/s', signal: 'stream', value: float(0.5) },
    ])
    await until(() => seen.length === 5, 'five deliveries')
    assert.deepEqual(
      seen
        .slice(1)
        .map(({ address, signal, value, revision, isInitial }) => [address, signal, value, revision, isInitial]),
      [
        ['/a/x', 'param', int(3), 3, false],
        ['/a/e', 'event', text('hit'), undefined, false],
        ['/a/y', 'param', int(4), 1, false],
        ['/a/s', 'stream', float(0.5), undefined, false],
      ],
    )
    subscription.unsubscribe()
    await b.ping()
    await a.set('/a/x', int(9))
    await b.ping()
    assert.equal(seen.length, 5)

    assert.deepEqual(
      (await b.snapshot('/a/*')).map(({ address, value }) => [address, value]),
      [
        ['/a/x', int(9)],
        ['/a/y', int(4)],
      ],
    )
    a.send({ type: 'ANNOUNCE', namespace: '/a', signals: [{ address: '/a/x', type: 'param', datatype: 'i64' }] })
    await a.ping()
    assert.deepEqual(
      (await b.query('/a/**')).map(({ address, datatype }) => [address, datatype]),
      [['/a/x', 'i64']],
    )
    assert.ok((await a.ping()) > 0)
    const { offsetUs, roundTripUs } = await a.sync()
    assert.ok(Math.abs(offsetUs) < 100_000 && roundTripUs >= 0, `${offsetUs} ${roundTripUs}`)
  })
}

test('requests that are under way at the same time get their own answers', async (t) => {
  const a = await client(t, await bench(t))
  const sets = [1, 2, 3].map((value) => a.set('/n', int(value)))
  const other = a.set('/m', int(1))
  const refused = a.set('/bad//address', int(1))
  const gets = [a.get('/n'), a.get('/none'), a.get('/m')]
  await assert.rejects(refused, (error: Error & { kind: string; code: number }) => {
    assert.equal(error.kind, 'rejected')
    assert.match(error.message, /^SET \/bad\/\/address was refused: /)
    return error.code >= 200
  })
  assert.deepEqual(
    (await Promise.all(sets)).map(({ revision }) => revision),
    [1, 2, 3],
  )
  assert.equal((await other).revision, 1)
  assert.deepEqual(
    (await Promise.all(gets)).map((param) => param?.value),
    [int(3), undefined, int(1)],
  )
})

test('a refused revision, a refused lock and a refused pattern reject with the router’s words', async (t) => {
  const router = await bench(t)
  const a = await client(t, router)
  const b = await client(t, router)
  await a.set('/l', int(1), { lock: true })
  await assert.rejects(b.set('/l', int(2)), { name: 'ClientError', kind: 'rejected' })
  await assert.rejects(a.set('/l', int(1), { revision: 7 }), { kind: 'rejected' })
  await assert.rejects(
    a.subscribe(['no/slash'], () => {}),
    /is not an address pattern/,
  )
  await assert.rejects(a.snapshot('no/slash'), /is not an address pattern/)
  assert.equal((await a.set('/after', int(1))).revision, 1)
})

test('a snapshot of 5000 params arrives whole over both transports', async (t) => {
  const router = await bench(t)
  const writer = await client(t, router, 'tcp')
  await Promise.all(Array.from({ length: 5000 }, (_, i) => writer.set(`/many/${i}`, text(`value number ${i}`))))
  for (const scheme of ['ws', 'tcp']) {
    const params = await (await client(t, router, scheme)).snapshot('/many/*')
    assert.equal(params.length, 5000)
  }
})

test('closing leaves nothing behind and fails what is asked later', async (t) => {
  const router = await bench(t)
  const a = await connect(`tcp://127.0.0.1:${router.port}`)
  const last = a.set('/last', int(1))
  await last
  await a.close()
  assert.equal((await a.closed).kind, 'closed')
  await assert.rejects(a.get('/last'), { kind: 'closed' })
  const b = await client(t, router)
  assert.deepEqual((await b.get('/last'))?.value, int(1))
})

test('what is too large to send is said at once', async (t) => {
  const a = await client(t, await bench(t))
  await assert.rejects(a.set('/big', text('x'.repeat(70_000))), /SET \/big cannot be sent/)
  assert.equal((await a.set('/small', int(1))).revision, 1)
})
