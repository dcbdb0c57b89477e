import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { addressProblem } from '../../firmware-protocol/wire/address.ts'
import { covers, Pattern } from '../../firmware-protocol/wire/pattern.ts'
import { loadVectors } from './vectors.ts'

interface PatternVector {
  pattern: string
  address: string
  match: boolean | null
  invalidPattern?: boolean
}

describe('patterns', () => {
  for (const { pattern, address, match } of loadVectors<PatternVector[]>('patterns.json')) {
    it(`${pattern} ${match === null ? 'is invalid' : match ? 'matches' : 'does not match'} ${address}`, () => {
      const parsed = Pattern.parse(pattern)
      assert.equal(typeof parsed === 'string' ? null : parsed.matches(address), match)
    })
  }

  const segment = fc.constantFrom('a', 'b', 'ab', 'abc', '*', '**', 'a*', '*b', 'a*c')
  const name = fc.constantFrom('a', 'b', 'ab', 'abc', '')
  const path = <T extends string>(part: fc.Arbitrary<T>) =>
    fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => `/${parts.join('/')}`)

  it('match as the plain recursive definition does', () => {
    fc.assert(
      fc.property(path(segment), path(name), (pattern, address) => {
        const parsed = Pattern.parse(pattern)
        assert.ok(typeof parsed !== 'string')
        assert.equal(parsed.matches(address), naive(pattern.slice(1).split('/'), address.slice(1).split('/')))
      }),
      { numRuns: 5000 },
    )
  })

  it('that cover another match everything that it matches', () => {
    fc.assert(
      fc.property(path(segment), path(segment), path(name), (granted, requested, address) => {
        fc.pre(covers(granted, requested))
        const [wide, narrow] = [Pattern.parse(granted), Pattern.parse(requested)]
        assert.ok(typeof wide !== 'string' && typeof narrow !== 'string')
        if (narrow.matches(address)) assert.ok(wide.matches(address), `${granted} covers ${requested}, not ${address}`)
      }),
      { numRuns: 5000 },
    )
  })

  it('with many wildcards take no time on a long address that almost matches', () => {
    const pattern = Pattern.parse(`/${'**/a/'.repeat(30)}b`)
    assert.ok(typeof pattern !== 'string')
    const start = performance.now()
    assert.equal(pattern.matches(`/${'a/'.repeat(60)}c`), false)
    assert.ok(performance.now() - start < 1000)
  })

  it('are covered only where every segment is', () => {
    assert.equal(covers('/a/*', '/a/**'), false)
    assert.equal(covers('/*', '/**'), false)
    assert.equal(covers('/a/*/c', '/a/**/c'), false)
    assert.equal(covers('/a/**', '/a/*'), true)
    assert.equal(covers('/a/b', '/a/*'), false)
    assert.equal(covers('/**', '/a/b/c'), true)
    assert.equal(covers('/zone5*', '/zone50'), true)
    assert.equal(covers('/zone5*', '/zone*'), false)
  })
})

describe('addresses', () => {
  for (const address of ['/', '/a', '/a/', '/a b', '/ä/日本', '/@#$%', '/a/b\tc', '/a.b']) {
    it(`${JSON.stringify(address)} is valid`, () => assert.equal(addressProblem(address), undefined))
  }
  for (const address of [
    '',
    'a',
    'a/b',
    '//',
    '//a',
    '/a//b',
    '/a//',
    '/a/*',
    '/**',
    `/${'x'.repeat(1100)}`,
    '/a'.repeat(65),
  ]) {
    it(`${JSON.stringify(address.slice(0, 20))} is refused with a reason`, () => {
      assert.match(addressProblem(address) ?? '', /address/)
    })
  }
})

function naive(pattern: string[], address: string[]): boolean {
  if (pattern.length === 0) return address.length === 0
  const [first, ...rest] = pattern
  if (first === '**') return naive(rest, address) || (address.length > 0 && naive(pattern, address.slice(1)))
  if (address.length === 0) return false
  const source = first
    .split('*')
    .map((part) => part.replace(/[^a-z]/g, '\\$&'))
    .join('.*')
  return new RegExp(`^${source}$`).test(address[0]) && naive(rest, address.slice(1))
}
