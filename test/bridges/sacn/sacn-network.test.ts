import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkPlaces } from '../../../runtime/bridges/lighting/network-places.ts'
import { SacnNetwork } from '../../../runtime/bridges/sacn/sacn-network.ts'
import { until } from '../../until.ts'

test('a group that a network does not let us join is told, and can be joined later', async (t) => {
  const places = networkPlaces('127.0.65.2')
  const network = await SacnNetwork.open({
    places,
    port: 15_571,
    ttl: 1,
    onMessage: () => {},
    onError: () => {},
    onUnsent: () => {},
  })
  t.after(() => network.close())
  // An interface that has gone meanwhile.
  places.push({ ...places[0], name: 'eth9', address: '192.0.2.77' })
  assert.match(
    (await network.join(5)) ?? '',
    /multicast group 239\.255\.0\.5 \(universe 5\) cannot be joined on eth9, 192\.0\.2\.77: .*ENODEV/,
  )
  places.pop()
  assert.equal(await network.join(5), undefined)
})

test('an address that this machine does not have is told', async () => {
  const [place] = networkPlaces('127.0.0.1')
  await assert.rejects(
    SacnNetwork.open({
      places: [{ ...place, address: '192.0.2.77' }],
      port: 15_571,
      ttl: 1,
      onMessage: () => {},
      onError: () => {},
      onUnsent: () => {},
    }),
    /UDP port 15571 at 192\.0\.2\.77: this machine has no such address/,
  )
})

const quiet = { port: 15_571, ttl: 1, onError: () => {}, onUnsent: () => {} }

test('an interface with two addresses is joined and sent to once', async (t) => {
  const [one] = networkPlaces('127.0.65.3')
  // As an alias is called.
  const places = [one, { ...one, name: `${one.name}:1`, address: '127.0.65.4' }]
  const got: Buffer[] = []
  const network = await SacnNetwork.open({ ...quiet, places, onMessage: (bytes) => got.push(bytes) })
  t.after(() => network.close())
  assert.equal(await network.join(6), undefined)
  network.multicast(Uint8Array.of(1), 6)
  network.multicast(Uint8Array.of(2), 6)
  await until(() => got.some((bytes) => bytes[0] === 2), 'the second packet')
  assert.deepEqual(
    got.map((bytes) => bytes[0]),
    [1, 2],
  )
})

test('a group that is being joined at the end is not left open', async () => {
  const got: Buffer[] = []
  const network = await SacnNetwork.open({
    ...quiet,
    places: networkPlaces('127.0.65.5'),
    onMessage: (bytes) => got.push(bytes),
  })
  const joining = network.join(7)
  await Promise.all([network.close(), joining])
  const other = await SacnNetwork.open({ ...quiet, places: networkPlaces('127.0.65.6'), onMessage: () => {} })
  const heard: Buffer[] = []
  const witness = await SacnNetwork.open({
    ...quiet,
    places: networkPlaces('127.0.65.7'),
    onMessage: (bytes) => heard.push(bytes),
  })
  await witness.join(7)
  other.multicast(Uint8Array.of(1), 7)
  await until(() => heard.length > 0, 'a packet')
  await Promise.all([other.close(), witness.close()])
  assert.equal(got.length, 0)
})
