import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scene } from '../scene.ts'

const PORT = '/dev/ttyUSB0'

/** What was written to the port, as text. */
function written(scene: Scene): string[] {
  const texts: string[] = []
  scene.serial.onWritten = (_, bytes) => texts.push(Buffer.from(bytes).toString('latin1'))
  return texts
}

async function feed(scene: Scene, text: string | Uint8Array): Promise<void> {
  assert.ok(scene.serial.feed(PORT, typeof text === 'string' ? Buffer.from(text) : text), 'nobody has the port open')
  await scene.settle()
}

const start = (t: Parameters<typeof Scene.start>[0], more = '') =>
  Scene.start(t, `- {name: scanner, kind: lines, port: ${PORT}, simulate: false${more}}`)

test('a line is an event, in whatever pieces it comes, and none is kept as a param', async (t) => {
  const scene = await start(t)
  await feed(scene, '40057')
  await feed(scene, '00123\r')
  await feed(scene, '\nnext\n\nlast')
  assert.deepEqual(scene.told('/serial/scanner/line'), ['4005700123', 'next'])
  assert.equal(scene.params.has('/serial/scanner/line'), false)
  await feed(scene, '\r')
  assert.deepEqual(scene.told('/serial/scanner/line').slice(2), ['last'])
})

test('a port is opened as the configuration says', async (t) => {
  const scene = await start(t, ', baudRate: 2400, dataBits: 7, parity: even, stopBits: 2')
  const { baudRate, dataBits, parity, stopBits, rs485 } = scene.serial.requestOf(PORT) ?? assert.fail('not open')
  assert.deepEqual([baudRate, dataBits, parity, stopBits, rs485], [2400, 7, 'even', 2, false])
})

test('lines end and are written as the device wants them', async (t) => {
  const scene = await start(t, ', separator: etx, encoding: latin1, ending: crlf')
  const texts = written(scene)
  await feed(scene, Uint8Array.of(0x32, 0x31, 0xb0, 0x0a, 0x43, 0x03))
  assert.deepEqual(scene.told('/serial/scanner/line'), ['21°\nC'])
  await scene.publish('/serial/scanner/send', 'SET 5°')
  assert.deepEqual(texts, ['SET 5\xb0\r\n'])
})

test('what is sent takes the time of the wire and the pause, and a flood is cut off with a word', async (t) => {
  const scene = await start(t, ', baudRate: 1000, pause: 100ms')
  const texts = written(scene)
  for (let i = 0; i < 3; i++) await scene.publish('/serial/scanner/send', `line ${i}..`)
  assert.deepEqual(texts, ['line 0..\n'])
  // Nine characters of ten bits.
  await scene.pass(189)
  assert.equal(texts.length, 1)
  await scene.pass(1)
  assert.equal(texts.length, 2)
  await scene.pass(190)
  assert.equal(texts.length, 3)
  for (let i = 0; i < 80; i++) await scene.publish('/serial/scanner/send', `${i}`)
  assert.deepEqual(scene.told('/serial/scanner/error', 'code'), ['full'])
  await scene.pass(60_000, 50)
  assert.equal(texts.length, 3 + 64)
})

test('a device that sends too many lines is cut down to its rate', async (t) => {
  const scene = await start(t, ', maxRate: 5')
  await feed(scene, 'x\n'.repeat(100))
  assert.equal(scene.told('/serial/scanner/line').length, 5)
  assert.match(String(scene.told('/serial/scanner/error', 'message')[0]), /more than 5 lines a second/)
  await scene.pass(1000)
  await feed(scene, 'y\n'.repeat(100))
  assert.equal(scene.told('/serial/scanner/line').length, 10)
})

test('a line without an end fills no memory, and the next one is whole', async (t) => {
  const scene = await start(t)
  await feed(scene, 'first\n')
  await feed(scene, new Uint8Array(1_000_000).fill(0x55))
  await feed(scene, '\ngood\n')
  assert.deepEqual(scene.told('/serial/scanner/line'), ['first', 'good'])
  assert.match(String(scene.told('/serial/scanner/error', 'message')[0]), /longer than 4096 bytes/)
})

test('a device that went silent is told as failing, and again as well', async (t) => {
  const scene = await start(t, ', silence: 30s')
  await feed(scene, 'hello\n')
  await scene.pass(29_000)
  assert.equal(scene.params.get('/serial/scanner/ok'), true)
  await scene.pass(1000)
  assert.equal(scene.params.get('/serial/scanner/ok'), false)
  assert.match(String(scene.told('/serial/scanner/error', 'message')), /for 30 s .* 9600 baud 8N1; nothing came at all/)
  await feed(scene, 'hello\n')
  assert.equal(scene.params.get('/serial/scanner/ok'), true)
})

test('a port that is unplugged is opened again when it is back', async (t) => {
  const scene = await start(t)
  await feed(scene, 'one\nhalf')
  scene.serial.unplug(PORT)
  await scene.settle()
  assert.equal(scene.params.get('/serial/scanner/ok'), false)
  await scene.publish('/serial/scanner/send', 'lost')
  await scene.pass(5000, 100)
  scene.serial.plug(PORT)
  await scene.pass(60_000, 1000)
  assert.equal(scene.params.get('/serial/scanner/ok'), true)
  await feed(scene, 'two\n')
  assert.deepEqual(scene.told('/serial/scanner/line'), ['one', 'two'])
})

test('a simulated device says what a client plays', async (t) => {
  const scene = await Scene.start(t, `- {name: scanner, kind: lines, port: ${PORT}}`)
  await scene.publish('/serial/scanner/simulated/line', '12345')
  assert.deepEqual(scene.told('/serial/scanner/line'), ['12345'])
})

test('nothing runs on after the stop', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: scanner, kind: lines, port: ${PORT}, simulate: false, silence: 30s, pause: 10s}
- {name: boat, kind: nmea, port: /dev/ttyAMA0, simulate: false}`,
  )
  await scene.publish('/serial/scanner/send', 'one')
  await scene.publish('/serial/scanner/send', 'two')
  await feed(scene, 'half')
  await scene.stop()
  const left = scene.clock.pendingTimers
  const idle = await Scene.start(t, '- {name: lamp, kind: led, line: A}')
  await idle.stop()
  assert.equal(left, idle.clock.pendingTimers)
})
