import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { BusProcess } from '../../../devices/i2c/bus-process.ts'
import { systemClock } from '../../../runtime/router/clock.ts'
import { command, Product } from './product.ts'
import { programPath } from './programs.ts'
import { until } from './until.ts'

const ADAPTERS = '/sys/class/i2c-dev'
/** Chips of the kernel's stub; see MODULES in .scripts/test-vm.mjs. */
const SENSOR = 0x76
const OTHER = 0x48

/** The bus of the kernel's stub, which knows only SMBus. */
function stubBus(): string {
  const name = readdirSync(ADAPTERS).find((one) => readFileSync(join(ADAPTERS, one, 'name'), 'utf8').includes('stub'))
  return `/dev/${name}`
}

/** clasp-i2c of the product. */
function busProcess(t: TestContext): BusProcess {
  const owner = { onForced: () => {}, onHung: () => {}, onEnded: () => {} }
  const options = { clock: systemClock, watchdogMs: 10_000, lingerMs: 0 }
  const bus = new BusProcess(programPath('clasp-i2c'), stubBus(), options, owner)
  t.after(() => bus.stop())
  return bus
}

test('registers are written and read over a bus that knows only SMBus', async (t) => {
  const bus = busProcess(t)
  assert.equal(await bus.opened, 0)
  assert.equal((await bus.transfer(OTHER, Uint8Array.of(0x10, 0xab), 0)).errno, 0)
  assert.deepEqual([...(await bus.transfer(OTHER, Uint8Array.of(0x10), 1)).bytes], [0xab])
  assert.equal((await bus.transfer(OTHER, Uint8Array.of(0x20, 0x12, 0x34), 0)).errno, 0)
  assert.deepEqual([...(await bus.transfer(OTHER, Uint8Array.of(0x20), 2)).bytes], [0x12, 0x34])
})

/**
 * The worked example of the BMP280's data sheet BST-BMP280-DS001, 3.12: its trimming, and raw values that make 25.08 °C
 * and 1006.53 hPa.
 */
const TRIM = [27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000]
const RAW_PRESSURE = 415148
const RAW_TEMPERATURE = 519888

async function preload(bus: BusProcess): Promise<void> {
  const write = async (register: number, value: number) => {
    const { errno } = await bus.transfer(SENSOR, Uint8Array.of(register, value & 0xff), 0)
    assert.equal(errno, 0)
  }
  await write(0xd0, 0x58)
  for (const [index, word] of TRIM.entries()) {
    await write(0x88 + 2 * index, word)
    await write(0x89 + 2 * index, word >> 8)
  }
  for (const [at, raw] of [
    [0xf7, RAW_PRESSURE],
    [0xfa, RAW_TEMPERATURE],
  ]) {
    await write(at, raw >> 12)
    await write(at + 1, raw >> 4)
    await write(at + 2, raw << 4)
  }
}

test('a scan of the bus shows the chips and names the sensor', async (t) => {
  await preload(busProcess(t))
  const said = await command('i2c', 'scan', stubBus(), '--json')
  const chips = said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    chips.map(({ address }) => address),
    [OTHER, SENSOR],
  )
  assert.deepEqual(chips[1].kinds, ['bmp280'])
})

test('a sensor of the configuration is read through the kernel', async (t) => {
  await preload(busProcess(t))
  const { params } = await Product.start(
    t,
    `devices:
  - {name: roof, kind: bmp280, bus: ${stubBus()}, chipAddress: 0x76, every: 1s}
`,
  )
  await until(() => params.get('/i2c/roof/pressure') != null, 'the reading')
  assert.ok(Math.abs(Number(params.get('/i2c/roof/temperature')) - 25.08) < 0.01)
  assert.ok(Math.abs(Number(params.get('/i2c/roof/pressure')) - 1006.53) < 0.01)
})
