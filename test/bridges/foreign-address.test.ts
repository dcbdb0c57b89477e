import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addressProblem } from '../../firmware-protocol/wire/address.ts'
import { addressOf, foreignOf } from '../../runtime/bridges/foreign-address.ts'

test('ordinary names stay as they are, and what an address cannot hold is escaped', () => {
  for (const [foreign, address] of [
    ['home/lamp-1/état', '/mqtt/home/lamp-1/état'],
    ['a//b', '/mqtt/a/%-/b'],
    ['/a/', '/mqtt/%-/a/%-'],
    ['100%/+/#', '/mqtt/100%25/%2B/%23'],
    ['a*b?[c]{d}', '/mqtt/a%2Ab%3F%5Bc%5D%7Bd%7D'],
    ['%2A', '/mqtt/%252A'],
    ['\u0000\t\u007f', '/mqtt/%00%09%7F'],
  ]) {
    assert.equal(addressOf('/mqtt', foreign), address)
    assert.equal(foreignOf('/mqtt', address), foreign)
  }
})

test('every foreign name has an address of its own, from which it comes back', () => {
  const level = fc.string({
    unit: fc.constantFrom('a', '%', '-', '2', 'A', '*', '+', '#', '{', '\n', 'é'),
    maxLength: 5,
  })
  const names = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'))
  fc.assert(
    fc.property(names, (foreign) => {
      const address = addressOf('/a/b', foreign) as string
      assert.equal(addressProblem(address), undefined)
      assert.doesNotMatch(address, /[*?[\]{}#+\n]/)
      assert.equal(foreignOf('/a/b', address), foreign)
    }),
    { numRuns: 300, seed: 4 },
  )
})

test('names that are too long or too deep for an address have none', () => {
  assert.equal(addressOf('/a', 'x'.repeat(1021))?.length, 1024)
  assert.equal(addressOf('/a', 'x'.repeat(1022)), undefined)
  assert.equal(addressOf('/a', 'é'.repeat(511)), undefined)
  // With that of the namespace, 32 levels.
  assert.ok(addressOf('/a', new Array(31).fill('x').join('/')))
  assert.equal(addressOf('/a', new Array(32).fill('x').join('/')), undefined)
})
