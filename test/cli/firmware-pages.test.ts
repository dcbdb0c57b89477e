import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { rawServer } from '../client/scripted-router.ts'
import { until } from '../until.ts'
import { cli, RunningCommand } from './run-cli.ts'

type Pages = Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>>

/** A router as far as these commands see one: pages by path. Returns its URL. */
async function routerWith(t: TestContext, pages: Pages): Promise<string> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://router')
    const page = pages[pathname]
    if (page === undefined) response.writeHead(404).end('not found\n')
    else page(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const json = (body: unknown) => (_request: IncomingMessage, response: ServerResponse) =>
  void response.end(JSON.stringify(body))

const SIGNAL = { address: '/stage/fog', id: 0, kind: 'param', access: 'rw', unit: '%' }

function deviceWith(more: object = {}) {
  return {
    uid: '0011223344556677',
    name: 'fog',
    prefix: '/dev/fog/',
    port: '192.0.2.7:5000',
    state: 'online',
    onlineMs: 200_000,
    roundTripMs: 1.234,
    conflicts: 0,
    counters: { framesIn: 1200, framesOut: 300, bytesIn: 2048, bytesOut: 100, records: 1500 },
    signals: [SIGNAL],
    ...more,
  }
}

function portWith(more: object = {}) {
  return { selector: 'usb:2341', path: '', state: 'absent', baudRate: 115_200, counters: {}, ...more }
}

const pagesOf = (devices: object[], ports: object[] = []): Pages => ({
  '/firmware': json({ ports, devices, udp: {} }),
})

test('info puts what went wrong on a link into words, and leaves out what did not', async (t) => {
  const counters = { ...deviceWith().counters, crcErrors: 12, retransmissions: 3, lostUnreliable: 0, stalls: 1 }
  const url = await routerWith(t, pagesOf([deviceWith({ counters, conflicts: 2 })]))
  const { code, stdout } = await cli(['firmware', 'info', 'fog', '-u', url])
  assert.equal(code, 0)
  assert.match(stdout, /^state +online for 3 min 20 s$/m)
  assert.match(stdout, /^round trip +1\.23 ms$/m)
  assert.match(stdout, /^traffic +in 1,200 frames, 2\.0 kB; out 300 frames, 100 B; 1,500 values and events$/m)
  assert.match(stdout, /^ {3}2 times another device came with this uid: give each its own$/m)
  assert.match(stdout, /^ {2}12 frames arrived damaged \(CRC\): look at the cable/m)
  assert.match(stdout, /^ {3}3 frames were sent to the device again/m)
  assert.match(stdout, /^ {3}1 times the device could not keep up/m)
  assert.doesNotMatch(stdout, /were lost/)
  assert.match(stdout, /^\/stage\/fog +param +rw +%$/m)
})

test('what a device calls itself cannot drive the terminal', async (t) => {
  const name = 'fog\u001b[2J\nforged'
  const url = await routerWith(t, pagesOf([deviceWith({ name, firmware: name, port: name })]))
  for (const args of [['info'], ['info', '0011223344556677'], ['info', 'nobody'], ['ports']]) {
    const { stdout, stderr } = await cli(['firmware', ...args, '-u', url])
    assert.ok(!`${stdout}${stderr}`.includes('\u001b'), args.join(' '))
    assert.doesNotMatch(`${stdout}${stderr}`, /^forged/m, args.join(' '))
  }
})

test('the list has one line a device, with --json all that is known', async (t) => {
  const devices = [deviceWith(), deviceWith({ uid: '0011223344556678', name: 'haze', state: 'away', counters: {} })]
  const url = await routerWith(t, pagesOf(devices))
  const { stdout } = await cli(['firmware', 'info', '-u', url])
  assert.match(stdout, /^fog +0011223344556677 +online +192\.0\.2\.7:5000 +1 +1\.23 ms +0 +0 +0\n/m)
  assert.match(stdout, /^haze +0011223344556678 +away /m)
  const all = await cli(['firmware', 'info', '--json', '-u', url])
  assert.deepEqual(
    all.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    devices,
  )
  const empty = await cli(['firmware', 'info', '-u', await routerWith(t, pagesOf([]))])
  assert.deepEqual([empty.code, empty.stdout], [0, ''])
  assert.match(empty.stderr, /has no devices; "clasp-edge firmware ports" shows the ports/)
})

test('ports shows what the router waits for, and why it has not opened a port', async (t) => {
  const denied = 'no permission for /dev/ttyUSB9: add the user to dialout'
  const ports = [portWith(), portWith({ selector: '/dev/ttyUSB9', state: 'failed', error: denied })]
  const url = await routerWith(t, pagesOf([], ports))
  const { code, stdout } = await cli(['firmware', 'ports', '-u', url])
  assert.equal(code, 0)
  assert.match(stdout, /^usb:2341 +router: not plugged in$/m)
  assert.match(stdout, /^\/dev\/ttyUSB9 +router: no permission for \/dev\/ttyUSB9: add the user to dialout$/m)
  const lines = (await cli(['firmware', 'ports', '--json', '-u', url])).stdout.trimEnd().split('\n')
  const rows = lines.map((line) => JSON.parse(line))
  assert.ok(
    rows.some(({ path, state, router }) => path === 'usb:2341' && state === 'absent' && router.baudRate === 115_200),
  )
})

test('ping counts what is lost, and its exit code tells whether anything came back', async (t) => {
  const answers = [1, 3, undefined, 2]
  let asked = 0
  const ping = (request: IncomingMessage, response: ServerResponse) => {
    assert.match(request.url ?? '', /device=0011223344556677$/)
    const rttMs = answers[asked++ % answers.length]
    if (rttMs !== undefined) response.end(JSON.stringify({ rttMs }))
    else response.writeHead(504).end(JSON.stringify({ error: 'no answer within 2000 ms' }))
  }
  const url = await routerWith(t, { ...pagesOf([deviceWith()]), '/firmware/ping': ping })
  const four = await cli(['firmware', 'ping', 'fog', '-n', '4', '-i', '1ms', '-u', url])
  assert.deepEqual(
    [four.code, four.stdout.split('\n').slice(1)],
    [
      0,
      [
        '1  1.00 ms',
        '2  3.00 ms',
        '3  no answer within 2000 ms',
        '4  2.00 ms',
        '4 sent, 3 answered, 25.0 % lost',
        'min 1.00 ms, median 2.00 ms, p99 3.00 ms, max 3.00 ms',
        '',
      ],
    ],
  )
  asked = 2
  const one = await cli(['firmware', 'ping', 'fog', '-n', '1', '--json', '-u', url])
  assert.equal(one.code, 1)
  assert.equal(one.stdout, '{"number":1,"error":"no answer within 2000 ms"}\n{"sent":1,"answered":0}\n')
})

test('a monitor takes frames of every kind, broken ones too, without a word of its own going wrong', async (t) => {
  const at = (hex: string, mode = 'link') => ({
    atUs: 1,
    direction: 'in',
    mode,
    port: 'p',
    uid: '0011223344556677',
    hex,
  })
  const texts: [frame: object, shown: RegExp][] = [
    [at('', 'link'), /too short for a frame/],
    [at('00'), /too short for a frame/],
    [at('8f00'), /control 15/],
    [at('8200'), /ANNOUNCE .* of 0 bytes/],
    [at('830001'), /WELCOME .*too short/],
    [at('8400'), /BYE +ack 0 +normal/],
    [at('840007003c'), /BYE +ack 0 +sleep 60 s/],
    [at('84000263'), /BYE +ack 0 +protocol error/],
    [at('840063'), /BYE +ack 0 +reason 99/],
    [at('88000001'), /TIME +ack 0 +too short/],
    [at('8800000000010000000000000000ffffffffffffffff'), /TIME +ack 0 +1 µs of the device/],
    [at('88000000000100000000000000ff'), /TIME +ack 0 +too short/],
    [at('880000000001ffffffffffffffff0000000000000000'), /TIME +ack 0 +1 µs of the device/],
    [at('890000001000'), /BAUD\? +ack 0 +4096 baud/],
    [at('8d00016869'), /LOG +ack 0 +info: hi/],
    [at('751306003f000000'), /reliable #1 +ack 3 +again not-ready \/stage\/fog = 0\.5$/m],
    [at('001006003f00'), /lossy +#1 +ack 0 +malformed: 06003f00$/m],
    [at('400070000193'), /\/stage\/fog was refused \(403\)/],
    [at('400070050000'), /#5 is stored/],
    [at('4000600000000a06003dcccccd'), /sampled at 10 µs of the device; \/stage\/fog = 0\.1$/m],
    [at('400061ffffffffffffffff'), /at 18446744073709551615 µs$/m],
    [at('4000620f01'), /bundle; #1 = true/],
    [at('400046000200643f0000003f800000'), /stream \/stage\/fog \[0\.5, 1\.0\] every 1 ms/],
    [at('400050000107'), /gesture \/stage\/fog move #7/],
    [at('40001f0013000000070f'), /malformed|\/stage\/fog = true/],
    [at('4000b001032f2a2a0032'), /subscribe 1 \/\*\*, 50\/s at most/],
    [at('4000b101'), /unsubscribe 1/],
    [at('4000e00000643dcccccd'), /\/stage\/fog every 100 ms, changes above 0\.1/],
    [at('4000c000020000'), /unreadable message: /],
    [at('400080000a05'), /bad declaration: /],
    [at('ffff', 'raw'), /raw {2}unreadable: /],
    [at('53010001', 'slip'), /slip unreadable: /],
    [at('5301000141', 'slip'), /slip PING/],
    [at('00000600', 'datagram'), /lossy +#0/],
  ]
  const frames = (_request: IncomingMessage, response: ServerResponse) => {
    response.write('no json\n\n{"hex":1}\n')
    response.end(texts.map(([frame]) => `${JSON.stringify(frame)}\n`).join(''))
  }
  const url = await routerWith(t, { ...pagesOf([deviceWith()]), '/firmware/frames': frames })
  const { code, stdout, stderr } = await cli(['firmware', 'monitor', 'fog', '-n', String(texts.length), '-u', url])
  assert.deepEqual([code, stderr], [0, ''])
  const lines = stdout.trimEnd().split('\n')
  assert.equal(lines.length, texts.length)
  for (const [i, [frame, shown]] of texts.entries()) assert.match(lines[i], shown, JSON.stringify(frame))
})

test('names of a device that started over are asked for again', async (t) => {
  let reports = 0
  const report = (_request: IncomingMessage, response: ServerResponse) => {
    const signals = reports++ === 0 ? [] : [SIGNAL]
    response.end(JSON.stringify({ ports: [], devices: [deviceWith({ signals })], udp: {} }))
  }
  let stream: ServerResponse | undefined
  const url = await routerWith(t, {
    '/firmware': report,
    '/firmware/frames': (_request, response) => {
      response.flushHeaders()
      stream = response
    },
  })
  const monitor = new RunningCommand(['firmware', 'monitor', 'fog', '-n', '2', '-u', url])
  await until(() => stream !== undefined, 'watcher')
  const frame = { direction: 'in', mode: 'link', port: 'p', uid: '0011223344556677', hex: '40000f00' }
  stream?.write(`${JSON.stringify({ ...frame, atUs: 1 })}\n`)
  await monitor.printed(/#0 = true/)
  stream?.write(`${JSON.stringify({ ...frame, atUs: 3_000_000 })}\n`)
  const { code, stdout } = await monitor.exited
  assert.equal(code, 0)
  assert.match(stdout, /\/stage\/fog = true\n$/)
})

test('a router that cannot be asked is an operator’s matter: a sentence, exit code 1, no stack', async (t) => {
  const other = await routerWith(t, {})
  const silent = `tcp://127.0.0.1:${await rawServer(t)}`
  const nonsense = await routerWith(t, { '/firmware': json({ ports: 1 }) })
  const busy = await routerWith(t, {
    ...pagesOf([deviceWith()]),
    '/firmware/frames': (_request, response) => void response.writeHead(503).end('{"error":"8 are watching already"}'),
    '/firmware/ping': (_request, response) => void response.writeHead(500).end('<html>'),
  })
  const cases: [args: string[], stderr: RegExp][] = [
    [['info', '-u', other], /does not tell about microcontrollers: it has none configured/],
    [['info', '-u', nonsense], /does not tell about microcontrollers/],
    [['info', '-u', 'ws://127.0.0.1:1'], /no router runs at 127\.0\.0\.1:1: start one with "clasp-edge run"/],
    [['info', '-u', silent, '--timeout', '200ms'], /cannot be asked \(it did not answer within 200 ms\)/],
    [['ports', '-u', silent, '--timeout', '200ms'], /cannot be asked/],
    [['info', '-u', 'http://x'], /is not an address of a router/],
    [['monitor', 'fog', '-u', busy], /the router shows no frames: 8 are watching already/],
    [['ping', 'fog', '-n', '1', '-u', busy], /fog does not answer/],
    [['ping', 'fgo', '-u', busy], /knows no device "fgo": did you mean "fog"\?/],
    [['monitor', 'fgo', '-u', busy], /knows no device "fgo"/],
    [['monitor', 'fog', '-u', 'ws://127.0.0.1:1'], /"fog" is no port, and no router runs at 127\.0\.0\.1:1/],
    [['monitor', '/dev/nowhere', '-u', busy], /no serial port \/dev\/nowhere: plug it in/],
    [['ports', '/dev/nowhere', '-u', busy], /no serial port \/dev\/nowhere: plug it in/],
  ]
  const outcomes = await Promise.all(cases.map(([args]) => cli(['firmware', ...args])))
  for (const [i, { code, stderr }] of outcomes.entries()) {
    const [args, text] = cases[i]
    assert.equal(code, 1, args.join(' '))
    assert.match(stderr, text, args.join(' '))
    assert.doesNotMatch(stderr, / {4}at |this is a bug/, args.join(' '))
  }
})

test('commands of two words have help, and what is mistyped is guessed', async () => {
  const words = [
    'firmware ports',
    'firmware info',
    'firmware monitor',
    'firmware ping',
    'firmware flash',
    'simulate node',
  ]
  for (const name of words) {
    const { code, stdout, stderr } = await cli([...name.split(' '), '--help'])
    assert.deepEqual([code, stderr], [0, ''], name)
    assert.match(stdout, new RegExp(`^Usage: clasp-edge ${name}\\b.*\\[OPTIONS\\]\\n`))
    assert.equal((await cli(['help', ...name.split(' ')])).stdout, stdout)
  }
  const overall = await cli(['--help'])
  assert.match(overall.stdout, /^ {2}firmware {2}microcontrollers/m)
  for (const args of [
    ['firmware', '--help'],
    ['help', 'firmware'],
  ]) {
    const { code, stdout } = await cli(args)
    assert.equal(code, 0)
    assert.match(stdout, /^Usage: clasp-edge firmware COMMAND \[OPTIONS\]\n/)
    assert.match(stdout, /^ {2}flash {4}put firmware on a board/m)
  }
  const bare = await cli(['firmware'])
  assert.deepEqual([bare.code, bare.stdout], [2, ''])
  const wrong: [args: string[], text: RegExp][] = [
    [['firmware', 'prots'], /no command "firmware prots": did you mean "ports"\?/],
    [['firmware', 'frobnicate'], /no command "firmware frobnicate": clasp-edge firmware --help lists them/],
    [['firmware', '--json'], /no option --json here; options come behind a command/],
    [['firmware', 'ping'], /clasp-edge firmware ping: an argument is missing/],
    [['firmware', 'ping', 'x', '--cuont', '1'], /did you mean --count\?/],
    [['firmware', 'ports', 'ttyUSB0'], /"ttyUSB0" is no port: expected a path, or usb:2341:0043/],
    [['firmware', 'monitor', '/dev/x', '--baud', '1'], /--baud: "1" is not a whole number from 50 to 4000000/],
  ]
  for (const [args, text] of wrong) {
    const { code, stderr } = await cli(args)
    assert.equal(code, 2, args.join(' '))
    assert.match(stderr, text)
  }
})
