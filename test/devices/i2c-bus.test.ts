import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { compile } from '../../.scripts/native.mjs'
import type { Board } from '../../boards/board.ts'
import { boardById } from '../../boards/detect.ts'
import type { DeviceClock } from '../../devices/device.ts'
import type { I2cBus, I2cError } from '../../devices/i2c/bus.ts'
import { ToBus } from '../../devices/i2c/bus-messages.ts'
import { explainDenied } from '../../devices/i2c/i2c-failure.ts'
import { KernelI2c } from '../../devices/i2c/kernel-i2c.ts'
import { ProgramMessage } from '../../devices/process/program-messages.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { fakeFiles } from '../boards/fake-files.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { FakeI2c, fakeI2cProgram } from './fake-i2c.ts'

interface Circumstances {
  clock?: DeviceClock
  watchdogMs?: number
  sysfs?: string
  board?: Board
}

function busesOf(t: TestContext, { dev }: { dev: string }, { watchdogMs = 2000, ...rest }: Circumstances = {}) {
  const program = async () => fakeI2cProgram()
  const buses = new KernelI2c({ program, clock: systemClock, watchdogMs, lingerMs: 0, dev, sysfs: '/nowhere', ...rest })
  t.after(() => buses.stop())
  return buses
}

async function problem(work: Promise<unknown>): Promise<I2cError> {
  return work.then(
    () => assert.fail('it worked'),
    (error) => error,
  )
}

const bytes = (...values: number[]) => Uint8Array.from(values)
const quiet = () => {}

test('transactions of all users follow one another, by one process that ends with the last user', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x76, { 208: 0x60 })
  fake.attach(0x40)
  const buses = busesOf(t, fake)
  const [one, other] = await Promise.all([buses.open('1', quiet), buses.open(fake.path, quiet)])
  const pid = buses.pid(fake.path)
  const answers = await Promise.all([
    one.transfer(0x76, bytes(0xd0), 1),
    other.transfer(0x40, bytes(0x05, 0x12, 0x34), 0),
    one.transfer(0x40, bytes(0x05), 2),
  ])
  assert.deepEqual(answers, [bytes(0x60), bytes(), bytes(0x12, 0x34)])
  assert.deepEqual(fake.takeLog(), ['i2c 0x76 d0 read 1', 'i2c 0x40 05 12 34', 'i2c 0x40 05 read 2'])
  await one.close()
  assert.equal(buses.pid(fake.path), pid)
  assert.equal((await problem(one.transfer(0x76, bytes(0xd0), 1))).code, 'lost')
  await other.close()
  assert.throws(() => process.kill(pid as number, 0), 'the process is still there')
})

test('long transactions arrive whole', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x3c)
  const bus = await busesOf(t, fake).open('1', quiet)
  // All registers sixteen times over, so that the last round counts; the pointer is where it was.
  const long = Uint8Array.from({ length: 4096 }, (_, i) => (i === 0 ? 0 : i >> 4))
  await bus.transfer(0x3c, long, 0)
  const read = await bus.transfer(0x3c, bytes(0), 4096)
  assert.equal(read.length, 4096)
  assert.equal(read[0], (3840 + 1) >> 4)
  assert.equal(read[4094], 4095 >> 4)
  assert.equal((await problem(bus.transfer(0x3c, new Uint8Array(4097), 0))).code, 'unsupported')
})

test('a lost arbitration is tried again three times', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x20)
  const bus = await busesOf(t, fake).open('1', quiet)
  fake.put('again', '...')
  await bus.transfer(0x20, bytes(0x01, 0x02), 0)
  assert.equal(fake.takeLog().length, 4)
  fake.put('again', '....')
  const error = await problem(bus.transfer(0x20, bytes(0x01, 0x02), 0))
  assert.match(error.message, /no turn on the I2C bus 1: does another controller talk on it\?/)
})

test('an adapter that only speaks SMBus gets what that has', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x48, { 1: 0x85, 2: 0x83 })
  // As i2c-stub: quick, byte, byte data, word data, I2C block.
  fake.put('functions', '0x0c7f0000')
  const bus = await busesOf(t, fake).open('1', quiet)
  assert.deepEqual(await bus.transfer(0x48, bytes(1), 1), bytes(0x85))
  assert.deepEqual(await bus.transfer(0x48, bytes(1), 2), bytes(0x85, 0x83))
  await bus.transfer(0x48, bytes(), 0)
  await bus.transfer(0x48, bytes(7), 0)
  await bus.transfer(0x48, bytes(7, 1), 0)
  await bus.transfer(0x48, bytes(7, 1, 2), 0)
  await bus.transfer(0x48, bytes(7, 1, 2, 3), 0)
  assert.deepEqual(await bus.transfer(0x48, bytes(7), 3), bytes(1, 2, 3))
  assert.deepEqual(await bus.transfer(0x48, bytes(), 1), bytes(0))
  assert.deepEqual(fake.takeLog(), [
    'byte-data 0x48 01 read 1',
    'word-data 0x48 01 read 2',
    'quick 0x48',
    'byte 0x48 07',
    'byte-data 0x48 07 01',
    'word-data 0x48 07 01 02',
    'block 0x48 07 01 02 03',
    'block 0x48 07 read 3',
    'byte 0x48 read 1',
  ])
  for (const work of [bus.transfer(0x48, bytes(), 2), bus.transfer(0x48, bytes(0x2c, 6), 6)]) {
    const error = await problem(work)
    assert.equal(error.code, 'unsupported')
    assert.match(error.message, /0x48 of the I2C bus 1: its adapter only speaks SMBus/)
  }
  assert.equal((await problem(bus.transfer(0x48, bytes(1), 33))).code, 'unsupported')
})

test('a chip that is not there, and one that the kernel has, are told apart', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x77)
  fake.put('0x77.taken')
  const root = fakeFiles(t, {
    'sys/bus/i2c/devices/i2c-1': { link: 'sys/devices/platform/soc/fe804000.i2c/i2c-1' },
    'sys/devices/platform/soc/fe804000.i2c/i2c-1/1-0077/driver': { link: 'sys/bus/i2c/drivers/bmp280' },
  })
  const bus = await busesOf(t, fake, { sysfs: join(root, 'sys') }).open('1', quiet)
  const absent = await problem(bus.transfer(0x76, bytes(0xd0), 1))
  assert.equal(absent.code, 'absent')
  assert.match(absent.message, /no chip answers at 0x76 of the I2C bus 1: check its wires; "clasp-edge i2c scan 1"/)
  const taken = await problem(bus.transfer(0x77, bytes(0xd0), 1))
  assert.equal(taken.code, 'taken')
  assert.match(taken.message, /the driver bmp280 of the kernel has the chip at 0x77 .* kind: hwmon or iio/)
  assert.match(taken.message, /echo 1-0077 \| sudo tee \/sys\/bus\/i2c\/drivers\/bmp280\/unbind/)
})

test('a bus that is not there is answered with what switches it on, or with those that there are', async (t) => {
  const fake = new FakeI2c(t, { name: 'i2c-7' })
  const pi = boardById('raspberry-pi-4') as Board
  const switchedOff = await problem(busesOf(t, fake, { board: pi }).open('1', quiet))
  assert.equal(switchedOff.code, 'missing')
  assert.match(
    switchedOff.message,
    /no I2C bus 1 \(.*\/i2c-1\): set dtparam=i2c_arm=on in config\.txt and start the board/,
  )
  assert.match((await problem(busesOf(t, fake).open('1', quiet))).message, /there is 7; set bus: to one of them/)
  const root = fakeFiles(t, { 'sys/bus/i2c/devices/i2c-1': { link: 'sys/devices/platform/soc/fe804000.i2c/i2c-1' } })
  const withoutNode = await problem(busesOf(t, fake, { sysfs: join(root, 'sys'), board: pi }).open('1', quiet))
  assert.match(withoutNode.message, /though the kernel has it: run "sudo modprobe i2c-dev"/)
  const missing = new KernelI2c({
    program: async () => null,
    clock: systemClock,
    watchdogMs: 90,
    lingerMs: 0,
    dev: fake.dev,
    sysfs: '/nowhere',
  })
  assert.match((await problem(missing.open('7', quiet))).message, /clasp-i2c.* is not installed: install gcc/)
})

test('whoever may not open a bus is told the group, or the rule', async (t) => {
  const root = fakeFiles(t, { 'etc/group': 'root:x:0:\ni2c:x:998:\n', 'dev/i2c-1': '' })
  const words = await explainDenied(join(root, 'dev/i2c-1'), { root, user: 'stage' })
  assert.match(words, /not allowed to open .*i2c-1: put this line .*SUBSYSTEM=="i2c-dev", GROUP="i2c", MODE="0660"/)
})

test('when the router is silent, guarded chips get their safe state in order, and nothing else until it knows', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x20, { 18: 0xff })
  fake.attach(0x21, { 18: 0xff })
  // Time that stands still: no beats.
  const bus = await busesOf(t, fake, { clock: new SteppedClock(), watchdogMs: 400 }).open('1', quiet)
  const forced: string[] = []
  const guard = await bus.guard(0x20, [bytes(0x12, 0x55)], () => forced.push('0x20'))
  guard.change([bytes(0x12, 0x01), bytes(0x13, 0x02)])
  const other = await bus.guard(0x21, [bytes(0x12, 0x00)], () => forced.push('0x21'))
  await other.close()
  await until(() => forced.length > 0, 'watchdog')
  const lines = fake.takeLog()
  assert.deepEqual(lines, ['i2c 0x20 12 01', 'i2c 0x20 13 02'])
  assert.equal(fake.register(0x21, 0x12), 0xff)
  // Resumed when it was told.
  await bus.transfer(0x20, bytes(0x12, 0x77), 0)
  assert.equal(fake.register(0x20, 0x12), 0x77)
  assert.deepEqual(forced, ['0x20'])
})

/** The program as a router starts it, which is killed then. */
async function orphan(t: TestContext, fake: FakeI2c, lingerMs: number, watchdogMs = 60_000) {
  const args = [fake.path, '--watchdog', String(watchdogMs), '--linger', String(lingerMs)]
  const child = spawn(fakeI2cProgram(), args, { stdio: ['pipe', 'pipe', 'ignore'] })
  t.after(() => child.kill('SIGKILL'))
  let heard = Buffer.alloc(0)
  child.stdout.on('data', (chunk: Buffer) => {
    heard = Buffer.concat([heard, chunk])
  })
  const guard = new ProgramMessage(ToBus.guard).u8(0x20).u16(2).raw(bytes(0x12, 0x0f)).u16(2).raw(bytes(0x13, 0xf0))
  child.stdin.write(guard.finish())
  // ready, opened, guarded
  await until(() => heard.length >= 4 + 7 + 7, 'guard')
  return { child, heard: () => heard }
}

test('when the router is killed, guarded chips get their safe state and the program ends', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x20, { 18: 0xff })
  const { child } = await orphan(t, fake, 10_000)
  assert.equal(fake.register(0x20, 0x12), 0xff)
  child.stdin.destroy()
  await once(child, 'exit')
  assert.deepEqual([fake.register(0x20, 0x12), fake.register(0x20, 0x13)], [0x0f, 0xf0])
})

test('a router that is stopped in the middle does nothing to guarded chips before it has resumed', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x20)
  const { child, heard } = await orphan(t, fake, 0, 40)
  // ready, opened, guarded, forced
  await until(() => heard().length >= 4 + 7 + 7 + 8, 'watchdog')
  const write = new ProgramMessage(ToBus.transfer).u8(0x20).u16(0).raw(bytes(0x12, 0xff))
  const at = heard().length
  child.stdin.write(write.finish())
  await until(() => heard().length >= at + 7, 'answer')
  // ECANCELED
  assert.deepEqual([...heard().subarray(at, at + 7)], [5, 0, 0x83, 125, 0, 0, 0])
  assert.equal(fake.register(0x20, 0x12), 0x0f)
})

test('a safe state that a chip does not take is tried again after the router was killed; nobody else guards meanwhile', async (t) => {
  const fake = new FakeI2c(t)
  const { child } = await orphan(t, fake, 10_000)
  child.stdin.destroy()
  const bus = await busesOf(t, fake).open('1', quiet)
  const error = await problem(bus.guard(0x20, [bytes(0x12, 0)], quiet))
  assert.match(error.message, /another clasp-edge looks after outputs on the I2C bus 1: stop it, or wait/)
  fake.attach(0x20)
  await once(child, 'exit')
  assert.equal(fake.register(0x20, 0x12), 0x0f)
  await bus.guard(0x20, [bytes(0x12, 0)], quiet)
})

test('when the process of a bus dies, its users hear of it, and the next one starts another', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x76)
  const buses = busesOf(t, fake)
  const lost: I2cError[] = []
  const bus = await buses.open('1', (error) => lost.push(error))
  const pid = buses.pid(fake.path) as number
  process.kill(pid, 'SIGKILL')
  await until(() => lost.length > 0, 'loss')
  assert.equal(lost[0].code, 'lost')
  assert.equal((await problem(bus.transfer(0x76, bytes(), 1))).code, 'lost')
  const again = await buses.open('1', quiet)
  assert.notEqual(buses.pid(fake.path), pid)
  assert.deepEqual(await again.transfer(0x76, bytes(), 1), bytes(0))
})

test('a bus that hangs in the kernel takes neither the other buses nor the router with it', async (t) => {
  const fake = new FakeI2c(t)
  const well = new FakeI2c(t, { dev: fake.dev, name: 'i2c-2' })
  fake.attach(0x76)
  well.attach(0x76, { 1: 5 })
  const clock = new SteppedClock()
  const buses = busesOf(t, fake, { clock })
  const lost: I2cError[] = []
  const bus = await buses.open('1', (error) => lost.push(error))
  const other = await buses.open('2', quiet)
  fake.put('hangs')
  const hanging = problem(bus.transfer(0x76, bytes(1), 1))
  const waiting = problem(bus.transfer(0x76, bytes(1), 1))
  assert.deepEqual(await other.transfer(0x76, bytes(1), 1), bytes(5))
  const pid = buses.pid(fake.path) as number
  clock.advance(2000)
  for (const error of [await hanging, await waiting, lost[0]]) {
    assert.equal(error.code, 'stuck')
    assert.match(error.message, /the kernel hangs in a transaction of the I2C bus 1: .* restart the board/)
  }
  fake.remove('hangs')
  await until(() => !isAlive(pid), 'end of the process that hung')
  let again: I2cBus | undefined
  const retry = () =>
    buses.open('1', quiet).then(
      (opened) => {
        again = opened
      },
      () => setTimeout(retry, 5),
    )
  await retry()
  await until(() => again !== undefined, 'bus')
  assert.deepEqual(await again?.transfer(0x76, bytes(1), 1), bytes(0))
})

function isAlive(pid: number): boolean {
  try {
    // What has ended and was not waited for yet is in state Z.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

test('after three stuck transactions in a row all users set their chips up anew; one that works in between counts', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x76)
  const pi = boardById('raspberry-pi-4') as Board
  const buses = busesOf(t, fake, { board: pi })
  const lost: string[] = []
  const one = await buses.open('1', (error) => lost.push(`one ${error.code}`))
  await buses.open('1', (error) => lost.push(`other ${error.code}`))
  const stuck = async () => problem(one.transfer(0x76, bytes(1), 1))
  for (let i = 0; i < 2; i++) {
    fake.put('stuck')
    assert.equal((await stuck()).code, 'stuck')
    assert.match(
      (await stuck()).message,
      /switch the supply .*sudo clasp-edge i2c recover 1"; SDA is GPIO2 \(pin 3\), SCL/,
    )
    fake.remove('stuck')
    await one.transfer(0x76, bytes(1), 1)
  }
  assert.deepEqual(lost, [])
  fake.put('stuck')
  for (let i = 0; i < 3; i++) await stuck()
  assert.deepEqual(lost, ['one stuck', 'other stuck'])
  fake.remove('stuck')
  const again = await buses.open('1', quiet)
  assert.deepEqual(await again.transfer(0x76, bytes(1), 1), bytes(0))
})

test('a scan finds the chips that answer and harms none; one that answers everywhere is a stuck bus', async (t) => {
  const fake = new FakeI2c(t)
  for (const address of [0x20, 0x50, 0x76]) fake.attach(address)
  fake.attach(0x77)
  fake.put('0x77.taken')
  const bus = await busesOf(t, fake).open('1', quiet)
  assert.deepEqual(await bus.scan(), [0x20, 0x50, 0x76])
  const log = fake.takeLog()
  assert.equal(log.length, 0x78 - 8 - 1, 'every address but the one that the kernel has')
  assert.ok(log.includes('quick 0x20') && log.includes('quick 0x2f') && log.includes('quick 0x60'))
  assert.ok(log.includes('i2c 0x30 read 1') && log.includes('i2c 0x50 read 1') && log.includes('i2c 0x5f read 1'))
  assert.ok(log.includes('quick 0x08') && log.at(-1) === 'quick 0x76')
  fake.remove('0x77.taken')
  for (let address = 8; address < 0x78; address++) fake.attach(address)
  assert.equal((await problem(bus.scan())).code, 'stuck')
})

test('the kernel is asked whether it has the chip, then for one combined transaction with a limit that fits', () => {
  const sources = ['test/devices/i2c-dump.c', 'devices/i2c/c/bus_kernel.c', 'devices/i2c/c/transfer.c']
  const { path, reason } = compile('i2c-dump', sources, [])
  assert.ok(path, reason)
  // Numbers: bridges.md §20.7. 50 ms and 1 ms a byte, in units of 10 ms.
  assert.deepEqual(spawnSync(path, { encoding: 'latin1' }).stdout.trim().split('\n'), [
    '0x705',
    `0x703 ${0x76}`,
    '0x702 6',
    '0x707 [0x76 flags 0 length 1 f7] [0x76 flags 1 length 8]',
    '= 0 a0 a1',
    `0x703 ${0x3c}`,
    '0x707 [0x3c flags 0 length 2 00 af]',
    '= 0 00 00',
    `0x703 ${0x20}`,
    '0x707 [0x20 flags 1 length 1]',
    '= 0 a0 00',
    `0x703 ${0x50}`,
    '0x707 [0x50 flags 1 length 1]',
    `0x703 ${0x48}`,
    '0x720 read command 1 size 3',
    '= 0 b0 b1',
    `0x703 ${0x48}`,
    '0x702 5',
    '0x720 write command 0 size 0',
  ])
})
