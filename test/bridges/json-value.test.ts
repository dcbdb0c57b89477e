import assert from 'node:assert/strict'
import { test } from 'node:test'
import { valueFromJson } from '../../runtime/bridges/json-value.ts'

test('numbers of JSON that are no i64 are Float, and those that no Float can be are no JSON', () => {
  assert.deepEqual(valueFromJson('9223372036854775807'), { type: 'i64', value: 9223372036854775807n })
  assert.deepEqual(valueFromJson('-9223372036854775808'), { type: 'i64', value: -9223372036854775808n })
  assert.deepEqual(valueFromJson('9223372036854775808'), { type: 'f64', value: 2 ** 63 })
  assert.deepEqual(valueFromJson(`1${'0'.repeat(300)}`), { type: 'f64', value: 1e300 })
  for (const text of ['1e999', '-1e999', '9'.repeat(400), '[1,{"a":1e400}]', '{"\\u0000":"1e"}', '{"\\u0000":"x"}']) {
    assert.equal(valueFromJson(text), undefined, text)
  }
})

test('millions of digits take no time', () => {
  const startedMs = performance.now()
  assert.equal(valueFromJson('9'.repeat(8_000_000)), undefined)
  assert.ok(performance.now() - startedMs < 2000)
})
