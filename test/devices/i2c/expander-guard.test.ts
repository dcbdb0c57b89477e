import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceContext, Plain } from '../../../devices/device.ts'
import { KernelI2c } from '../../../devices/i2c/kernel-i2c.ts'
import { mcp23017 } from '../../../devices/i2c/mcp23017.ts'
import { parseConfig } from '../../../runtime/config/load.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { FakeI2c, fakeI2cProgram } from '../fake-i2c.ts'

const OLATA = 0x14

test('the process of the bus makes the outputs of an expander safe when the router is silent', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(0x20, { 0: 0xff, 1: 0xff })
  // Time that stands still: the router says nothing.
  const clock = new SteppedClock()
  const program = fakeI2cProgram()
  const i2c = new KernelI2c({
    program: async () => program,
    dev: fake.dev,
    clock,
    watchdogMs: 1000,
    lingerMs: 0,
    sysfs: '/nowhere',
  })
  t.after(() => i2c.stop())
  const pins = '[{pin: A0, name: pump, direction: out}, {pin: A1, name: lamp, direction: out, safe: hold}]'
  const { devices } = await parseConfig(`devices: [{name: box, kind: mcp23017, pins: ${pins}}]\n`, 'test.yaml')
  const params = new Map<string, Plain>()
  const problems: string[] = []
  const device = await mcp23017.open({
    name: 'box',
    options: devices[0].options,
    i2c,
    clock,
    set: (key: string, value: Plain) => params.set(key, value),
    problem: (code: string) => problems.push(code),
    lost: (error: Error) => problems.push(error.message),
  } as unknown as DeviceContext)
  device.write?.lamp(true)
  device.write?.pump(true)
  await until(() => fake.register(0x20, OLATA) === 0x03, 'pump and lamp')
  await until(() => problems.length > 0, 'watchdog')
  assert.deepEqual(problems, ['failsafe'])
  assert.deepEqual([fake.register(0x20, OLATA), fake.register(0x20, 0)], [0x02, 0xfc])
  assert.deepEqual([params.get('pump'), params.get('lamp')], [false, true])
  await device.close()
  assert.equal(fake.register(0x20, OLATA), 0x02)
})
