import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { payloadFromValue, valueFromPayload } from '../../../runtime/bridges/mqtt/payload.ts'
import { filterProblem, matchesFilter } from '../../../runtime/bridges/mqtt/topic-filter.ts'
import { TopicRules } from '../../../runtime/bridges/mqtt/topic-rules.ts'

const read = (text: string, mode: Parameters<typeof valueFromPayload>[1] = 'auto', words = false) =>
  valueFromPayload(Buffer.from(text), mode, words)

test('a payload is JSON, else a number, else text', () => {
  const expected: [string, Value][] = [
    ['42', { type: 'i64', value: 42 }],
    [' 5.0 ', { type: 'f64', value: 5 }],
    ['true', { type: 'bool', value: true }],
    ['null', { type: 'null' }],
    ['"on"', { type: 'string', value: 'on' }],
    ['ON', { type: 'string', value: 'ON' }],
    ['', { type: 'string', value: '' }],
    ['007', { type: 'f64', value: 7 }],
    ['+5', { type: 'f64', value: 5 }],
    ['.5', { type: 'f64', value: 0.5 }],
    ['5.', { type: 'f64', value: 5 }],
    ['nan', { type: 'string', value: 'nan' }],
    ['{"a":[1]}', { type: 'map', value: [['a', { type: 'array', value: [{ type: 'i64', value: 1 }] }]] }],
    ['{"a":', { type: 'string', value: '{"a":' }],
  ]
  for (const [payload, value] of expected) assert.deepEqual(read(payload), value, payload)
  assert.deepEqual(read('-inf', 'auto', true), { type: 'f64', value: Number.NEGATIVE_INFINITY })
  assert.deepEqual(valueFromPayload(Buffer.from([0xff, 0xfe]), 'auto', false), {
    type: 'bytes',
    value: Uint8Array.of(0xff, 0xfe),
  })
  assert.deepEqual(read('42', 'raw'), { type: 'string', value: '42' })
  assert.deepEqual(read('42', 'bytes'), { type: 'bytes', value: Uint8Array.of(0x34, 0x32) })
  assert.equal(read('ON', 'json'), undefined)
})

test('values are sent as plain text, containers as JSON', () => {
  const expected: [Value, string][] = [
    [{ type: 'f64', value: 5 }, '5'],
    [{ type: 'f64', value: 1e21 }, '1000000000000000000000'],
    [{ type: 'f64', value: Number.NaN }, 'NaN'],
    [{ type: 'f64', value: Number.NEGATIVE_INFINITY }, '-inf'],
    [{ type: 'string', value: 'a "b"' }, 'a "b"'],
    [{ type: 'null' }, 'null'],
    [{ type: 'bytes', value: Uint8Array.of(104, 105) }, 'hi'],
    [
      {
        type: 'array',
        value: [
          { type: 'f64', value: Number.NaN },
          { type: 'string', value: 'x' },
        ],
      },
      '[null,"x"]',
    ],
  ]
  for (const [value, text] of expected) assert.equal(payloadFromValue(value, false).toString(), text)
  assert.equal(payloadFromValue({ type: 'string', value: '42' }, true).toString(), '"42"')
})

test('filters match as the standard says', () => {
  // MQTT 5.0 §4.7.1, §4.7.2.
  const yes = [
    ['sport/tennis/player1/#', 'sport/tennis/player1'],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon'],
    ['sport/#', 'sport'],
    ['#', 'a/b'],
    ['sport/tennis/+', 'sport/tennis/player1'],
    ['sport/+', 'sport/'],
    ['+/+', '/finance'],
    ['/+', '/finance'],
    ['$SYS/#', '$SYS/monitor/Clients'],
  ]
  const no = [
    ['sport/tennis/+', 'sport/tennis/player1/ranking'],
    ['sport/+', 'sport'],
    ['+', '/finance'],
    ['#', '$SYS/monitor'],
    ['+/monitor/Clients', '$SYS/monitor/Clients'],
  ]
  for (const [filter, topic] of yes) assert.ok(matchesFilter(filter, topic), `${filter} ${topic}`)
  for (const [filter, topic] of no) assert.ok(!matchesFilter(filter, topic), `${filter} ${topic}`)
  for (const filter of [
    'sport/tennis#',
    'sport/#/ranking',
    'sport+',
    '',
    'a\u0000',
    '$share/g',
    '$share//x',
    '$share/+/x',
  ]) {
    assert.notEqual(filterProblem(filter), undefined, filter)
  }
  for (const filter of ['#', '+', '/', '+/tennis/#', '$share/g/#'])
    assert.equal(filterProblem(filter), undefined, filter)
})

test('the first rule of a topic counts', () => {
  const rules = new TopicRules('/mqtt', {
    signalMode: 'retain',
    payload: 'auto',
    topicRules: [
      { topic: '+/press', signal: 'event', payload: 'raw' },
      { topic: 'a/#', signal: 'param' },
    ],
  })
  const signal = (topic: string, isRetained: boolean, named?: string) => {
    const route = rules.route(topic)
    return route === undefined ? undefined : rules.signal(route, isRetained, named)
  }
  assert.equal(signal('a/press', true), 'event')
  assert.equal(signal('a/other', false), 'param')
  assert.equal(signal('b/c', false), 'event')
  assert.equal(signal('b/c', true), 'param')
  assert.equal(signal('b/c', true, 'stream'), 'stream')
  assert.equal(rules.route('x/'.repeat(40)), undefined)
  assert.equal(rules.route('/a*/')?.address, '/mqtt/%-/a%2A/%-')
})

test('a number alone is read as one within JSON', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 24 })
  const tail = fc.oneof(
    fc.constant(''),
    digits.map((some) => `.${some}`),
    fc.integer({ min: -400, max: 400 }).map((n) => `e${n}`),
  )
  fc.assert(
    fc.property(fc.constantFrom('', '-'), digits, tail, (sign, whole, rest) => {
      const text = sign + whole.replace(/^0+(?=.)/, '') + rest
      const list = read(`[${text}]`, 'json')
      assert.deepEqual(read(text, 'json'), list?.type === 'array' ? list.value[0] : undefined)
    }),
    {
      seed: 2,
      numRuns: 500,
      examples: [
        ['-', '0', ''],
        ['', '9223372036854775808', ''],
        ['', '1', 'e400'],
      ],
    },
  )
})

test('what was read from any text is sent so that it is read as the same again', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const value = read(text)
      if (value === undefined || value.type === 'string') return
      const again = valueFromPayload(payloadFromValue(value, true), 'auto', false)
      // 5.0 is sent as 5.
      assert.equal(
        JSON.stringify(JSON.parse(payloadFromValue(again ?? { type: 'null' }, true).toString())),
        JSON.stringify(JSON.parse(payloadFromValue(value, true).toString())),
      )
    }),
    { seed: 1, numRuns: 200 },
  )
})
