import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { rawServer, type Script, scriptedRouter } from '../client/scripted-router.ts'
import { until } from '../until.ts'
import { cli, folderWith, RunningCommand } from './run-cli.ts'

const COMMANDS = [
  'run',
  'check',
  'status',
  'get',
  'set',
  'sub',
  'emit',
  'stream',
  'bundle',
  'query',
  'snapshot',
  'monitor',
  'discover',
  'bench',
  'version',
]

/** Wants the token "right". */
const guarded: Script = (message, peer) => {
  if (message.type !== 'HELLO' || message.token === 'right') return false
  peer.send({ type: 'ERROR', code: 300, message: 'Authentication required' })
  peer.close()
  return true
}

test('every command has help that names its options and shows how it is used', async () => {
  const overall = await cli(['--help'])
  assert.equal(overall.code, 0)
  const all = await Promise.all(COMMANDS.map((name) => cli([name, '--help'])))
  for (const [i, { code, stdout, stderr }] of all.entries()) {
    assert.deepEqual([code, stderr], [0, ''], COMMANDS[i])
    assert.match(stdout, new RegExp(`^Usage: clasp-edge ${COMMANDS[i]}\\b.*\\[OPTIONS\\]\\n`))
    assert.match(stdout, /-h, --help/)
    assert.match(overall.stdout, new RegExp(`^ {2}${COMMANDS[i]} +\\w`, 'm'))
  }
  const help = await cli(['help', 'set'])
  assert.equal(help.stdout, all[COMMANDS.indexOf('set')].stdout)
  assert.match((await cli(['version'])).stdout, /^clasp-edge \d+\.\d+\.\d+ \(node /)
  assert.equal((await cli(['--version'])).code, 0)
})

test('a wrong command line is refused with what was probably meant, exit code 2', async () => {
  const cases: [args: string[], text: RegExp][] = [
    [[], /Usage: clasp-edge COMMAND/],
    [['stauts'], /no command "stauts": did you mean "status"\?/],
    [['frobnicate'], /clasp-edge --help/],
    [['--url', 'x'], /options come behind a command/],
    [['set', '/a', '1', '--itn'], /no option --itn: did you mean --int\?/],
    [['set', '/a', '1', '-x'], /no option -x/],
    [['set', '/a'], /the value is missing/],
    [['set'], /an argument is missing/],
    [['set', '/a', '1', '2'], /"2" is too much/],
    [['set', 'a', '1'], /"a" is not an address \(address must start with '\/'/],
    [['set', '/a/*', '1'], /is not an address/],
    [['set', '/a', '--int', '1.5'], /"1.5" is not an integer/],
    [['set', '/a', '--int', '9223372036854775808'], /does not fit 64 bits/],
    [['set', '/a', '--float', 'x'], /"x" is not a number/],
    [['set', '/a', '--bool', 'maybe'], /neither true nor false/],
    [['set', '/a', '--bytes', 'abc'], /not hexadecimal/],
    [['set', '/a', '--json', '{a}'], /this is not JSON/],
    [['set', '/a', '--int', '--bool', '1'], /--int and --bool exclude each other/],
    [['set', '/a', '--null', '1'], /--null takes no value/],
    [['set', '/a', '1', '--int=yes'], /--int takes no value/],
    [['set', '/a', '1', '--url'], /--url needs a value: --url URL/],
    [['sub', '/a', '--types', 'evnt'], /did you mean "event"\?/],
    [['sub', '/a', '--max-rate', '0'], /--max-rate: "0"/],
    [['sub', '/a', '--epsilon', '-1'], /--epsilon: "-1"/],
    [['sub', '/a', '--count', 'x'], /--count: "x" is not a whole number 1 or more/],
    [['sub', 'a'], /"a" is not a pattern/],
    [['get', '/a', '--timeout', 'soon'], /--timeout: "soon" is not a duration/],
    [['stream', '/a', '--repeat'], /--repeat needs values/],
  ]
  const outcomes = await Promise.all(cases.map(([args]) => cli(args)))
  for (const [i, { code, stdout, stderr }] of outcomes.entries()) {
    const name = cases[i][0].join(' ')
    assert.deepEqual([code, stdout], [2, ''], name)
    assert.match(stderr, cases[i][1], name)
    assert.doesNotMatch(stderr, / {4}at /, name)
  }
})

test('without a router every command says so and what to do, exit code 1', async (t) => {
  const gone = await scriptedRouter(t)
  await gone.stop()
  const commands = [
    ['get', '/a'],
    ['set', '/a', '1'],
    ['sub', '/a'],
    ['emit', '/a'],
    ['stream', '/a', '1'],
    ['bundle', 'emit:/a'],
  ]
  commands.push(['query', '/a'], ['snapshot'], ['monitor'], ['bench'], ['status'])
  const outcomes = await Promise.all(commands.map((args) => cli([...args, '--url', gone.url])))
  for (const [i, { code, stdout, stderr }] of outcomes.entries()) {
    assert.deepEqual([code, stdout], [1, ''], commands[i].join(' '))
    assert.match(stderr, /^clasp-edge \w+: nothing listens at 127\.0\.0\.1 port \d+: is the router running.*\n$/)
  }
})

test('a server that is silent ends in a time-out, one that is no router is named so', async (t) => {
  const silent = await rawServer(t)
  const late = await cli(['get', '/a', '--url', `tcp://127.0.0.1:${silent}`, '--timeout', '200ms'])
  assert.equal(late.code, 1)
  assert.match(late.stderr, /no connection to 127\.0\.0\.1:\d+ within 0\.2 s/)
  const web = await rawServer(t, (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  const wrong = await cli(['get', '/a', '--url', `127.0.0.1:${web}`])
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /is not a CLASP router/)
  const scheme = await cli(['get', '/a', '--url', 'http://127.0.0.1'])
  assert.equal(scheme.code, 1)
  assert.match(scheme.stderr, /expected for example ws:\/\//)
})

test('tokens come from an option, a file or the environment; a refused one says what to do', async (t) => {
  const router = await scriptedRouter(t, guarded)
  const folder = await folderWith(t, { token: 'right\n' })
  const set = ['set', '/a', '1', '--url', router.url]
  const refused = await cli(set)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /Authentication required \(300\): give a valid token with --token or CLASP_TOKEN/)
  assert.equal((await cli([...set, '--token', 'right'])).code, 0)
  assert.equal((await cli([...set, '--token-file', join(folder, 'token')])).code, 0)
  assert.equal((await cli(set, { env: { CLASP_TOKEN: 'right' } })).code, 0)
  const missing = await cli([...set, '--token-file', join(folder, 'none')])
  assert.equal(missing.code, 1)
  assert.match(missing.stderr, /none cannot be read \(ENOENT\)/)
})

test('the tools work with a router that has no status page and is silent about unknown addresses', async (t) => {
  const router = await scriptedRouter(t, (message, peer) => {
    if (message.type === 'SYNC') peer.send({ ...message, t2: message.t1, t3: message.t1 })
    else if (message.type === 'SUBSCRIBE') {
      peer.send({ type: 'SNAPSHOT', params: [{ address: '/x', value: { type: 'f64', value: 1 }, revision: 4 }] })
    } else if (message.type === 'BUNDLE') peer.send({ type: 'ACK' })
    else if (message.type === 'QUERY') peer.send({ type: 'RESULT', signals: [{ address: '/x', type: 'param' }] })
    else return false
    return true
  })
  const at = (...args: string[]) => cli([...args, '--url', router.url])
  const status = await at('status')
  assert.match(status.stdout, /^router +scripted \(no status page\)$/m)
  assert.match(status.stdout, /^params +1$/m)
  assert.equal((await at('get', '/unknown')).stderr, 'there is no param /unknown\n')
  assert.match((await at('snapshot')).stdout, /^\/x +1\.0 +f64 +4$/m)
  assert.match((await at('query')).stdout, /^\/x +param$/m)
  assert.equal((await at('bundle', 'set:/a=1')).stdout, '1 message taken\n')
  assert.equal((await at('emit', '/e')).code, 0)
  const sub = await at('sub', '/x', '-n', '1')
  assert.match(sub.stdout, /\/x +1\.0 {2}param f64 r4 held\n$/)
})

test('sub says when the connection is lost, and makes it again', async (t) => {
  const first = await scriptedRouter(t)
  const sub = new RunningCommand(['sub', '/x', '-n', '1', '-u', first.url])
  // The PING behind the subscription, after the one of the greeting: from then on a loss is not the first failure.
  await until(() => first.received.filter(({ type }) => type === 'PING').length === 2, 'the subscription')
  await first.stop()
  await sub.printed(/closed the connection.*trying again in 0\.\d s/, 'stderr')
  await scriptedRouter(
    t,
    (message, peer) => {
      if (message.type !== 'SUBSCRIBE') return false
      peer.send({ type: 'SNAPSHOT', params: [{ address: '/x', value: { type: 'bool', value: true }, revision: 1 }] })
      return true
    },
    Number(new URL(first.url).port),
  )
  const { code, stdout } = await sub.exited
  assert.equal(code, 0)
  assert.match(stdout, /\/x +true/)
})

test('stream tells when the router goes away in the middle', async (t) => {
  const router = await scriptedRouter(t)
  const stream = new RunningCommand(['stream', '/x', '1', '--repeat', '--rate', '100', '-u', router.url])
  await until(() => router.received.filter(({ type }) => type === 'PUBLISH').length > 5, 'some values')
  await router.stop()
  const { code, stderr } = await stream.exited
  assert.equal(code, 1)
  assert.match(stderr, /closed the connection/)
})
