import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkPlaces } from '../../../runtime/bridges/lighting/network-places.ts'
import { SacnNetwork } from '../../../runtime/bridges/sacn/sacn-network.ts'

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
