import assert from 'node:assert/strict'
import { test } from 'node:test'
import { I2cError } from '../../../devices/i2c/bus.ts'
import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'
import { parseConfig } from '../../../runtime/config/load.ts'
import { Scene } from '../scene.ts'
import { Ads1115Chip } from './ads1115-chip.ts'

test('an ADS1115 measures each channel with its own input, full scale and rate', async (t) => {
  let chip: Ads1115Chip | undefined
  const scene = await Scene.start(
    t,
    `- name: analogue
  kind: ads1115
  simulate: false
  channels:
    - {name: first, input: A0}
    - {name: second, input: A1, range: 0.2, rate: 500}
    - {name: bridge, input: A2-A3, range: 0.5}`,
    {
      prepare(scene) {
        chip = new Ads1115Chip(scene.clock)
        chip.pins.splice(0, 4, 2.5, 0.1, 1, 1.3)
        scene.i2c.attach('1', 0x48, chip)
      },
    },
  )
  await scene.pass(250, 1)
  assert.deepEqual(
    ['first', 'second', 'bridge'].map((name) => scene.params.get(`/adc/analogue/${name}`)),
    [2.5, 0.1, -0.3],
  )
  // SBAS444, configuration register: input, full scale, single shot, rate, comparator off.
  assert.deepEqual(chip?.started.slice(0, 3), [0xc383, 0xdbe3, 0xb983])
  const ranges = ['first', 'second', 'bridge'].map(
    (name) => scene.signals.find(({ address }) => address === `/adc/analogue/${name}`)?.meta,
  )
  assert.deepEqual(
    ranges.map((meta) => [meta?.unit, meta?.range]),
    [
      ['V', [0, 4.096]],
      ['V', [0, 0.256]],
      ['V', [-0.512, 0.512]],
    ],
  )
})

test('a channel is scaled, and alone it is the device itself', async (t) => {
  let chip: Ads1115Chip | undefined
  const scene = await Scene.start(
    t,
    `- name: tank
  kind: ads1115
  simulate: false
  channels:
    - {input: A3, fromLow: 0.5, fromHigh: 4.5, toLow: 0, toHigh: 10, unit: bar, range: 5, deadband: 0.1}`,
    {
      prepare(scene) {
        chip = new Ads1115Chip(scene.clock)
        chip.pins[3] = 2.5
        scene.i2c.attach('1', 0x48, chip)
      },
    },
  )
  await scene.pass(250, 5)
  // 2.5 V is 13333 steps of 187.5 µV, 2.4999375 V.
  assert.equal(scene.params.get('/adc/tank'), 4.999844)
  const meta = scene.signals.find(({ address }) => address === '/adc/tank')?.meta
  assert.deepEqual([meta?.unit, meta?.range], ['bar', [0, 10]])
  assert.ok(chip)
  chip.pins[3] = 2.53
  await scene.pass(250, 5)
  assert.equal(scene.params.get('/adc/tank'), 4.999844, 'within the deadband')
  chip.pins[3] = 4.5
  await scene.pass(250, 5)
  assert.equal(scene.params.get('/adc/tank'), 10)
})

test('a current loop beyond the NAMUR limits has no value, and says so once', async (t) => {
  let chip: Ads1115Chip | undefined
  const scene = await Scene.start(
    t,
    `- name: level
  kind: ads1115
  simulate: false
  channels: [{input: A0, shunt: 150, toLow: 0, toHigh: 100, unit: '%'}]`,
    {
      prepare(scene) {
        chip = new Ads1115Chip(scene.clock)
        chip.pins[0] = 1.8
        scene.i2c.attach('1', 0x48, chip)
      },
    },
  )
  assert.ok(chip)
  await scene.pass(250, 5)
  assert.equal(scene.params.get('/adc/level'), 50, '12 mA through 150 Ω')
  chip.pins[0] = 0.3
  await scene.pass(1000, 5)
  assert.equal(scene.params.get('/adc/level'), null)
  assert.equal(scene.params.get('/adc/level/ok'), true, 'the converter works')
  assert.deepEqual(scene.told('/adc/level/error', 'message'), [
    'A0: 2 mA: the loop is broken, or its sensor says that it failed',
  ])
  chip.pins[0] = 0.57
  await scene.pass(11_000, 50)
  assert.equal(scene.params.get('/adc/level'), -1.25, '3.8 mA is a reading')
  chip.pins[0] = 3.225
  await scene.pass(250, 5)
  assert.equal(scene.params.get('/adc/level'), null)
  assert.equal(
    scene.told('/adc/level/error', 'message')[1],
    'A0: 21.5 mA: the loop is shorted, or its sensor says that it failed',
  )
})

test('a voltage beyond the full scale has no value, and the other channels go on', async (t) => {
  let chip: Ads1115Chip | undefined
  const scene = await Scene.start(
    t,
    `- name: analogue
  kind: ads1115
  model: ads1015
  simulate: false
  channels: [{name: high, input: A0, range: 1}, {name: low, input: A1, range: 1}]`,
    {
      prepare(scene) {
        chip = new Ads1115Chip(scene.clock, 12)
        chip.pins.splice(0, 2, 1.2, 0.9)
        scene.i2c.attach('1', 0x48, chip)
      },
    },
  )
  await scene.pass(250, 5)
  assert.equal(scene.params.get('/adc/analogue/high'), null)
  // 12 bits: 0.9 V is 1800 steps of 0.5 mV.
  assert.equal(scene.params.get('/adc/analogue/low'), 0.9)
  // 128 a second is the slowest of an ADS1015.
  assert.equal(chip?.started[0], 0xc703)
  assert.deepEqual(scene.told('/adc/analogue/error', 'message'), ['high: A0 is beyond ±1.024 V: take a higher range'])
})

test('while one converter converts, another on the same bus is read', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: one, kind: ads1115, simulate: false, channels: [{input: A0, rate: 8}]}
- {name: two, kind: ads1115, simulate: false, chipAddress: 0x49, channels: [{input: A0, rate: 860}]}`,
    {
      prepare({ clock, i2c }) {
        i2c.attach('1', 0x48, new Ads1115Chip(clock))
        i2c.attach('1', 0x49, new Ads1115Chip(clock))
      },
    },
  )
  await scene.pass(130, 1)
  assert.equal(scene.params.get('/adc/one'), undefined)
  assert.equal(scene.params.get('/adc/two'), 0)
  await scene.pass(150, 1)
  assert.equal(scene.params.get('/adc/one'), 0)
})

test('a converter that forgot its settings or is unplugged has no value, and comes back', async (t) => {
  let chip: Ads1115Chip | undefined
  const scene = await Scene.start(t, '- {name: knob, kind: ads1115, simulate: false, channels: [{input: A0}]}', {
    prepare(scene) {
      chip = new Ads1115Chip(scene.clock)
      chip.pins[0] = 1
      scene.i2c.attach('1', 0x48, chip)
    },
  })
  assert.ok(chip)
  await scene.pass(250, 5)
  assert.equal(scene.params.get('/adc/knob'), 1)
  const { started } = chip
  // In the middle of every conversion.
  for (let at = started.length, i = 0; i < 400; i++) {
    await scene.pass(1)
    if (started.length > at) chip.breakDown()
    at = started.length
  }
  assert.equal(scene.params.get('/adc/knob'), null)
  assert.match(String(scene.told('/adc/knob/error', 'message')[0]), /forgot what it was told/)
  await scene.pass(3000, 5)
  assert.equal(scene.params.get('/adc/knob'), 1)
  scene.i2c.detach('1', 0x48)
  await scene.pass(1000, 5)
  assert.deepEqual([scene.params.get('/adc/knob'), scene.params.get('/adc/knob/ok')], [null, false])
  scene.i2c.attach('1', 0x48, chip)
  await scene.pass(5000, 5)
  assert.deepEqual([scene.params.get('/adc/knob'), scene.params.get('/adc/knob/ok')], [1, true])
})

test('a slow conversion is awaited, and one that never ends is given up', async (t) => {
  let chip: Ads1115Chip | undefined
  const scene = await Scene.start(t, '- {name: knob, kind: ads1115, simulate: false, channels: [{input: A0}]}', {
    prepare(scene) {
      chip = new Ads1115Chip(scene.clock)
      chip.pins[0] = 1
      chip.slowness = 1.5
      scene.i2c.attach('1', 0x48, chip)
    },
  })
  assert.ok(chip)
  await scene.pass(250, 1)
  assert.equal(scene.params.get('/adc/knob'), 1)
  chip.slowness = Number.POSITIVE_INFINITY
  await scene.pass(500, 1)
  assert.equal(scene.params.get('/adc/knob/ok'), false)
  assert.match(scene.devices.reports[0].problem, /does not finish A0: check its supply/)
})

test('the channels of a simulated converter can be played', async (t) => {
  const scene = await Scene.start(t, '- {name: desk, kind: ads1115, channels: [{name: fader, input: A0}]}')
  await scene.pass(250, 50)
  const wandering = Number(scene.params.get('/adc/desk/fader'))
  assert.ok(wandering > 1.9 && wandering < 2.2, `${wandering} V is about the middle of its range`)
  await scene.set('/adc/desk/simulated/fader', 3)
  await scene.pass(200, 50)
  assert.equal(scene.params.get('/adc/desk/fader'), 3)
})

test('a stuck bus is reported in its own words, and another chip is not taken for an ADS1115', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: stuck, kind: ads1115, bus: 2, simulate: false, channels: [{input: A0}]}
- {name: wrong, kind: ads1115, simulate: false, channels: [{input: A0}]}`,
    {
      prepare({ i2c }) {
        i2c.setFault('2', new I2cError('stuck', 'a chip holds the bus down'))
        // As of a TMP102, which has read-only bits where an ADS1115 has its inputs.
        class Thermometer extends RegisterChip {
          override write(bytes: Uint8Array): void {
            super.write(bytes)
            this.registers[1] = 0x60
          }
        }
        i2c.attach('1', 0x48, new Thermometer())
      },
    },
  )
  const [stuck, wrong] = scene.devices.reports
  assert.deepEqual([stuck.state, stuck.problem], ['absent', 'a chip holds the bus down'])
  assert.match(wrong.problem, /what answers is no ADS1115 or ADS1015: check chipAddress/)
})

test('channels that make no sense are refused with a reason', async () => {
  const refusal = async (channels: string) => {
    const problem = await parseConfig(
      `devices:\n  - {name: a, kind: ads1115, channels: ${channels}}\n`,
      'test.yaml',
    ).then(
      () => 'taken',
      (error: Error) => error.message,
    )
    return problem
  }
  assert.match(await refusal('[]'), /channels is empty/)
  assert.match(await refusal('[{input: A0}, {input: A1}]'), /only one channel can do without a name/)
  assert.match(await refusal('[{name: ok, input: A0}]'), /channel 1 cannot be called ok/)
  assert.match(await refusal('[{name: a, input: A0}, {name: a, input: A1}]'), /two rows have the name a/)
  assert.match(await refusal('[{input: A0, rate: 1000}]'), /at most 860 times a second/)
  assert.match(await refusal('[{input: A0, toLow: 1}]'), /toLow and toHigh go together/)
  assert.match(await refusal('[{input: A0, fromLow: 0, fromHigh: 1}]'), /need toLow and toHigh/)
  assert.match(await refusal('[{input: A0, toLow: 0, toHigh: 1}]'), /need fromLow and fromHigh/)
  assert.match(await refusal('[{input: A4}]'), /A4/)
})
