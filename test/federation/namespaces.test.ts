import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultLeafOptions, type LeafOptions, leafProblems } from '../../runtime/federation/leaf/leaf-options.ts'
import { controlRoot, mayOverlap, Namespaces } from '../../runtime/federation/leaf/namespaces.ts'

const options = (over: Partial<LeafOptions>): LeafOptions => ({
  ...defaultLeafOptions,
  url: 'ws://127.0.0.1:7330',
  namespaces: ['/site-a/**'],
  ...over,
})

describe('namespaces of a leaf', () => {
  it('match as the hub checks them: /a/** is what lies below /a, not /a itself', () => {
    const cases: [string, string, boolean][] = [
      ['/a/**', '/a', false],
      ['/a/**', '/a/', true],
      ['/a/**', '/a/b', true],
      ['/a/**', '/a/b/c', true],
      ['/a/**', '/ab', false],
      ['/a/*', '/a/b', true],
      ['/a/*', '/a/b/c', false],
      ['/a', '/a', true],
      ['/a', '/a/b', false],
      ['/**', '/x', true],
    ]
    for (const [pattern, address, expected] of cases)
      assert.equal(new Namespaces([pattern]).matches(address), expected, `${pattern} ${address}`)
  })

  it('give the place of the leaf’s own records from the first open one', () => {
    assert.equal(controlRoot(['/site-a', '/site-a/**']), '/site-a')
    assert.equal(controlRoot(['/b/c/**', '/a/**']), '/b/c')
    assert.equal(controlRoot(['/b/*/**']), '/b')
    assert.equal(controlRoot(['/**']), '')
    assert.equal(controlRoot(['/site-a']), undefined)
  })

  it('overlap where an address could be in both', () => {
    assert.equal(mayOverlap('/a/**', '/a/b'), true)
    assert.equal(mayOverlap('/a/**', '/b/**'), false)
    assert.equal(mayOverlap('/a/*/c', '/a/b/**'), true)
    assert.equal(mayOverlap('/a', '/a/**'), true)
    assert.equal(mayOverlap('/a', '/a/b'), false)
    assert.equal(mayOverlap('/**', '/x/y'), true)
  })

  it('are refused in words when a hub would misread them', () => {
    assert.deepEqual(leafProblems(options({})), [])
    const wrong: [Partial<LeafOptions>, RegExp][] = [
      [{ namespaces: [] }, /name at least one/],
      [{ namespaces: ['/**'] }, /every address of the hub/],
      [{ namespaces: ['/site-a'] }, /one must end in \/\*\*/],
      [{ namespaces: ['/a?/**'] }, /'\?' is a wildcard/],
      [{ namespaces: ['/{a,b}/**'] }, /'\{' is a wildcard/],
      [{ namespaces: ['/a/**/b', '/a/**'] }, /may only stand at the end/],
      [{ namespaces: ['/a*/**'] }, /whole segment/],
      [{ namespaces: ['site/**'] }, /must start with/],
      [{ writeRemote: ['/site-a/x'] }, /overlaps the own namespace/],
      [{ subscribe: ['x'] }, /subscribe: x/],
      [{ routerId: 'a b' }, /routerId/],
      [{ token: 'a', tokenFile: 'b' }, /leave one of them out/],
    ]
    for (const [over, expected] of wrong) {
      const problems = leafProblems(options(over))
      assert.ok(
        problems.some((problem) => expected.test(problem)),
        `${JSON.stringify(over)}: ${problems.join('; ')}`,
      )
    }
    assert.deepEqual(leafProblems(options({ namespaces: ['/**'], allowRoot: true })), [])
  })
})
