import assert from 'node:assert/strict'
import { test } from 'node:test'
import { I2cError } from '../../../devices/i2c/bus.ts'
import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'
import { Scene } from '../scene.ts'

test('a bus looks for chips when it is asked, and names those that say what they are', async (t) => {
  const scene = await Scene.start(t, '- {name: box, kind: i2c-bus, bus: 3, simulate: false}', {
    prepare({ i2c }) {
      const climate = new RegisterChip()
      climate.registers[0xd0] = 0x60
      i2c.attach('3', 0x76, climate)
      i2c.attach('3', 0x20, new RegisterChip())
    },
  })
  assert.equal(scene.params.has('/i2c/box/devices'), false)
  await scene.publish('/i2c/box/scan', null)
  assert.deepEqual(scene.params.get('/i2c/box/devices'), { '0x20': '', '0x76': 'BME280' })
  scene.i2c.detach('3', 0x20)
  await scene.publish('/i2c/box/scan', null)
  assert.deepEqual(scene.params.get('/i2c/box/devices'), { '0x76': 'BME280' })
  scene.i2c.setFault('3', new I2cError('stuck', 'the I2C bus 3 is stuck'))
  await scene.publish('/i2c/box/scan', null)
  assert.deepEqual(scene.told('/i2c/box/error', 'message'), ['the I2C bus 3 is stuck'])
})
