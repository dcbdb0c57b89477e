import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressMatch } from '../../runtime/routes/address-match.ts'
import { AddressTemplate } from '../../runtime/routes/address-template.ts'
import { patternsOverlap } from '../../runtime/routes/pattern-overlap.ts'
import { array, bool, float, int, RuleScene, text } from './rule-scene.ts'

/** Where `match` and `to` lead an address; undefined: nowhere. */
function lead(match: string, to: string, address: string): string | undefined {
  const scene = new RuleScene([{ match, to }])
  scene.pass(address, int(1))
  return scene.addresses[0]
}

test('wildcards capture segments, parts of them, and any number of them; the match is anchored at both ends', () => {
  assert.equal(lead('/osc/1/fader*', '/mix/ch/$1/level', '/osc/1/fader12'), '/mix/ch/12/level')
  assert.equal(lead('/midi/*/cc/*', '/synth/*/p/*', '/midi/launchpad/cc/74'), '/synth/launchpad/p/74')
  assert.equal(lead('/midi/*/cc/*', '/synth/*/p/*', '/x/midi/a/cc/7'), undefined)
  assert.equal(lead('/midi/*/cc/*', '/synth/*/p/*', '/midi/a/cc/7/x'), undefined)
  assert.equal(lead('/a/**/z', '/b/$1/y', '/a/1/2/z'), '/b/1/2/y')
  assert.equal(lead('/a/**/z', '/b/$1/y', '/a/z'), '/b/y')
  assert.equal(lead('/a/**', '/b/**', '/a'), '/b')
  assert.equal(lead('/a/**', '/copy$0', '/a/x'), '/copy/a/x')
  assert.equal(lead('/ch/{1-8}', '/out/$1', '/ch/8'), '/out/8')
  assert.equal(lead('/ch/{1-8}', '/out/$1', '/ch/9'), undefined)
  assert.equal(lead('/ch/{1-8}', '/out/$1', '/ch/08'), undefined)
  assert.equal(lead('/{red,blue}/x', '/$1', '/blue/x'), '/blue')
  assert.equal(lead('/{red,blue}/x', '/$1', '/green/x'), undefined)
  assert.equal(lead('/a.b/*', '/$1', '/aXb/c'), undefined)
  assert.equal(lead('/a/*', '/b/$1', '/a/'), undefined)
})

test('an address that nearly matches many wildcards is answered at once', () => {
  const match = AddressMatch.parse('/x/*a*a*a*a*a*a*a*a*b')
  assert.ok(match instanceof AddressMatch)
  const startedAt = performance.now()
  assert.equal(match.capturesOf(`/x/${'a'.repeat(1000)}`), null)
  assert.ok(match.capturesOf(`/x/${'a'.repeat(1000)}b`))
  assert.ok(performance.now() - startedAt < 2000)
})

test('what no pattern or address can be is refused', () => {
  for (const wrong of ['', 'a', '/a//b', '/a**', '/{1-', '/{8-1}', '/{}', '/{a/b}', '/*/*/*/*/*/*/*/*/*/*']) {
    assert.equal(typeof AddressMatch.parse(wrong), 'string', wrong)
  }
  for (const wrong of ['', 'a', '/$3', '/*/*/*', '/$1/*', '/a//b']) {
    assert.equal(typeof AddressTemplate.parse(wrong, 2), 'string', wrong)
  }
})

test('patterns overlap when an address can match both', () => {
  for (const [a, b, expected] of [
    ['/a/*', '/a/b', true],
    ['/a/*', '/b/*', false],
    ['/a/**', '/a/b/c', true],
    ['/**/z', '/a/*', true],
    ['/**/z', '/a/y', false],
    ['/a/x*', '/a/y*', false],
    ['/a/x*', '/a/*y', true],
    ['/**', '/', true],
    ['/a/*', '/a/b/c', false],
  ] as const) {
    assert.equal(patternsOverlap(a, b), expected, `${a} ${b}`)
    assert.equal(patternsOverlap(b, a), expected, `${b} ${a}`)
  }
})

test('the first rule that matches ends the list, unless it says otherwise', () => {
  const scene = new RuleScene([
    { match: '/a', to: '/1', stop: false },
    { match: '/a', to: '/2', enabled: false },
    { match: '/*', to: '/3' },
    { match: '/a', to: '/4' },
  ])
  assert.equal(scene.pass('/a', int(1)), true)
  assert.deepEqual(scene.addresses, ['/1', '/3'])
  assert.equal(scene.pass('/b/c', int(1)), false)
})

test('a rule whose condition does not hold leaves the value to the next; nobody else gets it', () => {
  const scene = new RuleScene([
    { match: '/a', to: '/high', when: 'value > 0.5' },
    { match: '/a', to: '/low', when: 'value < 0.2' },
  ])
  for (const number of [0.9, 0.1, 0.3]) assert.equal(scene.pass('/a', float(number)), true)
  assert.deepEqual(scene.addresses, ['/high', '/low'])
})

test('a rule in both directions leads back by the inverse of its steps', () => {
  const rule = {
    direction: 'both',
    match: '/osc/{1-4}/fader*',
    to: '/mix/$2/ch/$1',
    transform: [
      { type: 'scale', from_min: 0, from_max: 1, to_min: 0, to_max: 127 },
      { type: 'invert', min: 0, max: 127 },
    ],
  }
  const there = new RuleScene([rule], 'in')
  there.pass('/osc/2/fader7', float(0.25))
  assert.deepEqual([there.addresses, there.values], [['/mix/7/ch/2'], [float(95.25)]])
  const back = new RuleScene([rule], 'out')
  back.pass('/mix/7/ch/2', float(95.25))
  assert.deepEqual([back.addresses, back.values], [['/osc/2/fader7'], [float(0.25)]])
  assert.equal(back.pass('/mix/7/ch/5', float(1)), false)
  assert.equal(new RuleScene([rule], 'out').pass('/osc/2/fader7', float(1)), false)
})

test('the way back of a lookup knows what its keys were', () => {
  const lookup = { type: 'lookup', table: { off: 0, on: 1, 5: 'five', true: 'yes' } }
  const scene = new RuleScene([{ direction: 'both', match: '/a', to: '/b', transform: lookup }], 'out')
  for (const value of [int(1), text('five'), text('yes')]) scene.pass('/b', value)
  assert.deepEqual(scene.values, [text('on'), int(5), bool(true)])
})

test('a rule has no way back without inverses or with a wildcard that is lost', () => {
  const refused = (rule: object, words: RegExp) =>
    assert.throws(() => new RuleScene([{ direction: 'both', ...rule }]), words)
  refused({ match: '/a', to: '/b', transform: ['invert', 'abs'] }, /step 2 has no inverse.*add reverse/)
  refused({ match: '/a/*', to: '/b' }, /no way back/)
  refused({ match: '/a/*', to: '/b/$1/$1' }, /no way back/)
  refused({ match: '/a', to: '/b', transform: { type: 'curve', curve_type: 'bounce_out' } }, /no inverse/)
  refused({ match: '/a', to: '/b', transform: { type: 'lookup', table: { a: 1, b: 1 } } }, /no inverse/)
  const scene = new RuleScene(
    [{ direction: 'both', match: '/a', to: '/b', transform: 'abs', reverse: 'negate' }],
    'out',
  )
  scene.pass('/b', int(2))
  assert.deepEqual(scene.values, [float(-2)])
})

test('a value without a result passes unchanged, is dropped, or is replaced', () => {
  const transform = { type: 'power', exponent: 0.5 }
  const of = (more: object) => RuleScene.transform(transform, more).run(float(-1))
  assert.deepEqual(of({}), float(-1))
  assert.equal(of({ on_error: 'drop' }), undefined)
  assert.deepEqual(of({ onError: 'default', default: 0 }), int(0))
})

test('a rule passes on so many values a second and so small changes as it says, for each address', () => {
  const scene = new RuleScene([{ match: '/in/*', to: '/out/$1', rate: 10, deadband: 1 }])
  for (let i = 0; i < 20; i++) {
    scene.pass('/in/a', float(i / 4))
    scene.clock.advance(10)
  }
  scene.pass('/in/b', float(0))
  scene.clock.advance(1000)
  assert.deepEqual(
    scene.results.map(({ address, value }) => [address, (value as { value: number }).value]),
    [
      ['/out/a', 0],
      ['/out/a', 2],
      ['/out/a', 4],
      ['/out/b', 0],
    ],
  )
})

test('signals can be changed; a param becomes an event only when it changes', () => {
  const scene = new RuleScene([{ match: '/in/*', to: '/out/$1', signal: 'event' }])
  scene.pass('/in/a', int(1), 'param', { isInitial: true })
  for (const number of [1, 2, 2, 3]) scene.pass('/in/a', int(number))
  assert.deepEqual(scene.values, [int(2), int(3)])
  assert.ok(scene.results.every(({ signal }) => signal === 'event'))
})

test('an Array goes to several addresses, and several addresses make one', () => {
  const fan = new RuleScene([{ match: '/xy/*', fan: ['/x/$1', '/y/$1'] }])
  fan.pass('/xy/a', array(int(1), int(2), int(3)))
  fan.pass('/xy/a', int(1))
  assert.deepEqual(
    [fan.addresses, fan.values],
    [
      ['/x/a', '/y/a'],
      [int(1), int(2)],
    ],
  )
  const join = new RuleScene([{ join: ['/x', '/y'], to: '/xy', waitMs: 20 }])
  join.pass('/x', int(1))
  join.clock.advance(100)
  assert.deepEqual(join.values, [])
  join.pass('/y', int(2))
  join.pass('/x', int(3))
  join.clock.advance(19)
  assert.equal(join.values.length, 1)
  join.clock.advance(1)
  assert.deepEqual(join.values, [array(int(1), int(2)), array(int(3), int(2))])
})

test('an aggregate goes over the newest values of all addresses that lead to one', () => {
  const aggregate = { type: 'average', match: '/sensors/*/*/temp', to: '/sensors/mean/$1/temp', stale_ms: 1000 }
  const scene = new RuleScene([{ aggregate }])
  scene.pass('/sensors/roof/1/temp', float(10))
  scene.pass('/sensors/roof/2/temp', float(20))
  scene.pass('/sensors/cellar/1/temp', float(5))
  assert.equal(scene.pass('/sensors/mean/roof/temp', float(99)), false)
  scene.clock.advance(1001)
  scene.pass('/sensors/roof/2/temp', float(22))
  assert.deepEqual(scene.values, [float(10), float(15), float(5), float(22)])
  assert.deepEqual(new Set(scene.addresses), new Set(['/sensors/mean/roof/temp', '/sensors/mean/cellar/temp']))
})

test('what a rule remembers of addresses is bounded, and what it held back is not lost by that', () => {
  const scene = new RuleScene([{ match: '/in/*', to: '/out/$1', transform: { type: 'debounce', ms: 1000 } }])
  for (let i = 0; i < 5000; i++) scene.pass(`/in/${i}`, int(i))
  assert.deepEqual(scene.addresses.length, 5000 - 4096)
  assert.equal(scene.clock.pendingTimers, 4096)
  scene.mapper.stop()
  assert.equal(scene.clock.pendingTimers, 0)
})

test('an address of somebody else cannot keep a match busy', () => {
  const startedMs = performance.now()
  for (const [match, address] of [
    ['/x{a,b}*{a,b}*{a,b}*{a,b}*{c,d}', `/x${'ab'.repeat(300)}`],
    ['/*a*a*a*a*a{1-8}', `/${'a'.repeat(600)}`],
  ]) {
    assert.equal(new RuleScene([{ match, to: '/out' }]).pass(address, float(1)), false)
  }
  assert.ok(performance.now() - startedMs < 5000)
})

test('a dead zone has no infinite result', () => {
  const scene = RuleScene.transform({ type: 'dead_zone', threshold: 0.1, rescale: true }, { onError: 'drop' })
  assert.equal(scene.run(float(Number.POSITIVE_INFINITY)), undefined)
  assert.deepEqual(scene.run(float(0.5)), float(0.4))
})
