import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'
import { Scene } from '../scene.ts'
import { Mpu6050Chip } from './mpu6050-chip.ts'

const KEYS = [
  ...['x', 'y', 'z'].map((axis) => `acceleration/${axis}`),
  ...['x', 'y', 'z'].map((axis) => `rotation/${axis}`),
  'temperature',
  'pitch',
  'roll',
]

function readings(scene: Scene): unknown[] {
  return KEYS.map((key) => scene.params.get(`/i2c/imu/${key}`))
}

test('an MPU-6050 wakes up and tells acceleration, angular rate, temperature and tilt', async (t) => {
  const chip = new Mpu6050Chip()
  const scene = await Scene.start(t, '- {name: imu, kind: mpu6050, simulate: false}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x68, chip),
  })
  // 0.5 g along x, 0.5 g along y, √½ g along z; 36.53 + 680/340 °C; 10, -20 and 250 - 1/131 deg/s.
  chip.feel(8192, 8192, 11_585, 680, 1310, -2620, 32_749)
  await scene.pass(500, 5)
  // 1/131 deg/s is the rounded form of 250/32768.
  assert.deepEqual(readings(scene), [4.903, 4.903, 6.934, 9.995, -19.989, 249.855, 38.53, -30, 35.26])
  // 50 samples a second, 21 Hz, ±250 deg/s, ±2 g, awake by the clock of the gyroscope.
  assert.deepEqual([...chip.registers.subarray(0x19, 0x1d)], [19, 4, 0, 0])
  assert.equal(chip.registers[0x6b], 1)
  const meta = scene.signals.find(({ address }) => address === '/i2c/imu/acceleration/x')?.meta
  assert.deepEqual([meta?.unit, meta?.range], ['m/s2', [-19.6133, 19.6133]])
})

test('samples are streamed at their rate, and params at most five times a second', async (t) => {
  const chip = new Mpu6050Chip()
  const scene = await Scene.start(
    t,
    '- {name: imu, kind: mpu6050, simulate: false, rate: 100, acceleration: 16, rotation: 2000, lowPass: 90}',
    { prepare: ({ i2c }) => i2c.attach('1', 0x68, chip) },
  )
  await scene.pass(300, 1)
  scene.events.length = 0
  scene.sets.length = 0
  for (let at = 0; at < 500; at++) {
    // Turns about z ever faster.
    chip.feel(0, 0, 2048, 0, 0, 0, at * 32)
    await scene.pass(1)
  }
  const samples = scene.events.filter(({ address }) => address === '/i2c/imu/motion')
  assert.ok(samples.length >= 49 && samples.length <= 51, `${samples.length} samples`)
  const { ax, ay, az, rx, ry, rz } = samples[25].value as Record<string, number>
  assert.deepEqual([ax, ay, az, rx, ry], [0, 0, 9.807, 0, 0])
  assert.ok(rz > 450 && rz < 550, `${rz} deg/s half way to 976`)
  const turns = scene.sets.filter(({ address }) => address === '/i2c/imu/rotation/z')
  assert.ok(turns.length >= 2 && turns.length <= 3, `${turns.length} params`)
  assert.deepEqual([...chip.registers.subarray(0x19, 0x1d)], [9, 2, 0x18, 0x18])
})

test('an axis beyond its range has no value, and operators are told which range to raise', async (t) => {
  const chip = new Mpu6050Chip()
  const scene = await Scene.start(t, '- {name: imu, kind: mpu6050, simulate: false}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x68, chip),
  })
  chip.feel(32_767, 0, 16_384, 0, 0, -32_768, 0)
  await scene.pass(1000, 5)
  assert.deepEqual(readings(scene), [null, 0, 9.807, 0, null, 0, 36.53, null, null])
  assert.deepEqual(scene.told('/i2c/imu/error', 'message'), [
    'it moves beyond its range: raise acceleration, which is 2',
  ])
  chip.feel(0, 0, -16_384, 0, 0, 0, 0)
  await scene.pass(500, 5)
  assert.deepEqual(readings(scene).slice(-2), [0, 180], 'upside down')
})

test('the later chips have their own temperature and a second low pass', async (t) => {
  const chip = new Mpu6050Chip(0x71)
  const scene = await Scene.start(
    t,
    '- {name: imu, kind: mpu6050, simulate: false, chipAddress: 0x69, stream: false}',
    {
      prepare: ({ i2c }) => i2c.attach('1', 0x69, chip),
    },
  )
  // 3339 / 333.87 is 10.0.
  chip.feel(0, 0, 16_384, 3339, 0, 0, 0)
  await scene.pass(1000, 5)
  assert.equal(scene.params.get('/i2c/imu/temperature'), 31)
  assert.equal(chip.registers[0x1d], 4)
  assert.equal(scene.events.length, 0)
  assert.ok(scene.signals.every(({ address }) => address !== '/i2c/imu/motion'))
})

test('a chip whose supply broke down is set up anew; an unplugged one is silent and comes back', async (t) => {
  const chip = new Mpu6050Chip()
  const scene = await Scene.start(t, '- {name: imu, kind: mpu6050, simulate: false, rate: 20, lowPass: 184}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x68, chip),
  })
  const flat = () => chip.feel(0, 0, 16_384, 0, 0, 0, 0)
  flat()
  await scene.pass(500, 5)
  assert.equal(scene.params.get('/i2c/imu/roll'), 0)
  chip.breakDown()
  await scene.pass(300, 5)
  assert.deepEqual([...chip.registers.subarray(0x19, 0x1d)], [49, 1, 0, 0])
  assert.equal(chip.registers[0x6b], 1)
  scene.i2c.detach('1', 0x68)
  await scene.pass(1000, 5)
  assert.deepEqual([scene.params.get('/i2c/imu/ok'), scene.params.get('/i2c/imu/acceleration/z')], [false, null])
  scene.events.length = 0
  await scene.pass(500, 5)
  assert.equal(scene.events.filter(({ address }) => address === '/i2c/imu/motion').length, 0)
  chip.breakDown()
  scene.i2c.attach('1', 0x68, chip)
  await scene.pass(2000, 5)
  flat()
  await scene.pass(300, 5)
  assert.deepEqual([scene.params.get('/i2c/imu/ok'), scene.params.get('/i2c/imu/acceleration/z')], [true, 9.807])
  assert.ok(scene.events.some(({ address }) => address === '/i2c/imu/motion'))
})

test('the stream of a device that was stopped leaves no timer behind', async (t) => {
  const left = async (options: string) => {
    const scene = await Scene.start(t, `- {name: imu, kind: mpu6050, simulate: false${options}}`, {
      prepare: ({ i2c }) => i2c.attach('1', 0x68, new Mpu6050Chip()),
    })
    await scene.pass(500, 5)
    await scene.stop()
    return scene.clock.pendingTimers
  }
  assert.equal(await left(', rate: 100'), await left(', stream: false'))
})

test('a clock at the same address is not taken for an MPU-6050', async (t) => {
  const scene = await Scene.start(t, '- {name: imu, kind: mpu6050, simulate: false}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x68, new RegisterChip()),
  })
  assert.match(scene.devices.reports[0].problem, /what answers is no MPU-6050: it calls itself 0x00/)
})

test('a made-up one streams what its readings are, at its rate, until it is stopped', async (t) => {
  const scene = await Scene.start(t, '- {name: imu, kind: mpu6050, rate: 20}')
  const samples = () => scene.events.filter(({ address }) => address === '/i2c/imu/motion')
  await scene.set('/i2c/imu/simulated/acceleration/z', 9.5)
  await scene.pass(1000, 10)
  assert.equal(samples().length, 20)
  const { ax, ay, az, rx } = samples()[19].value as Record<string, number>
  assert.deepEqual([az, ax === ay], [9.5, true])
  // Within 5 % of half the range, ±2 g and ±250 deg/s.
  assert.ok(Math.abs(ax) <= 0.981 && Math.abs(rx) <= 12.5, `${ax} m/s2, ${rx} deg/s`)
  await scene.stop()
  scene.events.length = 0
  await scene.pass(500, 50)
  assert.equal(samples().length, 0)
})

test('a made-up one without a stream tells its params only', async (t) => {
  const scene = await Scene.start(t, '- {name: imu, kind: mpu6050, stream: false}')
  await scene.pass(1000, 100)
  assert.equal(scene.events.length, 0)
  assert.equal(typeof scene.params.get('/i2c/imu/acceleration/z'), 'number')
})
