import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { claspAddressOf, isOscPattern, oscAddressOf } from '../../../runtime/bridges/osc/osc-names.ts'
import { OscPattern } from '../../../runtime/bridges/osc/osc-pattern.ts'

/** Pattern, what it matches, what it does not. */
const CASES: [string, string[], string[]][] = [
  ['/a/?', ['/a/b', '/a/1'], ['/a', '/a/', '/a/bc', '/a/b/c']],
  ['/a/*', ['/a/b', '/a/bcd'], ['/a', '/a/b/c', '/b/b']],
  ['/*/level', ['/1/level', '/x/level'], ['/level', '/1/2/level']],
  ['/f*r', ['/fr', '/fader', '/ferrr'], ['/fa', '/fader1']],
  ['/*a*b*', ['/ab', '/xaxbx', '/aab'], ['/ba', '/a', '/b']],
  ['/ch[0-9]', ['/ch0', '/ch9'], ['/ch', '/ch10', '/cha']],
  ['/ch[13-5]x', ['/ch1x', '/ch4x'], ['/ch2x', '/ch-x']],
  ['/ch[!0-9]', ['/cha', '/ch-'], ['/ch3', '/ch']],
  ['/[a-]', ['/a', '/-'], ['/b']],
  ['/{foo,bar}/x', ['/foo/x', '/bar/x'], ['/fo/x', '/foobar/x']],
  ['/{a,ab}{c,bc}', ['/ac', '/abc', '/abbc'], ['/ab', '/a']],
  ['/{,x}y', ['/y', '/xy'], ['/xxy']],
  ['//level', ['/level', '/1/level', '/1/2/level'], ['/level/1', '/levels']],
  ['/a//b', ['/a/b', '/a/1/b', '/a/1/2/b'], ['/b', '/a/1/c']],
  ['/a/**', ['/a', '/a/b', '/a/b/c'], ['/b', '/ab']],
]

test('address patterns match as OSC 1.0 and 1.1 say', () => {
  for (const [text, matching, others] of CASES) {
    assert.ok(isOscPattern(text), text)
    const pattern = OscPattern.parse(text)
    assert.ok(pattern !== undefined, text)
    for (const address of matching) assert.ok(pattern.matches(address), `${text} matches ${address}`)
    for (const address of others) assert.ok(!pattern.matches(address), `${text} does not match ${address}`)
  }
})

test('brackets without an end are no pattern, and neither is one that is too long', () => {
  for (const text of ['/a[1', '/a{b', '/a]', '/a}', `/${'?'.repeat(300)}`]) {
    assert.equal(OscPattern.parse(text), undefined, text)
  }
})

test('a pattern made to take long does not', () => {
  const pattern = OscPattern.parse(`/${'*a'.repeat(100)}b`)
  const start = performance.now()
  assert.equal(pattern?.matches(`/${'a'.repeat(1000)}`), false)
  const parts = OscPattern.parse('/**/a'.repeat(30))
  assert.equal(parts?.matches('/a'.repeat(500)), true)
  assert.equal(parts?.matches(`${'/a'.repeat(500)}/b`), false)
  assert.ok(performance.now() - start < 2000)
})

test('names of either side become names of the other', () => {
  const pairs: [string, string][] = [
    ['/1/fader1', '/osc/1/fader1'],
    ['/100%', '/osc/100%25'],
    ['/a%20b', '/osc/a b'],
    ['/a%2Cb%23', '/osc/a,b%23'],
    ['/a%2A', '/osc/a%2A'],
    ['/a%41', '/osc/a%2541'],
    ['/größe', '/osc/größe'],
  ]
  for (const [oscName, address] of pairs) {
    assert.equal(claspAddressOf('/osc', oscName), address)
    assert.equal(oscAddressOf('/osc', address), oscName)
  }
  assert.equal(oscAddressOf('/osc', '/oscillator/x'), '/oscillator/x')
  assert.equal(claspAddressOf('/osc', '/'), undefined)
  assert.equal(claspAddressOf('/osc', '/a'.repeat(40)), undefined)
})

test('law: a name that goes out and comes back in is the same', () => {
  const level = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((name) => !name.includes('/'))
  fc.assert(
    fc.property(fc.array(level, { minLength: 1, maxLength: 4 }), (levels) => {
      const address = claspAddressOf('/osc', `/${levels.join('/')}`)
      assert.ok(address !== undefined)
      const oscName = oscAddressOf('/osc', address)
      assert.doesNotMatch(oscName, /[ #*,?[\]{}]/)
      assert.equal(claspAddressOf('/osc', oscName), address)
    }),
    { seed: 7, numRuns: 500 },
  )
})
