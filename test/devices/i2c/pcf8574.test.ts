import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Scene } from '../scene.ts'
import { Pcf8574Chip } from './pcf8574-chip.ts'

const PINS = `  pins:
    - {pin: 0, name: pump, direction: out}
    - {pin: 1, name: lamp, direction: out, safe: on}
    - {pin: 7, name: door, debounce: 0s}`

async function start(t: TestContext, chip = new Pcf8574Chip(), address = '0x38') {
  const scene = await Scene.start(
    t,
    `- {name: box, kind: pcf8574, simulate: false, chipAddress: ${address}}`.replace(
      /^- {(.*)}$/,
      (_, all) => `- ${String(all).split(', ').join('\n  ')}\n${PINS}`,
    ),
    { prepare: ({ i2c }) => i2c.attach('1', Number(address), chip) },
  )
  return { scene, chip }
}

test('outputs are on at a low level, and inputs are held high', async (t) => {
  const { scene, chip } = await start(t)
  assert.equal(chip.latch, 0b1111_1101)
  await scene.set('/gpio/box/pump', true)
  await scene.set('/gpio/box/lamp', false)
  assert.equal(chip.latch, 0b1111_1110)
  assert.equal(scene.params.get('/gpio/box/door'), false)
  chip.world = 0x7f
  await scene.pass(20)
  assert.equal(scene.params.get('/gpio/box/door'), true)
})

test('outputs are safe when the router hangs, and after its stop', async (t) => {
  const { scene, chip } = await start(t)
  const busy = async () => {
    await scene.set('/gpio/box/pump', true)
    await scene.set('/gpio/box/lamp', false)
    assert.equal(chip.latch, 0b1111_1110)
  }
  await busy()
  scene.i2c.force()
  await scene.settle()
  assert.equal(chip.latch, 0b1111_1101)
  assert.equal(scene.params.get('/gpio/box/pump'), false)
  await busy()
  await scene.stop()
  assert.equal(chip.latch, 0b1111_1101)
})

test('a chip whose supply was interrupted is told again what its outputs are', async (t) => {
  const { scene, chip } = await start(t)
  await scene.set('/gpio/box/pump', true)
  chip.latch = 0xff
  await scene.pass(2100, 100)
  assert.equal(chip.latch, 0b1111_1101)
  assert.equal(scene.params.get('/gpio/box/pump'), false)
  assert.deepEqual(scene.told('/gpio/box/error', 'code'), ['reset'])
})

test('it has the addresses of both its kinds, and eight pins', async (t) => {
  const { chip } = await start(t, new Pcf8574Chip(), '0x27')
  assert.equal(chip.latch, 0b1111_1101)
  await assert.rejects(start(t, chip, '0x28'), /the chip cannot have the address 0x28/)
  const ninth = '- {name: box, kind: pcf8574, pins: [{pin: 8, name: a}]}'
  await assert.rejects(Scene.start(t, ninth), /a whole number from 0 to 7/)
})
