import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configJsonSchema } from '../../runtime/config/json-schema.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { ConfigError } from '../../runtime/config/problem.ts'

async function problemsOf(yaml: string): Promise<string> {
  const error = await parseConfig(yaml, 'c.yaml').then(
    () => assert.fail('the configuration was accepted'),
    (reason) => reason,
  )
  assert.ok(error instanceof ConfigError, String(error))
  return error.message
}

test('a device gets the options of its kind, with their defaults', async () => {
  const { devices } = await parseConfig(
    'devices:\n  - {name: bell, kind: button, line: GPIO27, long: 600ms, signals: {value: {maxRate: 10}}}\n',
    'c.yaml',
  )
  const [bell] = devices
  assert.deepEqual([bell.name, bell.kind, bell.simulate], ['bell', 'button', undefined])
  assert.deepEqual(bell.options, {
    line: 'GPIO27',
    activeLow: false,
    bias: 'asis',
    debounce: 5,
    long: 600,
    repeat: 0,
    double: 0,
  })
  assert.equal(bell.signals.value.maxRate, 10)
})

test('what is wrong with a device is said with its place and what is near', async () => {
  const of = (device: string) => problemsOf(`devices:\n  - ${device}\n`)
  assert.match(
    await of('{name: a, kind: buton, line: A}'),
    /c.yaml:2:\d+: .*no kind of device "buton": did you mean "button"/,
  )
  assert.match(await of('{name: a, line: A}'), /kind is missing/)
  assert.match(await of('{name: a, kind: button}'), /line is missing/)
  assert.match(await of('{name: A b, kind: button, line: A}'), /"A b" is not a name/)
  assert.match(await of('{name: a, kind: relay, line: A, maxOnn: 5s}'), /unknown key "maxOnn".*did you mean "maxOn"/)
  assert.match(await of('{name: a, kind: relay, line: A, safe: of}'), /did you mean "off"/)
  assert.match(await of('{name: a, kind: relay, line: A, safe: on, maxOn: 5s}'), /contradict/)
  assert.match(await of('{name: a, kind: pwm, safe: 1.5}'), /expected a number from 0 to 1/)
  assert.match(await of('{name: a, kind: relay, line: A, address: /a/*}'), /wildcards/)
  assert.match(await of('just text'), /not a device/)
  assert.match(await of('{name: a, kind: bme280, chipAddress: 76}'), /did you mean 0x76\? expected 0x76, 0x77/)
  const mistaken = await of('{name: a, kind: bme280, address: 0x76}')
  assert.match(mistaken, /expected an address such as \/garden\/pump; that of the chip is chipAddress$/m)
  assert.doesNotMatch(mistaken, /quotes/)
})

test('two devices cannot share a line or an address', async () => {
  const text = 'devices:\n  - {name: a, kind: led, line: GPIO5}\n  - {name: b, kind: button, line: GPIO5}\n'
  assert.match(await problemsOf(text), /c.yaml:3:\d+: devices\[1\]: the line GPIO5 is used by a already/)
  const same = 'devices:\n  - {name: a, kind: led, line: X}\n  - {name: a, kind: output, line: Y}\n'
  assert.match(await problemsOf(same), /the address \/gpio\/a is used by a already/)
})

test('editors learn the settings of every kind', async () => {
  const schema = (await configJsonSchema()) as {
    properties: { devices: { items: { oneOf: Record<string, unknown>[] } } }
  }
  const kinds = schema.properties.devices.items.oneOf as {
    properties: Record<string, { description?: string; const?: string }>
  }[]
  assert.ok(kinds.some(({ properties }) => properties.kind.const === 'relay' && 'maxOn' in properties))
  for (const { properties } of kinds) {
    for (const [key, { description }] of Object.entries(properties)) assert.match(description ?? '', /\w.*\.$/, key)
  }
})
