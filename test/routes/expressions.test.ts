import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { Expression } from '../../runtime/routes/expression/expression.ts'
import type { Dialect } from '../../runtime/routes/expression/parser.ts'
import { ExpressionError } from '../../runtime/routes/expression/tokens.ts'
import type { Moment } from '../../runtime/routes/step.ts'
import { array, bool, float, int, RuleScene, text } from './rule-scene.ts'

const moment = (input: Value): Moment => ({
  address: '/in/ch7',
  captures: ['/in/ch7', 'ch7', '7'],
  input,
  nowMs: 0,
  wallUs: 1_500_000,
  boolIsNumber: false,
  wake() {},
})

/** The result, or undefined where there is none. */
function run(source: string, value: Value, dialect: Dialect): Value | undefined {
  const expression = Expression.compile(source, dialect, 'transform')
  const memory = { index: 0, previous: undefined, atMs: 0 }
  return expression.result(expression.evaluate(value, moment(value), memory))
}

type Vector = readonly [source: string, value: Value, result: Value | undefined]

/** As evalexpr 11.3.1 calculates: bridges.md §18.7. */
const EVALEXPR: readonly Vector[] = [
  ['value * 2', int(3), float(6)],
  ['x + 1', float(0.5), float(1.5)],
  ['2^3^2', float(0), float(64)],
  ['-2^2', float(0), float(-4)],
  ['2^3', float(0), float(8)],
  ['1/2', float(0), int(0)],
  ['7/2', float(0), int(3)],
  ['-7/2', float(0), int(-3)],
  ['1/0', float(0), undefined],
  ['1.0/0', float(0), undefined],
  ['9223372036854775807 + 1', float(0), undefined],
  ['value/2', int(3), float(1.5)],
  ['0x1F', float(0), int(31)],
  ['1e3', float(0), float(1000)],
  ['value == 1', float(1), bool(false)],
  ['value == 1.0', float(1), bool(true)],
  ['1 == 1.0', float(0), bool(false)],
  ['1 < 1.5 && 2 >= 2', float(0), bool(true)],
  ['1<2<3', float(0), undefined],
  ['true || 1/0 == 1', float(0), undefined],
  ['1 && true', float(0), undefined],
  ['"a" + "b"', float(0), text('ab')],
  ['"a" + 1', float(0), undefined],
  ['"a" + str::from(5.0)', float(0), text('a5')],
  ['x = 5', float(1), undefined],
  ['x = 5.0; x + value', float(1), float(6)],
  ['a = 2; a += 3; a', float(1), int(5)],
  ['a = 2;', float(1), undefined],
  ['1, 2', float(1), undefined],
  ['min(1, 2.5)', float(0), int(1)],
  ['max(1, 2.5)', float(0), float(2.5)],
  ['floor(2.7)', float(0), float(2)],
  ['round(-2.5)', float(0), float(-3)],
  ['floor 2.7', float(0), float(2)],
  ['if(value > 1, "high", "low")', float(2), text('high')],
  ['if(true, 1, 1/0)', float(0), undefined],
  ['contains((1, 2, 3), 2)', float(0), bool(true)],
  ['contains_any((1, 2), (5, 2))', float(0), bool(true)],
  ['typeof(1) + typeof(1.0) + typeof(true) + typeof("") + typeof((1,2))', float(0), text('intfloatbooleanstringtuple')],
  ['len("äb")', float(0), int(3)],
  ['math::log(8, 2)', float(0), float(Math.log(8) / Math.log(2))],
  ['math::abs(-3)', float(0), int(3)],
  ['math::is_nan(math::sqrt(-1.0))', float(0), bool(true)],
  ['str::substring("abcdef", 1, 3) + str::to_uppercase(str::trim(" x "))', float(0), text('bcX')],
  ['bitand(12, 10) + shl(1, 4)', float(0), int(24)],
  ['bitand(value, 10)', float(12), undefined],
  ['PI > 3 && E < 3', float(0), bool(true)],
  ['value', text('words'), undefined],
]

/** What differs where nothing is said of a dialect. */
const EDGE: readonly Vector[] = [
  ['2^3^2', float(0), float(512)],
  ['1/2', float(0), float(0.5)],
  ['value == 1', float(1), bool(true)],
  ['if(true, 1, 1/0)', float(0), int(1)],
  ['true || 1/0 == 1', float(0), bool(true)],
  ['value > 1 ? 10 : value > 0 ? 5 : 0', float(0.5), int(5)],
  ['sin(PI / 2) + abs(-2) + pow(2, 3)', float(0), float(11)],
  ['clamp(value, 0, 1)', float(7), float(1)],
  ['bitand(value, 10)', float(12), int(8)],
  ['$2 * 2', float(0), int(14)],
  ['addr', float(0), text('/in/ch7')],
  ['time', float(0), float(1.5)],
  ['$arg[1] + $arg[0]', array(float(1), float(2)), float(3)],
  ['$arg[5]', array(float(1)), undefined],
  ['value + "!"', text('hey'), text('hey!')],
  ['!value', bool(true), bool(false)],
  ['value, value * 2', float(1), array(float(1), float(2))],
  ['1.0/0', float(0), undefined],
]

test('an upstream expression has the results that it has upstream', () => {
  for (const [source, value, result] of EVALEXPR) assert.deepEqual(run(source, value, 'evalexpr'), result, source)
})

test('without a dialect an expression calculates as people expect', () => {
  for (const [source, value, result] of EDGE) assert.deepEqual(run(source, value, 'edge'), result, source)
})

test('what upstream does not know is refused in its dialect', () => {
  for (const source of ['sin(1.0)', 'abs(1)', 'random()', '1 ? 2 : 3', 'index', 'clamp(1, 2, 3)']) {
    assert.throws(() => Expression.compile(source, 'evalexpr', 'transform'), ExpressionError, source)
  }
  assert.throws(() => Expression.compile('x', 'evalexpr', 'condition'), ExpressionError)
})

test('an expression remembers its address: how many values there were, the last result, the time since', () => {
  const scene = RuleScene.transform({ type: 'expression', expr: 'prev + index * 10 + dt * 1000' })
  assert.deepEqual(scene.run(float(1)), float(1))
  scene.clock.advance(2)
  assert.deepEqual(scene.run(float(1)), float(13))
  assert.deepEqual(scene.run(float(5), '/in/b'), float(5))
})

test('what is wrong with an expression is said with its place and what is near', () => {
  const problem = (source: string) => {
    try {
      Expression.compile(source, 'edge', 'transform')
    } catch (error) {
      return `${(error as ExpressionError).at}: ${(error as Error).message}`
    }
    return assert.fail(`${source} was accepted`)
  }
  assert.equal(problem('1 + vlaue'), '4: there is no name vlaue: did you mean value?')
  assert.equal(problem('flor(1)'), '0: there is no function flor: did you mean floor?')
  assert.match(problem('(1 + 2'), /^6: expected \)/)
  assert.match(problem('1 +'), /something is missing/)
  assert.match(problem('"abc'), /no end/)
  assert.match(problem('1 # 2'), /^2: # means nothing/)
  assert.match(problem('min()'), /takes/)
  assert.match(problem(`${'('.repeat(65)}1${')'.repeat(65)}`), /deeper than 64/)
  assert.match(problem(`1${' + 1'.repeat(300)}`), /longer than 1024/)
})

test('an expression that grows beyond its limit has no result', () => {
  const doubled = `s = "abcdefgh"; ${'s += s; '.repeat(60)}str::from(s)`
  assert.equal(run(doubled, float(0), 'edge'), undefined)
  assert.deepEqual(run('t = (1, 2); u = (1, 2); t = (t, t); u = (u, u); t == u', float(0), 'edge'), bool(true))
  const nested = `t = (1, 2); u = (1, 2); ${'t = (t, t); u = (u, u); '.repeat(30)}t == u`
  assert.equal(run(nested, float(0), 'edge'), undefined)
})

test('whatever the text is, it is refused as an expression or calculates without a crash', () => {
  const words = [
    'value',
    'x',
    '1',
    '2.5',
    '(',
    ')',
    '+',
    '-',
    '*',
    '/',
    '^',
    '%',
    '&&',
    '!',
    '==',
    ',',
    ';',
    '=',
    '?',
    ':',
  ]
  const more = ['min', 'if', 'math::ln', '"a"', '$arg[', ']', 'a', '+=', 'true', '1e308', 'str::from', 'shl']
  const texts = fc.oneof(
    fc.array(fc.constantFrom(...words, ...more), { maxLength: 24 }).map((parts) => parts.join(' ')),
    fc.string({ maxLength: 60 }),
  )
  const values = fc.oneof(fc.double().map(float), fc.string().map(text), fc.boolean().map(bool))
  let accepted = 0
  fc.assert(
    fc.property(texts, values, fc.constantFrom('edge' as const, 'evalexpr' as const), (source, value, dialect) => {
      let result: Value | undefined
      try {
        result = run(source, value, dialect)
        accepted++
      } catch (error) {
        assert.ok(error instanceof ExpressionError, String((error as Error).stack))
      }
      if (result?.type === 'f64') assert.ok(Number.isFinite(result.value))
    }),
    { numRuns: 1500, seed: 7 },
  )
  assert.ok(accepted > 25, `only ${accepted} were expressions`)
})
