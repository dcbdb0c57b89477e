import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parseDocument } from 'yaml'
import { bridgeKinds } from '../../runtime/bridges/bridge-kinds.ts'
import { configChanges } from '../../runtime/config/changes.ts'
import { parseDuration, showDuration } from '../../runtime/config/duration.ts'
import { configJsonSchema } from '../../runtime/config/json-schema.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { nearest } from '../../runtime/config/nearest.ts'
import { ConfigError } from '../../runtime/config/problem.ts'
import { defaultConfig } from '../../runtime/config/schema.ts'

const EXAMPLE = 'runtime/config/example.yaml'

interface Schema {
  description?: string
  type?: string | string[]
  default?: unknown
  enum?: unknown[]
  oneOf?: Schema[]
  pattern?: string
  required?: string[]
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: boolean
}

/** Dotted keys of everything that can be set, with the schema of each. */
function* keysOf(schema: Schema, path = ''): Generator<[string, Schema]> {
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    yield [path + name, member]
    yield* keysOf(member.type === 'array' ? (member.items ?? {}) : member, `${path}${name}.`)
  }
}

/** The example with its keys in effect: lines of prose keep a second `#`. */
async function exampleInEffect(): Promise<string> {
  const lines = (await readFile(EXAMPLE, 'utf8')).split('\n')
  return lines.map((line) => line.replace(/^# (?=\s*(- )?[a-z]\w*:|\s+#)/, '')).join('\n')
}

test('every key of the JSON Schema has a description, a kind and, unless it may be left out, a default', async () => {
  const schema = (await configJsonSchema()) as Schema & { $schema?: unknown }
  assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema')
  const keys = [...keysOf(schema)]
  assert.ok(keys.length > 40)
  for (const [key, member] of keys) {
    assert.match(member.description ?? '', /\w.*\.$/, key)
    assert.ok(member.type !== undefined || member.enum !== undefined || member.oneOf !== undefined, key)
    if (member.type === 'object') assert.equal(member.additionalProperties, false, key)
  }
  const withoutDefault = keys.filter(([, member]) => member.type !== 'object' && member.default === undefined)
  assert.deepEqual(
    withoutDefault.map(([key]) => key),
    [
      'listen.host',
      'listen.tls.cert',
      'listen.tls.key',
      'listen.tls.passphrase',
      'state.policies.pattern',
      'state.policies.ttl',
      'journal.folder',
      'journal.durability.pattern',
      'journal.record.pattern',
      'journal.record.maxRate',
      'hub.url',
      'hub.token',
      'hub.tokenFile',
      'hub.ca',
      'hub.id',
      'hub.policies.pattern',
      'hub.policies.conflict',
      'hub.policies.offline',
      'firmware.serial.port',
      'firmware.serial.prefix',
      'firmware.serial.token',
      'firmware.keys.uid',
      'firmware.keys.key',
      'firmware.cache',
    ],
  )
})

test('the JSON Schema states durations as they are written', async () => {
  const keys = new Map(keysOf((await configJsonSchema()) as Schema))
  const interval = keys.get('gestures.interval')
  assert.equal(interval?.default, '16ms')
  const pattern = new RegExp(interval?.pattern ?? '', 'u')
  for (const text of ['16ms', '1.5s', '5', ' 3 m ']) assert.ok(pattern.test(text), text)
  for (const text of ['', 'ms', '5 sec', '-1s']) assert.ok(!pattern.test(text), text)
})

test('the example file is accepted as it is and changes nothing', async () => {
  assert.deepEqual(await parseConfig(await readFile(EXAMPLE, 'utf8'), EXAMPLE), defaultConfig)
})

test('the example file names every key there is, at its default', async () => {
  const content = await exampleInEffect()
  const config = await parseConfig(content.replace(/^ {4}passphrase:.*$/m, '    passphrase: x'), EXAMPLE)
  const { host: _, tls: __, ...listen } = config.listen
  const { host: ___, tls: ____, ...defaultListen } = defaultConfig.listen
  assert.deepEqual(listen, defaultListen)
  const { policies, ...state } = config.state
  assert.deepEqual(policies, [{ pattern: '/lights/**', conflict: 'lww', ttl: 0 }])
  const { policies: _____, ...defaultState } = defaultConfig.state
  const { serial, keys, cache, ...firmware } = config.firmware
  assert.deepEqual([serial.length, keys.length, cache], [1, 1, '/var/lib/clasp-edge/devices'])
  const { serial: _6, keys: _7, cache: _8, ...defaultFirmware } = defaultConfig.firmware
  assert.deepEqual(firmware, defaultFirmware)
  const { folder, durability, record, ...journal } = config.journal
  assert.deepEqual([folder, durability.length, record.length], ['/var/lib/clasp-edge', 1, 1])
  const { folder: _9, durability: _10, record: _11, ...defaultJournal } = defaultConfig.journal
  assert.deepEqual(journal, defaultJournal)
  const { url, token, tokenFile, ca, id, namespaces, subscribe, writeRemote, policies: rules, ...hub } = config.hub
  assert.ok([url, token, tokenFile, ca, id].every((text) => typeof text === 'string'))
  assert.deepEqual(
    [namespaces, subscribe, writeRemote, rules].map((list) => list.length),
    [2, 1, 1, 1],
  )
  assert.deepEqual({ ...defaultConfig.hub, ...hub }, defaultConfig.hub)
  assert.deepEqual(
    config.devices.map(({ name, kind }) => [name, kind]),
    [
      ['door', 'switch'],
      ['pump', 'relay'],
    ],
  )
  assert.deepEqual(config.bridges.map(({ kind }) => kind).sort(), bridgeKinds.map(({ kind }) => kind).sort())
  assert.equal(config.routes.length, 1)
  const set = { ...config, devices: [], bridges: [], routes: [], listen: 0, state, firmware: 0, journal: 0, hub: 0 }
  assert.deepEqual(set, { ...defaultConfig, listen: 0, state: defaultState, firmware: 0, journal: 0, hub: 0 })

  const document = parseDocument(content)
  for (const [key] of keysOf((await configJsonSchema()) as Schema)) {
    const path = key.replace(/(policies|serial|keys|durability|record)\./, '$1.0.').split('.')
    assert.ok(document.hasIn(path.map((name) => (name === '0' ? 0 : name))), `${key} is missing in the example`)
  }
})

test('two bridges that want the same are told before anything starts', async () => {
  const problemsOf = async (second: string) => {
    const first = '  - { id: a, kind: osc, listen: 9000 }'
    try {
      await parseConfig(`bridges:\n${first}\n  - { ${second} }\n`, 'a')
      return []
    } catch (error) {
      assert.ok(error instanceof ConfigError)
      return error.problems.map(({ line, message, remedy }) => `${line} ${message}: ${remedy}`)
    }
  }
  assert.deepEqual(await problemsOf('id: a, kind: osc, namespace: /b, listen: 9001'), [
    '3 bridges[1]: a is the name of another bridge: give it another id',
  ])
  assert.deepEqual(await problemsOf('id: b, kind: osc, listen: 9001'), [
    '3 bridges[1]: its addresses below /osc are those of a too: give it another namespace',
  ])
  assert.deepEqual(await problemsOf('id: b, kind: osc, namespace: /b, listen: 9000'), [
    '3 bridges[1]: port 9000 is that of a too: give it another listen',
  ])
  assert.deepEqual(await problemsOf('id: b, kind: osc, namespace: /b, listen: 9000, host: 127.0.0.1'), [])
})

test('a reload tells what it applies and what needs a restart', async () => {
  const changes = async (before: string, after: string) =>
    configChanges(await parseConfig(before, 'a'), await parseConfig(after, 'b'))
  assert.deepEqual(await changes('name: a\n', 'name: a\n'), { applied: [], needsRestart: [] })
  assert.deepEqual(
    await changes(
      '',
      'limits: {params: 5}\nlisten: {port: 1}\nstate: {policies: [{pattern: /a}]}\nlog: {level: debug}\n',
    ),
    { applied: ['limits.params', 'state.policies'], needsRestart: ['listen.port', 'log.level'] },
  )
  assert.deepEqual(await changes('', 'listen: {tls: {cert: /c, key: /k}}\n'), {
    applied: [],
    needsRestart: ['listen.tls'],
  })
  assert.deepEqual(await changes('listen: {host: 127.0.0.1}\n', ''), { applied: [], needsRestart: ['listen.host'] })
})

test('durations are read and shown in the same units', () => {
  for (const [text, ms] of [
    ['16ms', 16],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ] as const) {
    assert.equal(parseDuration(text), ms)
    assert.equal(parseDuration(showDuration(ms)), ms)
  }
  assert.equal(parseDuration(300), 300_000)
  assert.equal(parseDuration('300'), 300_000)
  for (const bad of ['', 's', '1y', '1 2s', null, {}]) assert.equal(parseDuration(bad), undefined)
})

test('the nearest name is found for a slip and not for something else', () => {
  const names = ['set', 'get', 'status', 'subscriptionsPerSession']
  assert.equal(nearest('stauts', names), 'status')
  assert.equal(nearest('SET', names), 'set')
  assert.equal(nearest('subscriptionPerSesion', names), 'subscriptionsPerSession')
  assert.equal(nearest('frobnicate', names), undefined)
  assert.equal(nearest('xyz', names), undefined)
})
