import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SerialError } from '../../runtime/transports/serial-error.ts'
import { openSerialPort, type SerialPort, type SerialPortOptions } from '../../runtime/transports/serial-port.ts'
import { Line, type LineOptions } from '../line/line.ts'
import { RawEnd } from '../line/raw-end.ts'
import { until } from '../until.ts'

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'serial-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function openLine(t: TestContext, options: Partial<LineOptions> = {}): Promise<Line> {
  const folder = folderFor(t)
  return Line.open({ a: join(folder, 'a'), b: join(folder, 'b'), ...options }, t)
}

/** An open port that remembers everything. */
interface Opened {
  port: SerialPort
  received: () => Buffer
  gone: string[]
  drains: number
}

async function open(t: TestContext, path: string, options: Partial<SerialPortOptions> = {}): Promise<Opened> {
  const chunks: Buffer[] = []
  const opened: Omit<Opened, 'port'> = { received: () => Buffer.concat(chunks), gone: [], drains: 0 }
  const port = await openSerialPort(
    path,
    { baudRate: 115_200, ...options },
    {
      onData: (bytes) => chunks.push(Buffer.from(bytes)),
      onDrain: () => {
        opened.drains++
      },
      onGone: (reason) => opened.gone.push(reason),
    },
  )
  t.after(() => port.close())
  return Object.assign(opened, { port })
}

/** Pseudo-random, so that a byte in the wrong place shows. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let x = 1
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = x >>> 24
  }
  return bytes
}

const settings = (path: string) => execFileSync('stty', ['-F', path, '-a'], { encoding: 'utf8' })

for (const baudRate of [9600, 115_200, 250_000, 1_000_000, 4_000_000]) {
  test(`bytes go both ways at ${baudRate} baud`, async (t) => {
    const line = await openLine(t, { baud: 'follow' })
    const a = await open(t, line.a, { baudRate })
    const b = await open(t, line.b, { baudRate })
    assert.equal(a.port.baudRate, baudRate)
    assert.equal((await line.stats()).a.baud, baudRate)
    a.port.write(noise(300))
    b.port.write(noise(200))
    await until(() => b.received().length === 300 && a.received().length === 200, 'the bytes')
    assert.deepEqual(b.received(), noise(300))
    assert.deepEqual(a.received(), noise(200))
    assert.equal((await line.stats())['a->b'].garbled, 0)
  })
}

test('a port is raw, 8N1, ignores modem lines and does not hang up when closed', async (t) => {
  const line = await openLine(t)
  await open(t, line.a)
  const words = new Set(settings(line.a).split(/[\s;]+/))
  for (const word of [
    'cs8',
    '-parenb',
    '-cstopb',
    'clocal',
    '-crtscts',
    '-hupcl',
    '-icanon',
    '-echo',
    '-opost',
    '-ixon',
  ]) {
    assert.ok(words.has(word), word)
  }
})

test('a megabyte each way at once arrives intact', async (t) => {
  const line = await openLine(t)
  const a = await open(t, line.a)
  const b = await open(t, line.b)
  const sent = noise(1_048_576)
  a.port.write(sent)
  b.port.write(sent)
  assert.equal(a.port.backlogBytes, sent.length)
  await until(() => a.received().length >= sent.length && b.received().length >= sent.length, 'the bytes', 60_000)
  assert.ok(a.received().equals(sent))
  assert.ok(b.received().equals(sent))
  assert.equal(a.port.backlogBytes, 0)
  assert.equal(a.drains, 1)
})

test('what is written may be overwritten at once, and arrives in order', async (t) => {
  const line = await openLine(t)
  const a = await open(t, line.a)
  const b = await open(t, line.b)
  const bytes = new Uint8Array(1)
  for (let i = 0; i < 1000; i++) {
    bytes[0] = i
    a.port.write(bytes)
  }
  await until(() => b.received().length === 1000, 'the bytes')
  assert.deepEqual(
    [...b.received()],
    Array.from({ length: 1000 }, (_, i) => i & 255),
  )
})

test('a device that takes nothing leaves a backlog, and drain tells when it is gone', async (t) => {
  const line = await openLine(t)
  const a = await open(t, line.a)
  const device = new RawEnd(line.b, t)
  device.pause()
  a.port.write(noise(200_000))
  let isDrained = false
  const draining = a.port.drain().then(() => {
    isDrained = true
  })
  await until(() => a.port.backlogBytes < 200_000, 'the driver to take some')
  assert.equal(isDrained, false)
  // The other direction is not held up.
  await device.write('still heard')
  await until(() => a.received().length === 11, 'the other direction')
  device.resume()
  await draining
  assert.equal(a.port.backlogBytes, 0)
  await until(() => device.received.length === 200_000, 'the bytes')
  assert.equal(a.drains, 1)
})

test('the baud rate changes between what was written before and after', async (t) => {
  const line = await openLine(t, { baud: 'follow' })
  const a = await open(t, line.a, { baudRate: 9600 })
  const b = await open(t, line.b, { baudRate: 9600 })
  a.port.write(Buffer.from('slow'))
  await until(() => b.received().length === 4, 'the slow bytes')
  const changes = [a.port.setBaudRate(1_000_000), b.port.setBaudRate(1_000_000)]
  a.port.write(Buffer.from('fast'))
  assert.equal(a.port.backlogBytes, 4)
  await assert.rejects(a.port.setBaudRate(500_000), /being changed already/)
  await Promise.all(changes)
  await until(() => b.received().length === 8, 'the fast bytes')
  assert.equal(b.received().toString(), 'slowfast')
  assert.equal(a.port.baudRate, 1_000_000)
  const stats = await line.stats()
  assert.deepEqual([stats.a.baud, stats.b.baud, stats['a->b'].garbled], [1_000_000, 1_000_000, 0])
})

test('ends with different baud rates do not understand each other', async (t) => {
  const line = await openLine(t, { baud: 'follow' })
  const a = await open(t, line.a, { baudRate: 115_200 })
  const b = await open(t, line.b, { baudRate: 9600 })
  a.port.write(noise(100))
  await until(() => b.received().length === 100, 'garbage')
  assert.notDeepEqual(b.received(), noise(100))
  await b.port.setBaudRate(115_200)
  a.port.write(noise(100))
  await until(() => b.received().length === 200, 'the bytes')
  assert.deepEqual(b.received().subarray(100), noise(100))
})

test('a baud rate that is out of range is refused in words', async (t) => {
  const line = await openLine(t)
  const { port } = await open(t, line.a)
  for (const rate of [0, 4_000_001, 9600.5, Number.NaN]) {
    await assert.rejects(port.setBaudRate(rate), {
      code: 'unsupported',
      message: /baud is not possible at .*: set 50 … /,
    })
    await assert.rejects(open(t, line.b, { baudRate: rate }), { code: 'unsupported' })
  }
  assert.equal(port.baudRate, 115_200)
})

test('an unplugged port is gone, once, and everything that waits for it ends', async (t) => {
  const line = await openLine(t)
  const a = await open(t, line.a)
  const device = new RawEnd(line.b, t)
  device.pause()
  a.port.write(noise(200_000))
  const draining = assert.rejects(a.port.drain(), { name: 'SerialError', code: 'gone' })
  await line.unplug('a')
  await until(() => a.gone.length > 0, 'onGone')
  await draining
  assert.match(a.gone[0], /\/a is gone \(/)
  a.port.write(noise(10))
  assert.equal(a.port.backlogBytes, 0)
  await assert.rejects(a.port.setBaudRate(9600), { code: 'gone' })
  await a.port.close()
  await line.plug('a')
  const again = await open(t, line.a)
  device.resume()
  again.port.write(Buffer.from('back'))
  await until(() => device.received.subarray(-4).toString() === 'back', 'the bytes')
  assert.equal(a.gone.length, 1)
})

test('a closed port calls nobody', async (t) => {
  const line = await openLine(t)
  const a = await open(t, line.a)
  const device = new RawEnd(line.b, t)
  await device.write(noise(1000))
  await a.port.close()
  await a.port.close()
  const { length } = a.received()
  await line.unplug('a')
  await line.plug('a')
  const again = await open(t, line.a)
  await device.write('x')
  await until(() => again.received().length > 0, 'the bytes')
  assert.equal(a.received().length, length)
  assert.deepEqual([a.gone, a.drains], [[], 0])
})

test('a board without modem lines cannot be reset, and opens all the same', async (t) => {
  const line = await openLine(t)
  const { port } = await open(t, line.a, { resetOnOpen: true })
  await assert.rejects(port.pulseReset(), { code: 'unsupported' })
})

test('a second open is refused and names who has the port', async (t) => {
  const line = await openLine(t)
  await open(t, line.a)
  await assert.rejects(open(t, line.a), {
    code: 'busy',
    message: `${line.a} is in use by this process (pid ${process.pid}): stop it, or set another path`,
  })
  const other = spawn('flock', ['--exclusive', line.b, '-c', 'echo locked; read end'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => other.on('close', resolve))
  await new Promise((resolve) => other.stdout.once('data', resolve))
  await assert.rejects(open(t, line.b), {
    code: 'busy',
    message: `${line.b} is in use by flock (pid ${other.pid}): stop it, or set another path`,
  })
  other.stdin.end()
  await ended
  await open(t, line.b)
})

test('a missing port is reported with the ports there are', async (t) => {
  const folder = folderFor(t)
  const dangling = join(folder, 'dangling')
  symlinkSync(join(folder, 'nothing'), dangling)
  for (const path of ['/dev/ttyUSB99', dangling]) {
    await assert.rejects(open(t, path), {
      code: 'missing',
      message: new RegExp(
        `^no serial port ${path}: plug it in, or set another path \\((there are: /dev/|this machine has none)`,
      ),
    })
  }
})

test('a file that is no serial port is reported as that', async (t) => {
  const path = join(folderFor(t), 'file')
  writeFileSync(path, '')
  await assert.rejects(open(t, path), { code: 'unsupported', message: /is not a serial port/ })
})

test('a port that this user may not open is reported with both remedies', async (t) => {
  const line = await openLine(t)
  const terminal = realpathSync(line.a)
  // The library must be loaded while this user may read it.
  await (await open(t, line.a)).port.close()
  let refused: Promise<unknown>
  if (process.getuid?.() === 0) {
    chownSync(terminal, 0, 20)
    chmodSync(terminal, 0o660)
    chmodSync(join(line.a, '..'), 0o755)
    process.seteuid?.(65_534)
    refused = open(t, line.a)
    refused.catch(() => {})
    await refused.catch(() => {}).finally(() => process.seteuid?.(0))
  } else {
    chmodSync(terminal, 0)
    refused = open(t, line.a)
  }
  const error = await refused.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof SerialError)
  assert.equal(error.code, 'denied')
  assert.match(error.message, /^not allowed to open .*, which belongs to the group \w+ \(mode \d+\): /)
  assert.match(
    error.message,
    /put this line into \/etc\/udev\/rules.d\/.*: SUBSYSTEM=="tty", .*, GROUP="dialout", MODE="0660"/,
  )
})

test('opening and closing 200 times leaves no descriptor behind', async (t) => {
  const line = await openLine(t)
  const descriptors = () => readdirSync('/proc/self/fd').length
  const cycle = async () => {
    const { port } = await open(t, line.a)
    port.write(noise(10))
    await port.close()
  }
  await cycle()
  const before = descriptors()
  for (let i = 0; i < 200; i++) await cycle()
  assert.equal(descriptors(), before)
})
