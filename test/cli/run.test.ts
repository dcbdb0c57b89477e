import assert from 'node:assert/strict'
import { link, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '../../runtime/client/connect.ts'
import { cli, folderWith, QUIET, RunningCommand, startRouter } from './run-cli.ts'

test('run prints where to connect and what to try, and Ctrl-C ends it with 0 within two seconds', async (t) => {
  const router = await startRouter(t, `${QUIET}state: {selfInterval: 0s}\n`, ['--simulate'])
  assert.match(router.stdout, /^under test is running \(clasp-edge \d+\.\d+\.\d+, /)
  await router.printed(/^ {2}.* set .*\n/m)
  const tries = [...router.stdout.matchAll(/^ {2}(?:node \S+|clasp-edge) (sub|set) (.*)$/gm)]
  assert.deepEqual(
    tries.map(([, command]) => command),
    ['sub', 'set'],
  )
  // The commands to try do work as they stand.
  const [, , rest] = tries[1]
  const { code, stdout } = await cli(['set', ...rest.split(' ')])
  assert.deepEqual([code, stdout], [0, '/sim/led = true  (revision 2)\n'])

  const client = await connect(router.url)
  const start = performance.now()
  router.child.kill('SIGINT')
  const end = await router.exited
  assert.equal(end.code, 0, end.stderr)
  assert.ok(performance.now() - start < 2000)
  assert.equal((await client.closed).kind, 'closed')
})

test('SIGTERM ends it with 0 too', async (t) => {
  const router = await startRouter(t)
  router.child.kill('SIGTERM')
  assert.equal((await router.exited).code, 0)
})

test('--port and --host win over the file', async (t) => {
  const router = await startRouter(t, QUIET.replace('127.0.0.1', '"::1"').replace('port: 0', 'port: 1'), [
    '--port=0',
    '--host',
    '127.0.0.1',
  ])
  assert.equal((await cli(['get', '/x', '--url', router.url])).code, 1)
})

test('a port in use is told with its holder and the remedy, exit code 1', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const folder = await folderWith(t, { 'config.yaml': QUIET })
  const { code, stdout, stderr } = await cli(['run', '-c', join(folder, 'config.yaml'), '-p', String(port)])
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(stderr, new RegExp(`port ${port}.* is in use by .*${process.pid}.*listen\\.port`))
  assert.doesNotMatch(stderr, / {4}at /)
})

test('a bad configuration is told with every problem, exit code 2, and nothing is started', async (t) => {
  const folder = await folderWith(t, { 'bad.yaml': 'nmae: x\nlisten:\n  port: high\n' })
  const file = join(folder, 'bad.yaml')
  for (const command of [
    ['run', '--config', file],
    ['check', file],
  ]) {
    const { code, stdout, stderr } = await cli(command)
    assert.deepEqual([code, stdout], [2, ''])
    const [first, second, ...rest] = stderr.trimEnd().split('\n')
    assert.ok(first.startsWith(`${file}:1:1: unknown key "nmae": did you mean "name"?`), first)
    assert.ok(second.startsWith(`${file}:3:9: listen.port: "high"`), second)
    assert.deepEqual(rest, [])
  }
  const missing = await cli(['run', '--config', join(folder, 'none.yaml')])
  assert.equal(missing.code, 2)
  assert.match(missing.stderr, /none\.yaml: there is no such file/)
})

test('SIGHUP applies what it can, names what needs a restart, keeps clients, and survives a bad file', async (t) => {
  const folder = await folderWith(t, { 'config.yaml': QUIET })
  const file = join(folder, 'config.yaml')
  const router = new RunningCommand(['run', '--config', file])
  t.after(async () => {
    router.child.kill('SIGINT')
    await router.exited
  })
  const [url] = await router.printed(/ws:\/\/127\.0\.0\.1:\d+\/clasp/)
  await router.printed(/try next/)
  const client = await connect(url)
  t.after(() => client.close())
  await client.set('/a', { type: 'i64', value: 1 })

  await writeFile(file, `${QUIET.replace('under test', 'renamed')}limits: {subscriptionsPerSession: 1}\n`)
  router.child.kill('SIGHUP')
  await router.printed(/configuration read again.*applied=limits\.subscriptionsPerSession/, 'stderr')
  await router.printed(/need a restart keys=name/, 'stderr')
  await client.subscribe(['/one'], () => {})
  await assert.rejects(
    client.subscribe(['/two'], () => {}),
    /429/,
  )

  await writeFile(file, 'limits: {params: none}\n')
  router.child.kill('SIGHUP')
  await router.printed(/limits\.params.*none/, 'stderr')
  await router.printed(/stays as it was/, 'stderr')
  assert.equal((await client.get('/a'))?.revision, 1)
})

test('when an update has replaced the code, the router goes on, and says that it needs a restart', async (t) => {
  const file = join(await folderWith(t, { 'config.yaml': `${QUIET}bridges: []\n` }), 'config.yaml')
  // Hard links: they take no room, and the program does not find its way back to dist.
  const folder = await mkdtemp(join('dist', 'updated-'))
  t.after(() => rm(folder, { recursive: true }))
  await mkdir(join(folder, 'app'))
  const names = await readdir('dist/app')
  for (const name of ['clasp-edge.cjs', ...names.map((part) => `app/${part}`)])
    await link(join('dist', name), join(folder, name))
  const router = new RunningCommand(['run', '--config', file], { bundle: join(folder, 'clasp-edge.cjs') })
  t.after(() => router.child.kill('SIGKILL'))
  const [url] = await router.printed(/ws:\/\/127\.0\.0\.1:\d+\/clasp/)
  await router.printed(/try next/)
  // That of WebSockets is loaded with the first of them.
  const client = await connect(url.replace(/^ws:(.*)\/clasp$/, 'tcp:$1'))
  t.after(() => client.close())
  await rm(join(folder, 'app'), { recursive: true })
  await writeFile(file, `${QUIET}devices: [{name: bath, kind: aht20}]\n`)
  router.child.kill('SIGHUP')
  await router.printed(/stays as it was: restart clasp-edge/, 'stderr')
  const page = await fetch(url.replace(/^ws/, 'http'))
  assert.deepEqual([page.status, await page.text()], [503, 'restart the router\n'])
  await router.printed(/WebSocket and HTTP cannot be served: restart clasp-edge/, 'stderr')
  await client.set('/a', { type: 'i64', value: 1 })

  await writeFile(file, `${QUIET}bridges: [{id: desk, kind: osc}]\n`)
  router.child.kill('SIGHUP')
  await router.printed(/could not be put to work/, 'stderr')
  router.child.kill('SIGINT')
  const { code, stderr } = await router.exited
  assert.deepEqual([code, /router stopped/.test(stderr)], [0, true], stderr)
})

test('a defect in one part is logged and ends nothing', async (t) => {
  const file = join(await folderWith(t, { 'config.yaml': QUIET }), 'config.yaml')
  const defect = "process.once('SIGUSR2', () => Promise.reject(new Error('a defect')))"
  const router = new RunningCommand(['run', '--config', file], {
    env: { NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(defect)}"` },
  })
  t.after(() => router.child.kill('SIGKILL'))
  await router.printed(/try next/)
  router.child.kill('SIGUSR2')
  await router.printed(/a part of the router has failed, the rest goes on.*a defect/, 'stderr')
  router.child.kill('SIGINT')
  const { code, stderr } = await router.exited
  assert.deepEqual([code, /router stopped/.test(stderr)], [0, true], stderr)
})

test('contradicting and wrong options of run are refused, exit code 2', async () => {
  const both = await cli(['run', '--simulate', '--no-simulate'])
  assert.equal(both.code, 2)
  assert.match(both.stderr, /exclude each other/)
  const port = await cli(['run', '--port', '70000'])
  assert.equal(port.code, 2)
  assert.match(port.stderr, /--port: "70000" is not a whole number from 0 to 65535/)
})
