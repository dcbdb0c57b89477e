import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect } from '../../runtime/client/connect.ts'
import { plainOf } from '../../runtime/devices/wire-value.ts'
import { bool } from '../router/fixture.ts'
import { until } from '../until.ts'
import { FakeChip, fakeHolder } from './holder.ts'

const WATCHDOG_MS = 90
const NAMES = ['GPIO0', 'GPIO1', 'GPIO2', 'GPIO3']
/** What the outputs of the configuration are when they are safe, after all of them were on, except the second. */
const SAFE = ['0', '1', '1', 'z']

const CONFIG = `
name: under test
listen: {host: 127.0.0.1, port: 0, udp: false}
discovery: {mdns: false, broadcast: false}
journal: {enabled: false}
simulate: false
failSafe: {watchdog: ${WATCHDOG_MS}ms, linger: 500ms}
devices:
  - {name: pump, kind: relay, line: GPIO0}
  - {name: fan, kind: relay, line: GPIO1, safe: on}
  - {name: light, kind: led, line: GPIO2, safe: hold}
  - {name: valve, kind: relay, line: GPIO3, safe: release}
`

interface Running {
  child: ChildProcess
  chip: FakeChip
  url: string
  levels(): string[]
}

/** The program as it is installed, with lines that are files, and all outputs opposite to their safe state. */
async function startRouter(t: TestContext): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-safe-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const chip = new FakeChip(t, NAMES)
  symlinkSync(resolve('dist/clasp-edge.cjs'), join(folder, 'clasp-edge.cjs'))
  copyFileSync(fakeHolder(), join(folder, 'clasp-io'))
  writeFileSync(join(folder, 'config.yaml'), CONFIG)
  const child = spawn(process.execPath, ['clasp-edge.cjs', 'run', '--config', 'config.yaml'], {
    cwd: folder,
    env: { ...process.env, CLASP_IO_FAKE: chip.root },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text) => {
      said += text
    })
  }
  await until(() => /port=\d+/.test(said) || child.exitCode !== null, 'start of the router')
  const port = /port=(\d+)/.exec(said)?.[1]
  assert.ok(port, said)
  const url = `tcp://127.0.0.1:${port}`
  const client = await connect(url, { name: 'test' })
  const levels = () => NAMES.map((_, offset) => chip.level(offset))
  await tellUntil(
    () => levels().join('') === '1011',
    'outputs that are on',
    async () => {
      for (const address of ['/relay/pump', '/gpio/light', '/relay/valve']) await client.set(address, bool(true))
      await client.set('/relay/fan', bool(false))
    },
  )
  client.close()
  return { child, chip, url, levels }
}

/** On a slow machine the watchdog steps in between two commands: they are repeated until it is so. */
async function tellUntil(isSo: () => boolean, what: string, tell: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`no ${what}`)
    await tell()
    await until(isSo, what, 500).catch(() => {})
  }
}

/** How long the outputs took to become safe, ms. */
async function safeAfter({ levels }: Running, act: () => void): Promise<number> {
  const startedAt = performance.now()
  act()
  await until(() => levels().join('') === SAFE.join(''), 'safe outputs')
  return performance.now() - startedAt
}

test('outputs are safe when the router is killed', async (t) => {
  const running = await startRouter(t)
  const ms = await safeAfter(running, () => running.child.kill('SIGKILL'))
  t.diagnostic(`safe after ${ms.toFixed(1)} ms`)
  assert.ok(ms < 1000)
})

test('outputs are safe when the router hangs, and wait for a new command when it goes on', async (t) => {
  const running = await startRouter(t)
  const ms = await safeAfter(running, () => running.child.kill('SIGSTOP'))
  t.diagnostic(`safe after ${ms.toFixed(1)} ms`)
  assert.ok(ms < 1000)
  running.child.kill('SIGCONT')
  const client = await connect(running.url, { name: 'test' })
  t.after(() => client.close())
  const shown = new Map<string, unknown>()
  await client.subscribe(['/relay/*'], ({ address, value }) => {
    if (value !== undefined) shown.set(address, plainOf(value))
  })
  await until(() => shown.get('/relay/pump') === false && shown.get('/relay/fan') === true, 'params as the outputs are')
  assert.deepEqual(running.levels(), SAFE)
  await tellUntil(
    () => running.levels().join('') === '1111',
    'outputs that are on again',
    async () => {
      for (const address of ['/relay/pump', '/relay/valve']) await client.set(address, bool(true))
    },
  )
})

test('outputs are safe when the router is told to stop', async (t) => {
  const running = await startRouter(t)
  await safeAfter(running, () => running.child.kill('SIGTERM'))
  await until(() => running.child.exitCode !== null, 'end of the router')
  assert.equal(running.child.exitCode, 0)
  assert.deepEqual(running.levels(), SAFE)
})
