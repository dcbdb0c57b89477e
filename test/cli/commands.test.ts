import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '../../runtime/client/connect.ts'
import type { StatusReport } from '../../runtime/observability/status.ts'
import { until } from '../until.ts'
import { cli, folderWith, RunningCommand, type RunningRouter, startRouter } from './run-cli.ts'

async function at(router: RunningRouter, ...args: string[]) {
  const { code, stdout, stderr } = await cli(args, { env: { CLASP_URL: router.url } })
  return { code, stdout, stderr, lines: stdout.trimEnd().split('\n') }
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

test('set writes every type of value, get reads it back', async (t) => {
  const router = await startRouter(t)
  const cases: [args: string[], shown: string, type: string][] = [
    [['-5'], '-5', 'i64'],
    [['5', '--float'], '5.0', 'f64'],
    [['--int', '9223372036854775807'], '9223372036854775807', 'i64'],
    [['on', '--bool'], 'true', 'bool'],
    [['--string', '42'], '"42"', 'string'],
    [['--json', '{"a":[1,2.5]}'], '{"a": [1, 2.5]}', 'map'],
    [['--bytes', '00ff'], '0x00ff', 'bytes'],
    [['--null'], 'null', 'null'],
    [['hello world'], '"hello world"', 'string'],
  ]
  for (const [i, [args, shown]] of cases.entries()) {
    const { code, stdout, stderr } = await at(router, 'set', `/types/${i}`, ...args)
    assert.deepEqual([code, stdout, stderr], [0, `/types/${i} = ${shown}  (revision 1)\n`, ''])
  }
  const one = await at(router, 'get', '/types/2')
  assert.deepEqual([one.code, one.stdout], [0, '9223372036854775807\n'])
  const all = await at(router, 'snapshot', '--json', '/types/*')
  assert.deepEqual(
    jsonLines(all.stdout).map(({ address, type }) => [address, type]),
    cases.map(([, , type], i) => [`/types/${i}`, type]),
  )
  assert.ok(all.stdout.includes('"value":9223372036854775807'))
  const raw = await at(router, 'get', '--raw', '/types/8')
  assert.equal(raw.stdout, 'hello world\n')
})

test('get of several prints the addresses; of one that is not there fails', async (t) => {
  const router = await startRouter(t)
  await at(router, 'set', '/a', '1')
  const { code, stdout, stderr } = await at(router, 'get', '/a', '/none')
  assert.deepEqual([code, stdout, stderr], [1, '/a 1\n', 'there is no param /none\n'])
  const pattern = await at(router, 'get', '/a/*')
  assert.equal(pattern.code, 2)
  assert.match(pattern.stderr, /snapshot '\/a\/\*'/)
})

test('set with a revision, a lock and a time to live reaches the router', async (t) => {
  const router = await startRouter(t)
  await at(router, 'set', '/a', '1')
  const stale = await at(router, 'set', '/a', '2', '--revision', '7')
  assert.equal(stale.code, 1)
  assert.match(stale.stderr, /^clasp-edge set: SET \/a was refused: .*\(4\d\d\)/)
  assert.equal((await at(router, 'set', '/a', '2', '--revision', '1')).code, 0)
  const holder = await connect(router.url)
  t.after(() => holder.close())
  await holder.set('/locked', { type: 'i64', value: 1 }, { lock: true })
  assert.equal((await at(router, 'set', '/locked', '2')).code, 1)
  assert.equal((await at(router, 'set', '/brief', '1', '--ttl', '1s')).code, 0)
  const ttl = await at(router, 'set', '/brief', '1', '--ttl', '1ms')
  assert.equal(ttl.code, 0, 'rounded up to a second')
  assert.equal((await at(router, 'set', '/brief', '1', '--ttl', 'soon')).code, 2)
})

test('sub shows held values, then what emit, stream and bundle send', async (t) => {
  const router = await startRouter(t)
  await at(router, 'set', '/s/held', '0.5')
  const sub = new RunningCommand(['sub', '/s/**', '--json', '--count', '7', '-u', router.url])
  await sub.printed(/held/)
  await at(router, 'emit', '/s/event', '{"cue":7}')
  await at(router, 'emit', '/s/bare')
  await at(router, 'stream', '/s/stream', '1', '-2', '--rate', '200')
  const bundle = await at(router, 'bundle', 'set:/s/b=true', 'emit:/s/e=x=y')
  assert.match(bundle.stdout, /^2 messages taken/)
  const { code, stdout } = await sub.exited
  assert.equal(code, 0)
  assert.deepEqual(
    jsonLines(stdout).map(({ address, signal, type, value, initial }) => [address, signal, type, value, initial]),
    [
      ['/s/held', 'param', 'f64', 0.5, true],
      ['/s/event', 'event', 'map', { cue: 7 }, undefined],
      ['/s/bare', 'event', 'null', null, undefined],
      ['/s/stream', 'stream', 'i64', 1, undefined],
      ['/s/stream', 'stream', 'i64', -2, undefined],
      ['/s/b', 'param', 'bool', true, undefined],
      ['/s/e', 'event', 'string', 'x=y', undefined],
    ],
  )
})

test('sub takes only the types asked for, in readable lines, and ends with 0 on Ctrl-C', async (t) => {
  const router = await startRouter(t)
  await at(router, 'set', '/s/p', '1')
  const sub = new RunningCommand(['sub', '/s/*', '--types', 'event', '-u', router.url])
  t.after(() => sub.child.kill('SIGKILL'))
  // Events are not kept: send them until one has been seen.
  while (!sub.stdout.includes('\n')) {
    const { code, stderr } = await at(router, 'emit', '/s/e', '--string', 'go\u001b[2J')
    assert.equal(code, 0, stderr)
  }
  assert.match(sub.stdout, /^\d\d:\d\d:\d\d\.\d{3} {2}\/s\/e {14}"go\\u001b\[2J" {2}event string\n/)
  sub.child.kill('SIGINT')
  const end = await sub.exited
  assert.equal(end.code, 0)
  assert.doesNotMatch(end.stdout, /\/s\/p/)
})

test('a reader that takes its time gets all that a command prints', () => {
  const line = `"${process.execPath}" dist/clasp-edge.cjs check --schema | { sleep 1; cat; }`
  const { stdout } = spawnSync('bash', ['-c', line], { encoding: 'utf8', maxBuffer: 1e8 })
  assert.ok(JSON.parse(stdout).properties.routes)
})

test('sub ends quietly when its reader goes away', async (t) => {
  const router = await startRouter(t)
  await Promise.all([1, 2, 3, 4].map((i) => at(router, 'set', `/p/${i}`, String(i))))
  const line = `"${process.execPath}" dist/clasp-edge.cjs sub '/p/*' --url ${router.url} | head -2; echo "\${PIPESTATUS[0]}"`
  const shell = spawn('bash', ['-c', line])
  let output = ''
  shell.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  let errors = ''
  shell.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text
  })
  const writer = await connect(router.url)
  t.after(() => writer.close())
  const timer = setInterval(() => writer.set('/p/1', { type: 'i64', value: Date.now() }).catch(() => {}), 20)
  await new Promise((resolve) => shell.once('close', resolve))
  clearInterval(timer)
  assert.deepEqual([output.split('\n').length, output.endsWith('\n0\n'), errors], [4, true, ''])
})

test('stream sends the lines of its input', async (t) => {
  const router = await startRouter(t)
  const client = await connect(router.url)
  t.after(() => client.close())
  const seen: unknown[] = []
  await client.subscribe(['/in'], ({ value }) => seen.push(value))
  const { code } = await cli(['stream', '/in', '-u', router.url], { input: '1\n\n2.5\nx\n' })
  assert.equal(code, 0)
  await until(() => seen.length === 3, 'three values')
  assert.deepEqual(seen, [
    { type: 'i64', value: 1 },
    { type: 'f64', value: 2.5 },
    { type: 'string', value: 'x' },
  ])
})

test('a bundle comes from a file or standard input, and takes effect at its time', async (t) => {
  const router = await startRouter(t)
  const folder = await folderWith(t, { 'scene.json': '[{"set": ["/b/x", 1]}, {"emit": ["/b/go"]}]' })
  const file = await at(router, 'bundle', '--file', join(folder, 'scene.json'))
  assert.deepEqual([file.code, file.stderr], [0, ''])
  assert.equal((await at(router, 'get', '/b/x')).stdout, '1\n')
  const input = await cli(['bundle', '-u', router.url], { input: '[{"set": ["/b/x", [2]]}]' })
  assert.equal(input.code, 0)
  assert.equal((await at(router, 'get', '/b/x')).stdout, '[2]\n')

  const client = await connect(router.url)
  t.after(() => client.close())
  let cameAt = 0
  await client.subscribe(['/b/late'], () => {
    cameAt = Date.now()
  })
  const due = new Date(Date.now() + 1500)
  const late = await at(router, 'bundle', '--at', due.toISOString(), 'emit:/b/late')
  assert.match(late.stdout, /^1 message scheduled/)
  await until(() => cameAt > 0, 'the scheduled event')
  const lateMs = cameAt - due.getTime()
  assert.ok(lateMs > -50 && lateMs < 5000, `${lateMs} ms off`)

  for (const [args, text] of [
    [['bundle', 'set:/a'], 'not a part of a bundle'],
    [['bundle', 'get:/a=1'], 'not a part of a bundle'],
    [['bundle', '--at', 'noon', 'emit:/a'], '--at: "noon"'],
    [['bundle', '--file', join(folder, 'none')], 'cannot be read (ENOENT)'],
  ] as const) {
    const { code, stderr } = await at(router, ...args)
    assert.ok(code !== 0 && stderr.includes(text), stderr)
  }
})

test('query lists what is announced, status what is going on', async (t) => {
  const router = await startRouter(t, undefined, ['--simulate'])
  await until(() => router.stderr.includes('router started'), 'start')
  const { lines } = await at(router, 'query', '/sim/**')
  assert.match(lines[0], /^ADDRESS +SIGNAL +TYPE +ACCESS$/)
  assert.ok(
    lines.some((line) => /^\/sim\/led +param +bool +rw$/.test(line)),
    lines.join('\n'),
  )
  const none = await at(router, 'query', '/nothing/**')
  assert.deepEqual([none.code, none.stdout, none.stderr], [0, '', 'nothing is announced for /nothing/**\n'])

  const table = await at(router, 'status')
  assert.match(table.stdout, /^router +under test \(clasp-edge /)
  assert.match(table.stdout, /^(simulated board|sim) +/m)
  assert.match(table.stdout, /^sessions +\d clients?, \d+ within the router \(\d+ subscriptions, \d+ connecting\)$/m)
  assert.match(table.stdout, /^within +.*\brouter\b/m)
  assert.doesNotMatch(table.stdout, /^router +local/m)
  const report = JSON.parse((await at(router, 'status', '--json')).stdout)
  assert.equal(report.name, 'under test')
  assert.ok(report.router.signals > 5)
})

test('status of a router with thousands of sessions does not guess, and stays short', async (t) => {
  const router = await startRouter(t)
  const report = JSON.parse((await at(router, 'status', '--json')).stdout) as StatusReport
  const [own] = report.sessions.filter(({ transport }) => transport === 'local')
  const many = Array.from({ length: 1000 }, (_, i) => {
    const name = `device ${String(i).padStart(4, '0')}`
    return { ...own, name, transport: i < 500 ? 'local' : 'websocket' }
  })
  const crowded = JSON.stringify({ ...report, router: { ...report.router, sessions: 3000 }, sessions: many })
  const server = createHttpServer((_, response) => response.end(crowded)).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { stdout } = await cli(['status', '--url', `ws://127.0.0.1:${(server.address() as AddressInfo).port}`])
  assert.match(stdout, /^sessions +3000 in all \(/m)
  assert.match(stdout, /^within +device 0000, .*, device 0019 … and 480 more$/m)
  assert.match(stdout, /^… and 470 more: --json has them\n… and 2,000 more, whose queues/m)
})

test('monitor prints plain tables when its output is not a terminal', async (t) => {
  const router = await startRouter(t)
  await at(router, 'set', '/m/x', '1')
  const monitor = new RunningCommand(['monitor', '/m/**', '-n', '3', '-u', router.url])
  await monitor.printed(/\/m\/x/)
  const client = await connect(router.url)
  t.after(() => client.close())
  await client.set('/m/y', { type: 'string', value: 'late' })
  const { code, stdout } = await monitor.exited
  assert.equal(code, 0)
  const tables = stdout.split('\n\n')
  assert.equal(tables.length, 3)
  assert.match(tables[0], /^ADDRESS\* +VALUE +TYPE +RATE +AGE +WRITER\n\/m\/x +1 +i64 +held [0-9a-f]{8}/)
  assert.match(tables[2], /^\/m\/y +"late" +string/m)
  assert.ok(!stdout.includes('\u001b'))
})

test('bench measures within its time and says what', async (t) => {
  const router = await startRouter(t)
  const { code, stdout } = await at(router, 'bench', '--time', '100ms', '--json')
  assert.equal(code, 0)
  const report = JSON.parse(stdout)
  assert.ok(report.setsPerSecond > 100)
  for (const part of ['roundTrip', 'set', 'delivery']) {
    const { p50Ms, p99Ms, maxMs, count } = report[part]
    assert.ok(p50Ms > 0 && p50Ms <= p99Ms && p99Ms <= maxMs && count > 1, JSON.stringify(report))
  }
})
