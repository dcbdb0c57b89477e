import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { configJsonSchema } from '../../runtime/config/json-schema.ts'
import { parseConfig } from '../../runtime/config/load.ts'

async function problemsOf(yaml: string): Promise<string> {
  return parseConfig(yaml, 'c.yaml').then(
    () => assert.fail('the configuration was accepted'),
    (reason: Error) => reason.message,
  )
}

const of = (rule: string) => problemsOf(`routes:\n  - ${rule}\n`)

test('what is wrong with a rule is said with its place, what was expected and what is near', async () => {
  assert.match(
    await of('{match: /a, to: /b, transfrom: invert}'),
    /c.yaml:2:25: unknown key "transfrom".*did you mean "transform"/,
  )
  assert.match(await of('{match: /a}'), /c.yaml:2:5: routes\[0\]: to is missing/)
  assert.match(await of('{to: /a}'), /match is missing/)
  assert.match(await of('{match: a, to: /b}'), /c.yaml:2:13: routes\[0\]\.match: .*expected a pattern/)
  assert.match(await of('{match: /a/*, to: /b/$2}'), /there is no wildcard number 2/)
  assert.match(await of('{match: /a, to: /b, signal: evnt}'), /did you mean "event"/)
  assert.match(await of('{match: /a, to: /b, ttl: 5}'), /expected never, sliding:60s/)
  assert.match(await of('just text'), /this is no rule/)
  assert.match(await of('{join: [/x], to: /b}'), /cannot be joined/)
  assert.match(await of('{match: /a, to: /b, direction: out}'), /swap match and to/)
  assert.match(await problemsOf('routes: 5\n'), /not a list/)
})

test('what is wrong with a transform is said where it is', async () => {
  const transform = (text: string) => of(`{match: /a, to: /b, transform: [invert, ${text}]}`)
  assert.match(
    await transform('{type: scal}'),
    /c.yaml:2:45: routes\[0\]\.transform\[1\]: there is no transform "scal": did you mean "scale"/,
  )
  assert.match(await transform('{type: clamp, min: 2, max: 1}'), /min 2 is above max 1/)
  assert.match(await transform('{type: clamp, min: .nan, max: 1}'), /expected a number/)
  assert.match(await transform('{type: scale, from_min: 0, from_max: 1, to_min: 0}'), /toMax is missing/)
  assert.match(await transform('{type: quantize, steps: 0}'), /expected a number above 0/)
  assert.match(await transform('{type: modulo, divisor: 0}'), /divisor is 0/)
  assert.match(await transform('{type: bitwise, operation: shift_left, operand: 64}'), /from 0 to 63/)
  assert.match(await transform('{type: moving_average, window: 0}'), /from 1/)
  assert.match(await transform('{type: json_path, path: "$.[?"}'), /no step of a path/)
  assert.match(await transform('{type: curve, curve_type: quad_inn}'), /there is no curve "quad_inn"/)
  assert.match(await transform('{type: unit, from: Cel, to: Pa}'), /Cel cannot become Pa/)
  assert.match(
    await transform('{type: expression, expr: "vlaue + 1"}'),
    /c.yaml:2:70: .*no name vlaue: did you mean value/,
  )
  assert.match(await transform('{type: wasm, module_id: a}'), /wasm is not available.*use an expression/)
  assert.match(await transform('{type: javascript, code: a}'), /javascript is not available/)
  assert.match(await transform('{type: conditional, condition: {type: nott}, if_true: invert}'), /did you mean "not"/)
  const waiting = '{type: conditional, condition: {type: less_than, value: 1}, if_true: {type: debounce, ms: 5}}'
  assert.match(await transform(waiting), /transforms that wait cannot be inside others/)
})

test('the example for people is in order', async () => {
  const text = await readFile('runtime/bridges/README.md', 'utf8')
  const [, example] = /```yaml\n([\s\S]*?)```/.exec(text) ?? []
  const { bridges, routes } = await parseConfig(example, 'README.md')
  assert.deepEqual([bridges.length, routes.length], [11, 1])
})

test('one setting may stand for itself, and where it cannot, that is said', async () => {
  const fine = `routes:
  - match: /a
    to: /b
    when: {or: [{greater_than: 0.5}, value < -1]}
    transform: [{smooth: 0.5}, {curve: quadIn}, {curve: {bezier: {x1: 0, y1: 0, x2: 1, y2: 1}}}, average,
      {expression: value * 2}, {throttle: 10}, {scale: {fromMax: 127, toMax: 255}}, {invert: }, {max: {windowMs: 500}}]
`
  assert.equal((await parseConfig(fine, 'c.yaml')).routes.length, 1)
  const transform = (text: string) => of(`{match: /a, to: /b, transform: [${text}]}`)
  assert.match(await transform('{clamp: 5}'), /c.yaml:2:45: routes\[0\].*clamp: 5 is not allowed: expected settings/)
  assert.match(await transform('{curve: quad_inn}'), /there is no curve "quad_inn": did you mean "quad_in"/)
  assert.match(await transform('5'), /c.yaml:2:37: .*5 is no transform: expected its name/)
  assert.match(await transform('{expression: "value +* 2"}'), /c.yaml:2:50: .*not expected here \(character 8/)
})

test('what is wrong with a condition is said where it is', async () => {
  const when = (text: string) => of(`{match: /a, to: /b, when: ${text}}`)
  assert.match(await when('"value >"'), /c.yaml:2:31: .*something is missing here \(character 8/)
  assert.match(await when('5'), /c.yaml:2:31: routes\[0\]\.when: 5 is no condition/)
  assert.match(await when('{graeter_than: 5}'), /did you mean "greater_than"/)
  assert.match(await when('{greater_than: high}'), /c.yaml:2:46: .*"high" is not allowed: expected a number/)
})

test('what would have no effect is refused', async () => {
  assert.match(await of('{match: "/mqtt/+/temp", to: /b}'), /c.yaml:2:13: .*\+ is no wildcard: use \* for a segment/)
  assert.match(await of('{match: "/mqtt/#", to: /b}'), /# is no wildcard/)
  assert.match(await of('{match: /a, to: /b, default: 1}'), /no effect: add onError: default/)
  assert.match(await of('{match: /a, to: /b, reverse: negate}'), /no effect: add direction: both/)
  assert.match(
    await of('{match: /a, to: /_clasp/name}'),
    /\/_clasp\/name: addresses below \/_clasp belong to the router/,
  )
})

test('a route that reads what it writes is refused', async () => {
  assert.match(await of('{match: /a/*, to: /a/$1}'), /c.yaml:2:5: .*writes to \/a\/\* matches what it reads/)
  assert.match(await of('{match: /a/**, to: /a/x/$1}'), /matches what it reads/)
  assert.match(await of('{match: "/**", to: /b}'), /matches what it reads/)
  assert.match(await of('{join: [/x, /y], to: /y}'), /matches what it reads/)
  assert.match(await of('{match: /a, fan: [/b, /a]}'), /matches what it reads/)
  const { routes } = await parseConfig('routes:\n  - {match: "/ch/{1-4}", to: /ch/5}\n', 'c.yaml')
  assert.equal(routes.length, 1)
})

test('the rules of a bridge are checked as those of routes, and may lead to where they come from', async () => {
  const client = 'kind: socket-io, mode: client, url: "http://there"'
  const bridge = (rule: string) => `bridges:\n  - {id: a, ${client}, map: [${rule}]}\n`
  const { bridges } = await parseConfig(bridge('{match: /io/a, to: /io/a, transform: invert}'), 'c.yaml')
  assert.deepEqual(bridges[0].map, [{ match: '/io/a', to: '/io/a', transform: 'invert' }])
  const message = await problemsOf(bridge('{match: /io/a, to: /io/b, transform: invrt}'))
  assert.match(message, /bridges\[0\]\.map\[0\]\.transform: .*did you mean "invert"/)
  const server = 'bridges: [{id: a, kind: socket-io, map: [{match: /io/a, to: /io/b}]}]\n'
  assert.match(await problemsOf(server), /rules below map have no effect here/)
})

test('editors learn the keys of rules, and those that they do not know are wrong', async () => {
  type Rule = { properties: Record<string, { description: string }>; additionalProperties: boolean }
  const schema = (await configJsonSchema()) as { properties: { routes: { items: { oneOf: Rule[] } } } }
  const [rule] = schema.properties.routes.items.oneOf
  assert.equal(rule.additionalProperties, false)
  for (const [key, { description }] of Object.entries(rule.properties)) assert.match(description, /\w.*\.$/, key)
  for (const key of ['match', 'to', 'transform', 'on_error']) assert.ok(key in rule.properties, key)
})
