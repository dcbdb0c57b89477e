import assert from 'node:assert/strict'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Board } from '../../boards/board.ts'
import { boardById } from '../../boards/detect.ts'
import type { I2cBus } from '../../devices/i2c/bus.ts'
import { busPlace } from '../../devices/i2c/bus-place.ts'
import { recoverBus } from '../../devices/i2c/bus-recovery.ts'
import { KernelI2c } from '../../devices/i2c/kernel-i2c.ts'
import type { Lines, OutputLine, OutputRequest } from '../../devices/io/lines.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { fakeFiles } from '../boards/fake-files.ts'
import { until } from '../until.ts'
import { FakeI2c, fakeI2cProgram } from './fake-i2c.ts'

const pi4 = boardById('raspberry-pi-4') as Board
const CONTROLLER = 'fe804000.i2c'
const DRIVER = 'sys/bus/platform/drivers/i2c-bcm2835'

/** A Pi 4 of which the bus 1 is a folder. */
function machineOf(t: TestContext) {
  const root = fakeFiles(t, {
    'sys/bus/i2c/devices/i2c-1': { link: `sys/devices/platform/soc/${CONTROLLER}/i2c-1` },
    [`sys/devices/platform/soc/${CONTROLLER}/driver`]: { link: DRIVER },
    [`${DRIVER}/unbind`]: '',
    [`${DRIVER}/bind`]: '',
  })
  const dev = join(root, 'dev')
  const fake = new FakeI2c(t, { dev })
  const said = (name: 'unbind' | 'bind') => readFileSync(join(root, DRIVER, name), 'latin1')
  return { root, fake, said, machine: { dev, sysfs: join(root, 'sys'), board: pi4 } }
}

/** Two wires and a chip that waits for so many clock pulses before it lets go of SDA. */
class HeldWires implements Pick<Lines, 'output'> {
  pulses = 0
  stops = 0
  readonly requests: OutputRequest[] = []
  private readonly needed: number
  private readonly driven = new Map([
    ['GPIO2', true],
    ['GPIO3', true],
  ])
  /** Checked whenever a line is taken or let go. */
  onLine: () => void = () => {}
  onFree: () => void = () => {}

  constructor(needed: number) {
    this.needed = needed
  }

  get lines(): Lines {
    return this as unknown as Lines
  }

  async output(request: OutputRequest): Promise<OutputLine> {
    this.onLine()
    this.requests.push(request)
    const { line } = request
    return {
      isOn: request.isOn,
      set: (isHigh) => this.set(line, isHigh),
      read: async () => this.level(line),
      close: async () => this.onLine(),
      release: () => assert.fail('released'),
      strobe: () => assert.fail('strobed'),
      pulses: () => assert.fail('pulsed'),
    }
  }

  private level(line: string): boolean {
    const isHeld = line === 'GPIO2' ? this.pulses < this.needed : this.needed === Number.POSITIVE_INFINITY
    return this.driven.get(line) === true && !isHeld
  }

  private set(line: string, isHigh: boolean): void {
    const before = this.level(line)
    this.driven.set(line, isHigh)
    if (before || !this.level(line)) return
    if (line === 'GPIO2' && this.level('GPIO3')) this.stops++
    if (line === 'GPIO3' && ++this.pulses === this.needed) this.onFree()
  }
}

test('a bus that stays stuck after it was reopened is freed by clock pulses and STOP, while its controller is away', async (t) => {
  const { fake, said, machine } = machineOf(t)
  fake.attach(0x76, { 208: 0x60 })
  fake.put('stuck')
  const wires = new HeldWires(5)
  wires.onLine = () => assert.deepEqual([said('unbind'), said('bind')], [CONTROLLER, ''])
  wires.onFree = () => fake.remove('stuck')
  const told: string[] = []
  const buses = new KernelI2c({
    program: async () => fakeI2cProgram(),
    clock: systemClock,
    watchdogMs: 2000,
    lingerMs: 0,
    ...machine,
    lines: wires.lines,
    tell: (message) => told.push(message),
  })
  t.after(() => buses.stop())
  const ask = (bus: I2cBus) => bus.transfer(0x76, Uint8Array.of(0xd0), 1)
  let losses = 0
  for (let round = 0; round < 2; round++) {
    const bus = await buses.open('1', () => losses++)
    for (let i = 0; i < 3; i++) await assert.rejects(ask(bus), { code: 'stuck' })
  }
  assert.equal(losses, 2)
  const bus = await buses.open('1', () => losses++)
  assert.deepEqual(await ask(bus), Uint8Array.of(0x60))
  assert.deepEqual(told, ['the I2C bus 1 was stuck and is free again, after clock pulses by hand'])
  assert.deepEqual([said('unbind'), said('bind')], [CONTROLLER, CONTROLLER])
  // The last one belongs to STOP.
  assert.deepEqual([wires.pulses, wires.stops], [5 + 1, 1])
  const drives = wires.requests.map(({ line, drive, isOn, safe }) => [line, drive, isOn, safe])
  assert.deepEqual(drives, [
    ['GPIO2', 'open-drain', true, 'release'],
    ['GPIO3', 'open-drain', true, 'release'],
  ])
})

test('what clock pulses do not help against is said, and the controller comes back', async (t) => {
  const { said, machine } = machineOf(t)
  const place = await busPlace('1', machine)
  const tryWith = async (lines: Lines) => recoverBus(place, { ...machine, clock: systemClock, lines })
  const never = new HeldWires(100)
  const data = await tryWith(never.lines)
  assert.equal(data.isFree, false)
  assert.equal(never.pulses, 9 + 1)
  assert.match(
    data.text,
    /holds SDA low even after nine clock pulses: switch the supply of its chips off and on; SDA is/,
  )
  assert.equal(said('bind'), CONTROLLER)
  const clock = await tryWith(new HeldWires(Number.POSITIVE_INFINITY).lines)
  assert.match(clock.text, /holds SCL low, against which clock pulses do not help: .*SCL is GPIO3 \(pin 5\)/)
})

test('a bus that others need, or that only root may free, is left alone', async (t) => {
  const { root, fake, said, machine } = machineOf(t)
  const place = await busPlace('1', machine)
  const wires = new HeldWires(1)
  const obstacle = async (of = machine as Partial<typeof machine> & Omit<typeof machine, 'board'>) =>
    (await recoverBus(place, { ...of, clock: systemClock, lines: wires.lines })).text
  const file = openSync(fake.path, 'r')
  assert.match(await obstacle(), new RegExp(`is open in .* \\(pid ${process.pid}\\), which has to be stopped first`))
  closeSync(file)
  const chip = join(root, 'sys/devices/platform/soc', CONTROLLER, 'i2c-1/1-0068')
  mkdirSync(chip)
  assert.match(await obstacle({ ...machine, board: undefined }), /stuck, and on which pins it is, is not known: switch/)
  symlinkSync('../../../../../../bus/i2c/drivers/rtc-ds1307', join(chip, 'driver'))
  assert.match(await obstacle(), /drivers of the kernel have chips on it, which they would lose \(rtc-ds1307 at 0x68\)/)
  rmSync(chip, { recursive: true })
  rmSync(join(root, DRIVER, 'bind'))
  assert.match(await obstacle(), /only root may free it by clock pulses: switch the supply of its chips off and on/)
  assert.deepEqual([said('unbind'), wires.requests.length], ['', 0])
})

test('nobody waits for the end of an attempt to free a bus that went wrong', async (t) => {
  const { fake, machine } = machineOf(t)
  fake.attach(0x76)
  fake.put('stuck')
  const told: string[] = []
  const failing = { output: () => Promise.reject(new Error('no line GPIO2')) } as unknown as Lines
  const watch = { clock: systemClock, watchdogMs: 2000, lingerMs: 0, program: async () => fakeI2cProgram() }
  const buses = new KernelI2c({ ...watch, ...machine, lines: failing, tell: (message) => told.push(message) })
  t.after(() => buses.stop())
  for (let round = 0; round < 3; round++) {
    const bus = await buses.open('1', () => {})
    for (let i = 0; i < 3; i++) await assert.rejects(bus.transfer(0x76, Uint8Array.of(1), 1), { code: 'stuck' })
  }
  await until(() => told.length > 0, 'words')
  // The third round comes too early for another attempt.
  assert.equal(told.length, 1)
  assert.match(told[0], /its wires cannot be had as lines: no line GPIO2/)
})
