import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { Bundle, Client, Message, Server } from 'node-osc'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { until } from '../../until.ts'
import { freeUdpPort, Gear, startOsc } from './osc-scene.ts'

const run = promisify(execFile)
const int = (value: number): Value => ({ type: 'i64', value })
const float = (value: number): Value => ({ type: 'f64', value })
const string = (value: string): Value => ({ type: 'string', value })

const isThere = (program: string) => spawnSync('which', [program]).status === 0
const liblo = ['oscsend', 'oscdump', 'stdbuf'].every(isThere)
  ? false
  : 'SKIPPED: oscsend and oscdump are missing: apt-get install liblo-tools'
const tshark = ['tshark', 'text2pcap'].every(isThere) ? false : 'SKIPPED: tshark is missing: apt-get install tshark'

test('oscsend sets params of every type', { skip: liblo }, async (t) => {
  const { port, scene } = await startOsc(t)
  const types = 'ifsTFNhdc'
  await run('oscsend', ['127.0.0.1', `${port}`, '/all', types, '-5', '0.5', 'words', '123456789012', '0.25', 'A'])
  assert.deepEqual(await scene.untilParam('/osc/all'), {
    type: 'array',
    value: [
      int(-5),
      float(0.5),
      string('words'),
      { type: 'bool', value: true },
      { type: 'bool', value: false },
      { type: 'null' },
      int(123_456_789_012),
      float(0.25),
      string('A'),
    ],
  })
})

/** What `oscdump` prints, line by line without its time stamps. */
async function dump(t: TestContext, port: number): Promise<{ lines: string[]; child: ChildProcess }> {
  const child = spawn('stdbuf', ['-oL', 'oscdump', `${port}`], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.after(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const lines: string[] = []
  let rest = ''
  child.stdout?.on('data', (chunk) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts.map((line) => line.replace(/^[0-9a-f]+\.[0-9a-f]+ /, '')))
  })
  return { lines, child }
}

test('oscdump prints what the router tells, with the types that OSC programs expect', { skip: liblo }, async (t) => {
  const port = await freeUdpPort()
  const { lines } = await dump(t, port)
  const { scene } = await startOsc(t, `, minInterval: 0ms, targets: [{host: 127.0.0.1, port: ${port}}]`)
  // It does not say when it listens.
  let count = 0
  await until(() => {
    void scene.set('/osc/ready', int(count++))
    return lines.length > 0
  }, 'an oscdump that listens')
  await scene.set('/osc/f', float(0.5))
  await scene.set('/osc/h', int(2 ** 40))
  await scene.set('/osc/list', { type: 'array', value: [int(1), string('two'), { type: 'bool', value: true }] })
  await scene.set('/osc/nil', { type: 'null' })
  await scene.event('/osc/go', { type: 'null' })
  await until(() => lines.some((line) => line.startsWith('/go')), 'the last line')
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('/ready')).map((line) => line.trim()),
    ['/f f 0.500000', '/h h 1099511627776', '/list isT 1 "two" #T', '/nil N Nil', '/go'],
  )
})

test('node-osc sends messages and bundles, and hears as a target', async (t) => {
  const listening = await freeUdpPort()
  const server = new Server(listening, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const heard: unknown[][] = []
  server.on('message', (message: unknown[]) => heard.push(message))
  const { port, scene } = await startOsc(t, `, targets: [{host: 127.0.0.1, port: ${listening}}]`)
  const client = new Client('127.0.0.1', port)
  t.after(() => client.close())
  const message = new Message('/mix/level')
  message.append([3, 'names', 0.5, true])
  await client.send(message)
  await client.send(new Bundle(['/a', 1], ['/b', 'two']))
  await scene.untilParam('/osc/b')
  assert.deepEqual(scene.param('/osc/mix/level'), {
    type: 'array',
    value: [int(3), string('names'), float(0.5), { type: 'bool', value: true }],
  })
  assert.deepEqual([scene.param('/osc/a'), scene.param('/osc/b')], [int(1), string('two')])
  await scene.set('/osc/out', {
    type: 'array',
    value: [int(7), float(0.25), string('x'), { type: 'bool', value: false }],
  })
  await until(() => heard.some(([address]) => address === '/out'), 'a message at node-osc')
  assert.deepEqual(heard.at(-1), ['/out', 7, 0.25, 'x', false])
})

test('tshark finds nothing malformed in what is sent', { skip: tshark }, async (t) => {
  const target = await Gear.open(t)
  const bundles = await Gear.open(t)
  const { scene } = await startOsc(
    t,
    `, targets: [{host: 127.0.0.1, port: ${target.port}},
      {host: 127.0.0.1, port: ${bundles.port}, bundle: true, nestedArrays: brackets}]`,
  )
  await scene.send({
    type: 'BUNDLE',
    messages: [
      { type: 'SET', address: '/osc/f', value: float(0.5) },
      { type: 'SET', address: '/osc/h', value: int(2 ** 40) },
      { type: 'SET', address: '/osc/b', value: { type: 'bytes', value: Uint8Array.of(1, 2, 3, 4, 5) } },
      { type: 'SET', address: '/osc/t', value: { type: 'bool', value: true } },
      { type: 'SET', address: '/osc/s', value: string('né') },
      { type: 'SET', address: '/osc/n', value: { type: 'null' } },
    ],
  })
  await target.hears('/n')
  await bundles.hears('/n')
  const folder = mkdtempSync(join(tmpdir(), 'osc-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const packets = [...target.packets, ...bundles.packets]
  const dumped = packets.map((packet) => `0000 ${packet.toString('hex').replace(/../g, '$& ')}\n`)
  writeFileSync(join(folder, 'hex'), dumped.join('\n'))
  await run('text2pcap', ['-q', '-u', '8000,9000', join(folder, 'hex'), join(folder, 'pcap')])
  const dissect = (...more: string[]) =>
    run('tshark', ['-r', join(folder, 'pcap'), '--enable-heuristic', 'osc_udp', ...more]).then(({ stdout }) =>
      stdout.trim(),
    )
  assert.equal(await dissect('-Y', '_ws.malformed || _ws.expert.severity == error'), '')
  const seen = await dissect('-Y', 'osc', '-T', 'fields', '-e', 'osc.message.header.path')
  assert.equal(seen.split('\n').length, packets.length)
  assert.equal(packets.length, 7)
  assert.match(seen, /\/f,\/h,\/b,\/t,\/s,\/n/)
})
