import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { Line } from '../line/line.ts'
import { RawEnd } from '../line/raw-end.ts'
import { until } from '../until.ts'
import { LinkDevice, UID } from './link-device.ts'
import { cli, folderWith, QUIET, RunningCommand, type RunningRouter, startRouter } from './run-cli.ts'

async function lineFor(t: TestContext): Promise<Line> {
  const folder = await folderWith(t)
  return Line.open({ a: join(folder, 'port'), b: join(folder, 'board') }, t)
}

/** A router that serves one end of a line, and the device at the other. */
async function routerWithDevice(t: TestContext): Promise<{ router: RunningRouter; device: LinkDevice; line: Line }> {
  const line = await lineFor(t)
  const router = await startRouter(t, `${QUIET}firmware: {serial: [{port: ${line.a}}]}\n`)
  const device = new LinkDevice(line.b, t)
  await router.printed(/device online/, 'stderr')
  return { router, device, line }
}

/** A port at which no router is. */
const NOBODY = 'ws://127.0.0.1:1'

test('ports, info and ping tell of a device at a running router', async (t) => {
  const { router, line } = await routerWithDevice(t)
  const at = (...args: string[]) => cli(['firmware', ...args], { env: { CLASP_URL: router.url } })

  const ports = await at('ports')
  assert.equal(ports.code, 0)
  assert.match(ports.stdout, /^PORT +USB +WHAT +SPEAKS +STABLE NAME\n/)
  assert.ok(ports.stdout.includes(`${line.a} `), ports.stdout)
  assert.match(ports.stdout, / link: demo \(served by the router\)$/m)

  const list = await at('info')
  assert.match(list.stdout, new RegExp(`^demo +${UID} +online +${line.a} +1\\.2\\.3 +3 `, 'm'))

  const info = await at('info', 'demo')
  assert.match(info.stdout, new RegExp(`^device +demo \\(${UID}\\)\\nstate +online for `))
  assert.match(info.stdout, /^firmware +1\.2\.3$/m)
  assert.match(info.stdout, /^trouble +none$/m)
  assert.match(info.stdout, /^\/dev\/demo\/led +param .*rw$/m)
  assert.match(info.stdout, /^\/dev\/demo\/temp +param .*°C$/m)
  assert.deepEqual((await at('info', UID)).stdout.split('\n')[0], info.stdout.split('\n')[0])
  assert.deepEqual((await at('info', line.a)).stdout.split('\n')[0], info.stdout.split('\n')[0])
  assert.equal(JSON.parse((await at('info', '--json', 'demo')).stdout).uid, UID)

  const unknown = await at('info', 'dmeo')
  assert.deepEqual([unknown.code, unknown.stdout], [1, ''])
  assert.match(
    unknown.stderr,
    /^clasp-edge firmware info: the router at .* knows no device "dmeo": did you mean "demo"\?\n$/,
  )

  const ping = await at('ping', 'demo', '-n', '5', '-i', '1ms')
  assert.equal(ping.code, 0)
  assert.match(
    ping.stdout,
    new RegExp(`^ping demo \\(${UID}\\) through the router at 127\\.0\\.0\\.1:\\d+\\n1  \\d+\\.\\d\\d ms\\n`),
  )
  assert.match(
    ping.stdout,
    /^5 sent, 5 answered, 0 % lost\nmin [\d.]+ ms, median [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms\n$/m,
  )
})

test('ping of a device that has fallen silent ends with 1 and says so', async (t) => {
  const { router, device } = await routerWithDevice(t)
  const ping = new RunningCommand(['firmware', 'ping', 'demo', '-i', '1ms', '-u', router.url])
  await ping.printed(/^3 {2}\d+/m)
  device.isMute = true
  await ping.printed(/no answer within 2000 ms|no device/)
  ping.child.kill('SIGINT')
  const some = await ping.exited
  assert.equal(some.code, 0, 'it has answered before')
  assert.match(some.stdout, /\n\d+ sent, \d+ answered, \d+\.\d % lost\n/)
  const none = await cli(['firmware', 'ping', UID, '-n', '1', '-u', router.url])
  assert.equal(none.code, 1)
  assert.match(none.stderr, /demo does not answer: is it plugged in, and does it run\?/)
})

test('monitor prints the frames of a device that the router serves, with names and values', async (t) => {
  const { router, device, line } = await routerWithDevice(t)
  const monitor = new RunningCommand(['firmware', 'monitor', 'demo', '-u', router.url])
  await monitor.printed(/^\d\d:\d\d:\d\d\.\d{6} {2}in {3}lossy +#\d+ +ack \d+ +\/dev\/demo\/temp = 21\.5$/m)
  device.press()
  await monitor.printed(/ in {3}reliable #\d+ +ack \d+ +event \/dev\/demo\/button$/m)
  await cli(['set', '/dev/demo/led', 'true', '-u', router.url])
  await monitor.printed(/ out {2}reliable #\d+ +ack \d+ +\/dev\/demo\/led = true/)
  monitor.child.kill('SIGINT')
  assert.equal((await monitor.exited).code, 0)

  const raw = await cli(['firmware', 'monitor', line.a, '--raw', '-n', '3', '-u', router.url])
  assert.equal(raw.code, 0)
  assert.match(raw.stdout, /\/dev\/demo\/temp = 21\.5 {2}00[0-9a-f]{2}060041ac0000$/m)
  assert.equal(raw.stdout.trimEnd().split('\n').length, 3)
  const json = await cli(['firmware', 'monitor', UID, '--json', '-n', '1', '-u', router.url])
  const frame = JSON.parse(json.stdout)
  assert.deepEqual([frame.mode, frame.uid, frame.port, typeof frame.atUs], ['link', UID, line.a, 'number'])
  const listening = await cli(['firmware', 'monitor', line.a, '--listen', '-u', router.url])
  assert.match(listening.stderr, /the router at .* serves it: leave out --listen/)
})

test('monitor says so when the router stops', async (t) => {
  const { router } = await routerWithDevice(t)
  const monitor = new RunningCommand(['firmware', 'monitor', 'demo', '-u', router.url])
  await monitor.printed(/temp = 21\.5/)
  router.child.kill('SIGINT')
  const { code, stderr } = await monitor.exited
  assert.equal(code, 1)
  assert.match(stderr, /^clasp-edge firmware monitor: the router at .* has ended the connection: was it stopped\?\n$/)
})

test('monitor opens a port that no router has, and is the host of the device', async (t) => {
  const line = await lineFor(t)
  const monitor = new RunningCommand(['firmware', 'monitor', line.a, '-u', NOBODY])
  await monitor.printed(/is open at 115200 baud, this command is its host/, 'stderr')
  const device = new LinkDevice(line.b, t)
  await monitor.printed(/ in {3}ANNOUNCE +ack 0 +demo a1b2c3d4e5f60718, boot 5eed0001, descriptor /)
  await monitor.printed(/ out {2}WELCOME .*session [0-9a-f]{4}, frames of 256, window 8, keep-alive 1000 ms/)
  await monitor.printed(
    /declares #0 temp param f32 r °C; declares #1 led param bool rw; declares #2 button event r; firmware "1\.2\.3"; descriptor [0-9a-f]{8} is complete/,
  )
  await monitor.printed(/temp = 21\.5/)
  device.write('\nhello from setup()\n\0')
  await monitor.printed(/device says: .*hello from setup\(\)/, 'stderr')
  await line.unplug('a')
  const { code, stderr } = await monitor.exited
  assert.equal(code, 1)
  assert.match(stderr, /clasp-edge firmware monitor: .* is gone \(.*\): plug it in and start again\n$/)
})

test('monitor that only listens sends nothing', async (t) => {
  const line = await lineFor(t)
  const monitor = new RunningCommand(['firmware', 'monitor', '--listen', line.a, '-n', '2', '-u', NOBODY])
  await monitor.printed(/only listening/, 'stderr')
  new LinkDevice(line.b, t)
  const { code, stdout } = await monitor.exited
  assert.equal(code, 0)
  assert.match(stdout, /ANNOUNCE.*\n.*ANNOUNCE/)
  assert.equal((await line.stats())['a->b'].carried, 0)
})

test('frames of upstream firmware are shown as messages', async (t) => {
  const line = await lineFor(t)
  const monitor = new RunningCommand(['firmware', 'monitor', line.a, '-u', NOBODY])
  await monitor.printed(/this command is its host/, 'stderr')
  const board = new RawEnd(line.b, t)
  await board.write(encodeFrame({ type: 'HELLO', version: 1, features: ['param'], name: 'old' }))
  await monitor.printed(/ in {3}raw {2}HELLO "old" param\n.* out {2}raw {2}WELCOME /)
  await board.write(encodeFrame({ type: 'SET', address: '/old/x', value: { type: 'f64', value: 0.25 } }))
  await monitor.printed(/ in {3}raw {2}SET \/old\/x = 0\.25$/m)
  monitor.child.kill('SIGINT')
  assert.equal((await monitor.exited).code, 0)
})

test('--probe tells what speaks on ports that nobody has', async (t) => {
  const [link, old, text, silent] = await Promise.all([lineFor(t), lineFor(t), lineFor(t), lineFor(t)])
  new LinkDevice(link.b, t)
  const board = new RawEnd(old.b, t)
  const printer = new RawEnd(text.b, t)
  const hello = encodeFrame({ type: 'HELLO', version: 1, features: ['param'], name: 'old' })
  const timer = setInterval(() => {
    void board.write(hello)
    void printer.write('\0temperature 21\r\n\0')
  }, 200)
  const probe = new RunningCommand(
    ['firmware', 'ports', '--probe', '--json', '-u', NOBODY, link.a, old.a, text.a, silent.a],
    { input: '' },
  )
  const { code, stdout } = await probe.exited
  clearInterval(timer)
  assert.equal(code, 0)
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    rows.map(({ path, state, device }) => [path, state, device]),
    [
      [link.a, 'link', UID],
      [old.a, 'raw', undefined],
      [text.a, 'text', undefined],
      [silent.a, 'silent', undefined],
    ],
  )
  assert.equal(rows[0].words, 'link: demo, firmware 1.2.3')
})

test('a port that another program has is named with that program', async (t) => {
  const line = await lineFor(t)
  new LinkDevice(line.b, t)
  const monitor = new RunningCommand(['firmware', 'monitor', line.a, '-u', NOBODY])
  t.after(() => monitor.child.kill('SIGKILL'))
  await monitor.printed(/temp = 21\.5/)
  const second = await cli(['firmware', 'monitor', line.a, '-u', NOBODY])
  assert.equal(second.code, 1)
  assert.match(second.stderr, new RegExp(`in use by .*\\(pid ${monitor.child.pid}\\)`))
  const ports = await cli(['firmware', 'ports', line.a, '-u', NOBODY])
  assert.match(ports.stdout, new RegExp(`in use by .*\\(pid ${monitor.child.pid}\\)`))
  monitor.child.kill('SIGTERM')
  await until(() => monitor.child.exitCode !== null, 'end')
})
