import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { showBytes, showCount, showTime } from '../../runtime/cli/amounts.ts'
import { bundleArgument, bundleJson, bundleTime } from '../../runtime/cli/bundle-input.ts'
import { defineCommand, UsageError } from '../../runtime/cli/command.ts'
import { jsonLine, valueJson } from '../../runtime/cli/json-line.ts'
import { parseArguments } from '../../runtime/cli/parse-arguments.ts'
import { printable } from '../../runtime/cli/terminal.ts'
import { guessValue } from '../../runtime/cli/value-input.ts'

const i64 = (value: number | bigint): Value => ({ type: 'i64', value })
const f64 = (value: number): Value => ({ type: 'f64', value })
const string = (value: string): Value => ({ type: 'string', value })

const command = defineCommand({
  usage: 'A…',
  args: [0, 3],
  details: '',
  options: {
    url: { type: 'string', short: 'u', help: '' },
    int: { type: 'boolean', help: '' },
    tag: { type: 'string', multiple: true, help: '' },
  },
  examples: [],
  run: async () => 0,
})

test('options may stand anywhere, negative numbers are arguments, -- ends the options', () => {
  const { values, args } = parseArguments(command, [
    '-5',
    '--url=x',
    '-.5',
    '--int',
    '--tag',
    '-1',
    '--tag',
    'b',
    '-1e3',
  ])
  assert.deepEqual(args, ['-5', '-.5', '-1e3'])
  assert.deepEqual({ ...values }, { url: 'x', int: true, tag: ['-1', 'b'] })
  assert.deepEqual(parseArguments(command, ['--', '--int', '-u']).args, ['--int', '-u'])
  assert.deepEqual(parseArguments(command, ['-ux']).values.url, 'x')
  assert.equal(parseArguments(command, ['--help', '1', '2', '3', '4']).values.help, true)
})

test('unknown options, missing values and surplus arguments are usage errors', () => {
  for (const [args, text] of [
    [['--ulr', 'x'], 'did you mean --url?'],
    [['--url', '--int'], '--url needs a value'],
    [['--int=1'], 'takes no value'],
    [['1', '2', '3', '-4'], '"-4" is too much'],
  ] as const) {
    assert.throws(
      () => parseArguments(command, args),
      (error: unknown) => error instanceof UsageError && error.message.includes(text),
      text,
    )
  }
})

test('values are taken for what they look like', () => {
  const cases: [string, Value][] = [
    ['5', i64(5)],
    ['-5', i64(-5)],
    ['+5', i64(5)],
    ['9007199254740993', i64(9007199254740993n)],
    ['5.0', f64(5)],
    ['-.5', f64(-0.5)],
    ['1e3', f64(1000)],
    ['true', { type: 'bool', value: true }],
    ['null', { type: 'null' }],
    ['True', string('True')],
    ['', string('')],
    ['0x10', string('0x10')],
    ['1.2.3.4', string('1.2.3.4')],
    ['"5"', string('5')],
    ['[1,2.5]', { type: 'array', value: [i64(1), f64(2.5)] }],
    ['{"a":null}', { type: 'map', value: [['a', { type: 'null' }]] }],
  ]
  for (const [text, value] of cases) assert.deepEqual(guessValue(text), value, text)
  assert.throws(() => guessValue('{a'), UsageError)
  assert.throws(() => guessValue('99999999999999999999'), UsageError)
})

test('parts of bundles are read from arguments and from JSON', () => {
  assert.deepEqual(bundleArgument('set:/a=1'), { type: 'SET', address: '/a', value: i64(1) })
  assert.deepEqual(bundleArgument('emit:/a'), {
    type: 'PUBLISH',
    address: '/a',
    signal: 'event',
    value: { type: 'null' },
  })
  assert.deepEqual(bundleArgument('stream:/a=x=\ny'), {
    type: 'PUBLISH',
    address: '/a',
    signal: 'stream',
    value: string('x=\ny'),
  })
  for (const bad of ['/a=1', 'set:/a', 'set:a=1', 'set:=1', 'SET:/a=1', 'set:/a/*=1']) {
    assert.throws(() => bundleArgument(bad), UsageError, bad)
  }
  assert.deepEqual(bundleJson('[{"set":["/a",1]},{"emit":["/b"]}]').length, 2)
  for (const bad of [
    '',
    '{}',
    '[1]',
    '[{}]',
    '[{"set":"/a"}]',
    '[{"set":["/a",1],"emit":["/b"]}]',
    '[{"get":["/a"]}]',
  ]) {
    assert.throws(() => bundleJson(bad), UsageError, bad)
  }
})

test('times of bundles are relative, dates or microseconds', () => {
  const ahead = bundleTime('+200ms') - Date.now() * 1000
  assert.ok(ahead > 150_000 && ahead < 250_000, String(ahead))
  assert.equal(bundleTime('2030-01-01T00:00:00Z'), 1_893_456_000_000_000)
  assert.equal(bundleTime('1893456000000000'), 1_893_456_000_000_000)
  for (const bad of ['200ms', '+', '+x', 'noon', '12:00', '5']) assert.throws(() => bundleTime(bad), UsageError, bad)
})

test('JSON lines keep 64-bit integers and leave out what is not there', () => {
  const line = jsonLine(
    { address: '/a', revision: 2n ** 60n, writer: undefined },
    { value: i64(2n ** 62n), none: undefined },
  )
  assert.equal(line, '{"address":"/a","revision":1152921504606846976,"value":4611686018427387904}')
  assert.equal(valueJson(f64(Number.NaN)), 'null')
  assert.equal(valueJson({ type: 'bytes', value: Uint8Array.of(0, 255) }), '"00ff"')
  assert.equal(valueJson({ type: 'map', value: [['"', { type: 'array', value: [string('\n')] }]] }), '{"\\"":["\\n"]}')
})

test('text from peers cannot drive the terminal', () => {
  assert.equal(printable('a\u001b[2J\n\u009bb\u2028é'), 'a\\u001b[2J\\u000a\\u009bb\\u2028é')
})

test('amounts are shown for people', () => {
  assert.deepEqual(
    [showTime(950), showTime(59_999), showTime(61_000), showTime(3_660_000), showTime(90_000_000)],
    ['950 ms', '59 s', '1 min 1 s', '1 h 1 min', '1 d 1 h'],
  )
  assert.deepEqual(
    [showBytes(512), showBytes(1536), showBytes(5_242_880), showBytes(3_221_225_472)],
    ['512 B', '1.5 kB', '5.0 MB', '3.0 GB'],
  )
  assert.deepEqual([showCount(1234567), showCount(1.25), showCount(123.4)], ['1,234,567', '1.3', '123'])
})
