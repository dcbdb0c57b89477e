import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findConfig } from '../../runtime/config/find.ts'
import { loadConfig, parseConfig } from '../../runtime/config/load.ts'
import { ConfigError, type Problem } from '../../runtime/config/problem.ts'
import { routerOptions } from '../../runtime/config/router-options.ts'
import { defaultConfig } from '../../runtime/config/schema.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'

async function refusal(content: string): Promise<ConfigError> {
  try {
    await parseConfig(content, 'edge.yaml')
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error
  }
  return assert.fail('the configuration was accepted')
}

async function problemsOf(content: string): Promise<readonly Problem[]> {
  return (await refusal(content)).problems
}

/** The only problem of a configuration: its place, and words that its text must have. */
async function assertProblem(
  content: string,
  place: [line: number, column: number],
  ...words: string[]
): Promise<void> {
  const error = await refusal(content)
  assert.equal(error.problems.length, 1, error.message)
  assert.deepEqual([error.problems[0].line, error.problems[0].column], place, error.message)
  for (const word of [`edge.yaml:${place.join(':')}: `, ...words])
    assert.ok(error.message.includes(word), error.message)
}

test('an empty file, a file of comments and empty sections mean the defaults', async () => {
  for (const content of ['', '# nothing\n', '---\n', 'listen:\nlimits:\n', 'limits: {}\n', 'name:\n']) {
    assert.deepEqual(await parseConfig(content, 'edge.yaml'), defaultConfig, JSON.stringify(content))
  }
})

test('the defaults of the configuration are those of the router', () => {
  assert.deepEqual(routerOptions(defaultConfig), defaultRouterOptions)
})

test('what is configured reaches the router in its units', async () => {
  const config = await parseConfig(
    `
name: stage left
limits: {sessions: 7, eviction: reject}
state:
  paramTtl: 2h
  policies:
    - {pattern: /faders/*, conflict: max, ttl: 1.5m}
    - pattern: /locks/**
      conflict: lock
gestures: {coalesce: false, interval: 40ms, timeout: 90}
bundles: {horizon: 1d}
queue: {stuckTimeout: 2500ms}
`,
    'edge.yaml',
  )
  const options = routerOptions(config)
  assert.equal(options.name, 'stage left')
  assert.equal(options.maxSessions, 7)
  assert.equal(options.eviction, 'reject')
  assert.equal(options.paramTtlSeconds, 7200)
  assert.deepEqual(options.policies, [
    { pattern: '/faders/*', conflict: 'max', ttlSeconds: 90 },
    { pattern: '/locks/**', conflict: 'lock', ttlSeconds: undefined },
  ])
  assert.deepEqual(options.gestures, { coalesce: false, intervalMs: 40, timeoutSeconds: 90 })
  assert.equal(options.bundles.horizonSeconds, 86_400)
  assert.equal(options.queue.stuckTimeoutMs, 2500)
  assert.equal(options.queue.maxMessages, defaultRouterOptions.queue.maxMessages)
})

test('aliases work', async () => {
  const config = await parseConfig(
    'gestures: {interval: &time 20ms, timeout: 20s}\nlisten: {pingInterval: *time}\n',
    'f',
  )
  assert.equal(config.listen.pingInterval, 20)
})

test('an unknown key is refused with the key that was probably meant', async () => {
  await assertProblem('nmae: x\n', [1, 1], 'unknown key "nmae"', 'did you mean "name"?')
  await assertProblem(
    'listen:\n  host: ::1\n  prot: 80\n',
    [3, 3],
    'unknown key "prot" in listen',
    'did you mean "port"?',
  )
  await assertProblem('limits: {maxparams: 5}\n', [1, 10], 'unknown key "maxparams"', 'allowed: sessions, ')
  await assertProblem('__proto__: {}\n', [1, 1], 'unknown key "__proto__"')
})

test('a wrong type is refused with what was found and what was expected', async () => {
  await assertProblem('listen: {port: "7330"}\n', [1, 16], 'listen.port: "7330"', 'a whole number from 0 to 65535')
  await assertProblem('listen:\n  udp: yes\n', [2, 8], 'listen.udp: "yes"', 'true or false')
  await assertProblem('name: 12\n', [1, 7], 'name: 12 is not allowed', 'put it in quotes ("12")', 'expected text')
  await assertProblem('limits: 5\n', [1, 9], 'limits: 5', 'expected settings: sessions,')
  await assertProblem(
    'state: {policies: /a/**}\n',
    [1, 19],
    'state.policies: "/a/**" is not a list',
    'lines that start with "- "',
  )
  await assertProblem('- a\n- b\n', [1, 1], 'the file: ["a","b"]', 'expected settings: name, listen,')
})

test('a number out of range is refused with the range and the unit', async () => {
  await assertProblem('listen:\n  port: 65536\n', [2, 9], '65536', 'from 0 to 65535')
  await assertProblem('limits: {params: 1.5}\n', [1, 18], '1.5', 'a whole number from 1 to 10000000')
  await assertProblem('limits: {sessions: -1}\n', [1, 20], '-1')
  await assertProblem('queue: {maxBytes: 100}\n', [1, 19], '100', '(bytes)')
  await assertProblem('limits: {params: .nan}\n', [1, 18], 'expected a whole number')
})

test('a duration needs a unit that exists and a sensible length', async () => {
  await assertProblem('gestures: {interval: 16 sec}\n', [1, 22], '"16 sec"', '500ms, 30s, 5m or 1h, from 0s to 10s')
  await assertProblem('gestures: {interval: 11s}\n', [1, 22], '"11s"', 'to 10s')
  await assertProblem('listen: {idleTimeout: -5s}\n', [1, 23], '"-5s"')
})

test('a value that is not among the allowed ones is refused with the nearest', async () => {
  await assertProblem(
    'log:\n  level: wran\n',
    [2, 10],
    '"wran"',
    'did you mean "warn"?',
    'one of debug, info, warn, error',
  )
  await assertProblem('simulate: maybe\n', [1, 11], '"maybe"', 'one of auto, true, false')
  await assertProblem('limits: {eviction: FIFO}\n', [1, 20], '"FIFO"', 'one of lru, oldest, reject')
})

test('a pattern, a network and what a rule needs are checked', async () => {
  const rule = (text: string) => `state:\n  policies:\n    - ${text}\n`
  await assertProblem(
    rule('pattern: lights/*'),
    [3, 16],
    "must start with '/'",
    'state.policies[0].pattern',
    'such as /lights/**',
  )
  await assertProblem(rule('{pattern: /a//b}'), [3, 17], 'empty segment')
  await assertProblem(rule('conflict: max'), [3, 7], 'state.policies[0]: pattern is missing')
  await assertProblem(
    'listen: {udpImplicit: [10.0.0.0/33]}\n',
    [1, 24],
    '"10.0.0.0/33"',
    '0 to 32 bits',
    '192.168.4.0/24',
  )
  await assertProblem('listen: {udpImplicit: [10.0.0.1, "::1/128", home]}\n', [1, 45], '"home" is not a network')
  await assertProblem('listen: {tls: {cert: /c.pem}}\n', [1, 15], 'listen.tls: key is missing')
})

test('everything that is wrong is reported at once, in the order of the file', async () => {
  const problems = await problemsOf('nmae: x\nlisten: {port: -1, hots: a}\nlog: {level: loud}\n')
  assert.deepEqual(
    problems.map(({ line, column }) => `${line}:${column}`),
    ['1:1', '2:16', '2:20', '3:14'],
  )
})

test('bad YAML is refused with its place: duplicate keys, tabs, brackets, a second document', async () => {
  await assertProblem(
    'name: a\nlisten:\n  port: 1\nname: b\n',
    [4, 1],
    'the key "name" is here a second time',
    'keep one',
  )
  const [tab] = await problemsOf('listen:\n\tport: 1\n')
  assert.deepEqual([tab.line, tab.message], [2, 'a tab cannot indent'])
  assert.match(tab.remedy, /spaces/)
  const [bracket] = await problemsOf('name: a\nlisten: {port: 1\nlog: x\n')
  assert.ok(bracket.line >= 2 && bracket.message.startsWith('not valid YAML: '), bracket.message)
  const [second] = await problemsOf('name: a\n---\nname: b\n')
  assert.equal(second.line, 2)
})

test('aliases that multiply beyond reason are refused, not expanded', async () => {
  const levels = Array.from({ length: 12 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i}, `.repeat(9)}]`)
  const content = `l0: &l0 [a]\n${levels.join('\n')}\nname: *l12\n`
  const problems = await problemsOf(content)
  assert.equal(problems.length, 14)
})

test('a secret is text or comes from a file, and never shows in a message', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'clasp-edge-config-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'passphrase')
  await writeFile(file, 'open sesame\n')
  const tls = (passphrase: string) => `listen:\n  tls:\n    cert: /c\n    key: /k\n    passphrase: ${passphrase}\n`
  const passphraseOf = async (text: string) => (await parseConfig(tls(text), 'f')).listen.tls?.passphrase
  assert.equal(await passphraseOf('open sesame'), 'open sesame')
  assert.equal(await passphraseOf(`{file: ${file}}`), 'open sesame')
  await assertProblem(tls(`{file: ${folder}/none}`), [5, 24], `${folder}/none cannot be read (ENOENT)`)
  await assertProblem(tls('{file: near/by}'), [5, 24], 'absolute path')
  await assertProblem(tls('{path: /x}'), [5, 17], '{file: /path/to/secret}')
  assert.ok(!(await refusal(tls('[hunter2]'))).message.includes('hunter2'))
})

test('a file that is not there, or is a directory, is named with the reason', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'clasp-edge-config-'))
  t.after(() => rm(folder, { recursive: true }))
  await assert.rejects(loadConfig(join(folder, 'none.yaml')), {
    name: 'ConfigError',
    message: `${folder}/none.yaml: there is no such file: check the path`,
  })
  await assert.rejects(loadConfig(folder), { message: `${folder}: this is a directory: name the file in it` })
})

test('without a file named, the usual place counts if it is there, else the defaults', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'clasp-edge-config-'))
  t.after(() => rm(folder, { recursive: true }))
  const usual = join(folder, 'config.yaml')
  assert.deepEqual(await findConfig(undefined, usual), { config: defaultConfig, file: undefined })
  await writeFile(usual, 'name: usual\n')
  const found = await findConfig(undefined, usual)
  assert.deepEqual([found.config.name, found.file], ['usual', usual])
  const named = join(folder, 'named.yaml')
  await writeFile(named, 'name: named\n')
  assert.equal((await findConfig(named, usual)).config.name, 'named')
  await assert.rejects(findConfig(join(folder, 'none'), usual), ConfigError)
})
