import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { FakeSysfs } from './fake-sysfs.ts'
import { becomes } from './passing.ts'
import { Scene } from './scene.ts'

const CHIP = 'devices/platform/soc/i2c-1/1-0044/hwmon/hwmon1'

/** The processor of a board, its supply monitor, and a chip with everything. */
function board(t: TestContext): FakeSysfs {
  const sysfs = new FakeSysfs(t)
  const processor = 'devices/virtual/thermal/thermal_zone0/hwmon0'
  sysfs.link('class/hwmon/hwmon0', processor)
  sysfs.write(processor, { name: 'cpu_thermal', temp1_input: 48_312 })
  sysfs.write(CHIP, {
    name: 'board',
    temp1_input: 20_000,
    temp1_label: 'Intake',
    temp2_input: 31_500,
    temp2_label: 'Core 0',
    temp2_max: 99_000,
    humidity1_input: 55_250,
    in0_input: 12_034,
    in0_lcrit_alarm: 1,
    curr1_input: 1_500,
    power1_average: 18_060_000,
    fan1_input: 1180,
  })
  sysfs.link('class/hwmon/hwmon1', CHIP)
  sysfs.link(`${CHIP}/device`, 'devices/platform/soc/i2c-1/1-0044')
  return sysfs
}

async function start(t: TestContext, sysfs: FakeSysfs, options: string): Promise<Scene> {
  return Scene.start(t, `- {name: x, kind: hwmon, simulate: false, ${options}}`, { sysfs: sysfs.root })
}

test('the temperature of the processor needs nothing but its name', async (t) => {
  const scene = await start(t, board(t), 'chip: cpu_thermal')
  await becomes(scene, '/hwmon/x/temperature', 48.312)
})

test('channels are found by number and by label, in the units that clients see', async (t) => {
  const scene = await start(
    t,
    board(t),
    `chip: 1-0044, channels: [{channel: temp1}, {channel: Core 0}, {channel: humidity1}, {channel: in0},
      {channel: curr1}, {channel: power1, key: load}, {channel: fan1}, {channel: in0_lcrit_alarm, key: low}]`,
  )
  const values = { temp1: 20, core_0: 31.5, humidity1: 55.25, in0: 12.034, curr1: 1.5, load: 18.06, fan1: 1180 }
  for (const [key, value] of Object.entries(values)) await becomes(scene, `/hwmon/x/${key}`, value)
  await becomes(scene, '/hwmon/x/low', true)
  const unit = (key: string) => scene.signals.find(({ address }) => address === `/hwmon/x/${key}`)?.meta?.unit
  assert.deepEqual(['core_0', 'in0', 'curr1', 'load', 'fan1'].map(unit), ['Cel', 'V', 'A', 'W', 'rpm'])
})

test('a reading that the kernel refuses three times is a failure, and no text is taken for a number', async (t) => {
  const sysfs = board(t)
  const scene = await start(t, sysfs, 'chip: board')
  await becomes(scene, '/hwmon/x/temperature', 20)
  sysfs.write(CHIP, { temp1_input: 'N/A' })
  await becomes(scene, '/hwmon/x/temperature', null)
  assert.match(scene.devices.reports[0].problem, /temp1_input says "N\/A", which is no number/)
  sysfs.write(CHIP, { temp1_input: 19_000 })
  await becomes(scene, '/hwmon/x/temperature', 19)
})

test('what is missing is said with what there is', async (t) => {
  const sysfs = board(t)
  const problem = async (options: string) => (await start(t, sysfs, options)).devices.reports[0].problem
  assert.equal(
    await problem('chip: nvme'),
    'there is no monitoring chip nvme: there are cpu_thermal (thermal_zone0, hwmon0); board (1-0044, hwmon1)',
  )
  assert.equal(
    await problem('chip: board, channels: [{channel: Core 1}]'),
    'board has no channel Core 1: there are curr1, fan1, humidity1, in0, in0_lcrit_alarm, power1, temp1 (Intake), temp2 (Core 0)',
  )
})
