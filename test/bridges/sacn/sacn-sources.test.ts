import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SacnSources } from '../../../runtime/bridges/sacn/sacn-sources.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { Told } from '../lighting/lighting-scene.ts'

class Sets extends Told {
  readonly values: Value[] = []

  override set(_address = '', value: Value = { type: 'null' }): void {
    this.values.push(value)
  }
}

test('of a source with very many universes the first 4096 are kept and shown', () => {
  const router = new Sets()
  const sources = new SacnSources(router, '/s', new SteppedClock())
  const universes = Array.from({ length: 512 }, (_, i) => 1 + i)
  for (let page = 0; page < 125; page++) {
    const common = { type: 'discovery', cid: 'a', name: 'big', lastPage: 124 } as const
    assert.equal(sources.heard({ ...common, page, universes: universes.map((one) => page * 512 + one) }), true)
  }
  assert.equal(router.values.length, 1)
  const [shown] = router.values
  const list = shown.type === 'map' ? shown.value.find(([key]) => key === 'universes')?.[1] : undefined
  const numbers = list?.type === 'array' ? list.value.map((one) => ('value' in one ? one.value : null)) : []
  assert.deepEqual(
    numbers,
    Array.from({ length: 4096 }, (_, i) => 1 + i),
  )
})
