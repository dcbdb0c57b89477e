import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { until } from '../until.ts'
import { cli, folderWith, RunningCommand } from './run-cli.ts'

/** Stands in for the program that the build makes: tells how it was called, and answers what it is told. */
const FAKE_NODE = `#!/bin/sh
echo "{\\"answer\\":\\"called\\",\\"value\\":\\"$*\\"}"
echo '{"state":"running"}'
echo '{"input":"/sim/led","value":true,"type":1,"why":"changed"}'
echo '{"node":2,"input":"/sim/led","value":false,"type":1,"why":"fellBack"}'
echo '{"match":"/lights/a","id":16384}'
echo '{"refused":"/sim/led","code":403}'
echo '{"baud":1000000}'
echo 'no json'
while read -r line; do
  case "$line" in
    end) exit 0 ;;
    fail) echo "simulated-node: it hurts" >&2; exit 3 ;;
    *) echo "{\\"answer\\":\\"$line\\",\\"result\\":\\"ok\\"}" ;;
  esac
done
`

interface Installed {
  /** Starts the command line of this installation. */
  start(...args: string[]): { child: ChildProcess; output(): string; errors(): string; ended: Promise<number | null> }
}

/** The bundle in a folder of its own, with the program beside it if there is one. */
async function installation(t: TestContext, program?: string): Promise<Installed> {
  const folder = await folderWith(t)
  await symlink(resolve('dist/clasp-edge.cjs'), join(folder, 'clasp-edge.cjs'))
  if (program !== undefined) {
    await writeFile(join(folder, 'simulated-node'), program)
    await chmod(join(folder, 'simulated-node'), 0o755)
  }
  return {
    start(...args) {
      const child = spawn(process.execPath, [join(folder, 'clasp-edge.cjs'), 'simulate', 'node', ...args])
      let output = ''
      let errors = ''
      child.stdout.setEncoding('utf8').on('data', (text) => {
        output += text
      })
      child.stderr.setEncoding('utf8').on('data', (text) => {
        errors += text
      })
      t.after(() => child.kill('SIGKILL'))
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
      return { child, output: () => output, errors: () => errors, ended }
    },
  }
}

test('what happens to a simulated node is told in words, and what is typed reaches it', async (t) => {
  const { start } = await installation(t, FAKE_NODE)
  const { child, output, ended } = start('--pty', '/tmp/x', '--name', 'demo', '--drift-ppm', '-50', '--lossy')
  child.stdin?.write('set /sim/knob 0.5\n')
  await until(() => output().includes('knob 0.5: ok'), 'answer')
  child.stdin?.write('end\n')
  assert.equal(await ended, 0)
  assert.deepEqual(output().trimEnd().split('\n'), [
    'called: value "--pty /tmp/x --name demo --drift-ppm -50 --lossy --stdin"',
    'running',
    '/sim/led = true',
    '2: /sim/led = false, its safe value: the link is down',
    'there is /lights/a',
    '/sim/led: the router refused it (403)',
    'now at 1000000 baud',
    'no json',
    'set /sim/knob 0.5: ok',
  ])
})

test('a simulated node goes on when nobody types, and ends with 0 on Ctrl-C', async (t) => {
  const { start } = await installation(t, FAKE_NODE)
  const { child, output, ended } = start('--udp', '127.0.0.1:7330', '--json')
  child.stdin?.end()
  await until(() => output().includes('no json'), 'happenings')
  assert.ok(output().includes('{"state":"running"}\n'))
  child.kill('SIGINT')
  assert.equal(await ended, 0)
})

test('a simulated node that fails ends the command with 1', async (t) => {
  const { start } = await installation(t, FAKE_NODE)
  const { child, errors, ended } = start('--port', '/dev/x')
  child.stdin?.end('fail\n')
  assert.equal(await ended, 1)
  assert.match(
    errors(),
    /^simulated-node: it hurts\nclasp-edge simulate node: the simulated microcontroller has ended \(exit code 3\)/,
  )
})

test('without the program the command says how to build it, and wrong options what is expected', async (t) => {
  const { start } = await installation(t)
  const missing = start('--pty', '/tmp/x')
  assert.equal(await missing.ended, 1)
  assert.match(missing.errors(), /is not built .*run "npm run build" with a C compiler installed/)
  const cases: [args: string[], text: RegExp][] = [
    [[], /where is it\? say one of --port PATH, --pty LINK, --udp HOST:PORT/],
    [['--pty', '/tmp/x', '--udp', 'a:1'], /where is it\?/],
    [['--pty', '/tmp/x', '--count', 'many'], /--count: "many" is not a whole number/],
    [['--pty', '/tmp/x', '--rate', 'fast'], /--rate: "fast"/],
  ]
  for (const [args, text] of cases) {
    const { errors, ended } = start(...args)
    assert.equal(await ended, 2, args.join(' '))
    assert.match(errors(), text)
  }
})

test('the simulated node is a device for the monitor and for --probe', async (t) => {
  if (!existsSync('dist/simulated-node')) return t.skip('dist/simulated-node is not built: apt install gcc libc6-dev')
  const port = join(await folderWith(t), 'node')
  const node = new RunningCommand(['simulate', 'node', '--pty', port, '--name', 'demo', '--firmware', '4.5'])
  t.after(() => node.child.kill('SIGKILL'))
  await until(() => existsSync(port), 'pseudo-terminal')
  const nobody = 'ws://127.0.0.1:1'
  const monitor = new RunningCommand(['firmware', 'monitor', port, '-u', nobody])
  await node.printed(/^running$/m)
  node.child.stdin?.write('emit /sim/button pressed\n')
  await node.printed(/^emit: ok$/m)
  await monitor.printed(/ in {3}reliable .*event \/sim\/button "pressed"/)
  monitor.child.kill('SIGINT')
  assert.equal((await monitor.exited).code, 0)
  const { stdout } = await cli(['firmware', 'ports', '--probe', port, '-u', nobody])
  assert.match(stdout, / link: demo, firmware 4\.5$/m)
  node.child.kill('SIGINT')
  assert.equal((await node.exited).code, 0)
  assert.ok(!existsSync(port), 'its pseudo-terminal is gone with it')
})
