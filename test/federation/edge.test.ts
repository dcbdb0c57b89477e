/** Leaf and hub as `clasp-edge run` starts them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { cli, RunningCommand } from '../cli/run-cli.ts'

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-edge-hub-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function start(t: TestContext, folder: string, name: string, more: string, port = 0) {
  const config = join(folder, `${name}.yaml`)
  writeFileSync(
    config,
    `name: ${name}\nlisten: { host: 127.0.0.1, port: ${port}, udp: false }\ndiscovery: { mdns: false, broadcast: false }\n` +
      `simulate: false\nstate: { selfInterval: 100ms }\n${more}\n`,
  )
  const running = new RunningCommand(['run', '--config', config])
  const stop = async () => {
    running.child.kill('SIGTERM')
    return running.exited
  }
  t.after(stop)
  const [, taken] = await running.printed(/ws:\/\/127\.0\.0\.1:(\d+)/)
  return { url: `ws://127.0.0.1:${taken}`, port: Number(taken), running, stop }
}

async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await check())) if (Date.now() > deadline) assert.fail(`no ${what}`)
}

test('a leaf with a journal brings what changed while its hub was away, also after a restart of its own', async (t) => {
  const folder = place(t)
  const hub = await start(t, folder, 'house', 'hub: { accept: true }')
  const yaml = `journal: { folder: ${folder}/leaf }\nhub: { url: "${hub.url}", id: stage, namespaces: [/stage/**], retry: { shortest: 50ms, longest: 200ms } }`
  const first = await start(t, folder, 'stage', yaml)
  await first.running.printed(/connected to the hub/, 'stderr')
  await cli(['set', '--url', first.url, '/stage/level', '1'])
  await eventually(
    'value at the hub',
    async () => (await cli(['get', '--url', hub.url, '/stage/level'])).stdout === '1\n',
  )
  const leaves = await cli(['status', '--url', hub.url])
  assert.match(leaves.stdout, /leaves +stage \(\/stage\/\*\*\)/)

  await hub.stop()
  await first.running.printed(/no link to the hub/, 'stderr')
  await cli(['set', '--url', first.url, '/stage/level', '2'])
  await cli(['set', '--url', first.url, '/stage/new', '3'])
  await eventually('words about the hub', async () => {
    const { stdout } = await cli(['status', '--url', first.url])
    return /uplink +away, trying again: .*2 params and 0 events wait.*nothing listens at/.test(stdout)
  })
  await first.stop()

  const again = await start(t, folder, 'stage', yaml)
  const back = await start(t, folder, 'house', 'hub: { accept: true }', hub.port)
  await again.running.printed(/connected to the hub/, 'stderr')
  for (const [address, value] of [
    ['/stage/level', '2\n'],
    ['/stage/new', '3\n'],
  ]) {
    await eventually(
      `${address} at the hub`,
      async () => (await cli(['get', '--url', back.url, address])).stdout === value,
    )
  }
  const { stdout } = await cli(['get', '--url', again.url, '/stage/_leaf/stage/state'])
  assert.equal(stdout, '"active"\n')
})

test('what does not fit together in the part of the hub is told before anything starts', async (t) => {
  const folder = place(t)
  const config = join(folder, 'wrong.yaml')
  for (const [yaml, words] of [
    ['hub: { url: "ws://hub:1" }', /hub\.namespaces: name at least one/],
    ['hub: { url: "ws://hub:1", namespaces: [/**] }', /hub\.namespaces: \/\*\*: it claims every address/],
    ['hub: { url: "ws://hub:1", namespaces: [/a] }', /one must end in \/\*\*/],
    ['hub: { url: "hub.local" }', /"hub\.local" is no URL of a hub/],
    ['hub: { url: "ws://hub:1", namespaces: [/a/**], writeRemote: [/a/b] }', /overlaps the own namespace/],
  ] as const) {
    writeFileSync(config, `${yaml}\n`)
    for (const command of [
      ['check', config],
      ['run', '--config', config],
    ]) {
      const { code, stderr } = await cli(command)
      assert.equal(code, 2, stderr)
      assert.match(stderr, words)
      assert.doesNotMatch(stderr, /\n {4}at /)
    }
  }
})
