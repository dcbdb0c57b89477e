import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'
import { parseConfig } from '../../../runtime/config/load.ts'
import { Scene } from '../scene.ts'

/** Bytes of registers, from one on. */
function chipWith(contents: Readonly<Record<number, readonly number[]>>): RegisterChip {
  const chip = new RegisterChip()
  for (const [at, bytes] of Object.entries(contents)) chip.registers.set(bytes, Number(at))
  return chip
}

test('a table of registers reads a chip that has no driver, after it was set up', async (t) => {
  const chip = chipWith({
    // TI data sheet TMP102 (SBOS397), table of the 12-bit format: e70 is -25 °C, in the upper bits.
    0: [0xe7, 0x00],
    16: [0xff],
    17: [0xff],
    18: [0xff, 0xfe],
    20: [0xfe, 0xff],
    22: [0x80, 0, 0],
    25: [0xff, 0xff, 0xff, 0xff],
    // IEEE 754: 41 48 00 00 is 12.5.
    32: [0x00, 0x00, 0x48, 0x41],
    36: [0x7f, 0xc0, 0, 0],
    40: [0b0110_1000],
  })
  const scene = await Scene.start(
    t,
    `- name: board
  kind: i2c-registers
  simulate: false
  chipAddress: 0x48
  setup:
    - { register: 0x30, bytes: '60 a0' }
    - { register: 0x40, bytes: '07' }
  registers:
    - { name: temperature, register: 0, type: s16be, bit: 4, bits: 12, scale: 0.0625, unit: Cel, min: -40, max: 125 }
    - { name: byte, register: 0x10 }
    - { name: signed, register: 0x11, type: s8 }
    - { name: big, register: 0x12, type: u16be }
    - { name: little, register: 0x14, type: s16le }
    - { name: triple, register: 0x16, type: s24be, offset: 1 }
    - { name: most, register: 0x19, type: u32le }
    - { name: float, register: 0x20, type: f32le, scale: 2 }
    - { name: nothing, register: 0x24, type: f32be }
    - { name: alarm, register: 0x28, bit: 3 }
    - { name: sign, register: 0x28, type: s8, bit: 6 }
    - { name: mode, register: 0x28, bit: 5, bits: 3 }
    - { name: outside, register: 0x10, type: u16be, max: 100 }`,
    { prepare: ({ i2c }) => i2c.attach('1', 0x48, chip) },
  )
  assert.deepEqual([chip.registers[0x30], chip.registers[0x31], chip.registers[0x40]], [0x60, 0xa0, 7])
  const value = (name: string) => scene.params.get(`/i2c/board/${name}`)
  assert.deepEqual(
    ['temperature', 'byte', 'signed', 'big', 'little', 'triple', 'most', 'float', 'nothing'].map(value),
    [-25, 255, -1, 0xfffe, -2, -0x7fffff, 0xffffffff, 25, null],
  )
  assert.deepEqual(['alarm', 'sign', 'mode', 'outside'].map(value), [true, true, 3, null])
  const meta = (name: string) => scene.signals.find(({ address }) => address === `/i2c/board/${name}`)
  assert.deepEqual([meta('temperature')?.meta?.unit, meta('temperature')?.meta?.range], ['Cel', [-40, 125]])
  assert.deepEqual([meta('mode')?.datatype, meta('mode')?.meta?.range], ['i64', [0, 7]])
  assert.deepEqual([meta('alarm')?.datatype, meta('float')?.meta?.range], ['bool', undefined])
})

test('a chip that was unplugged is set up anew when it is back', async (t) => {
  const chip = chipWith({ 0: [20] })
  const scene = await Scene.start(
    t,
    `- name: board
  kind: i2c-registers
  simulate: false
  chipAddress: 0x48
  setup: [{ register: 1, bytes: '05' }]
  registers: [{ name: temperature, register: 0, type: s8 }]`,
    { prepare: ({ i2c }) => i2c.attach('1', 0x48, chip) },
  )
  scene.i2c.detach('1', 0x48)
  await scene.pass(4000, 500)
  assert.deepEqual([scene.params.get('/i2c/board/ok'), scene.params.get('/i2c/board/temperature')], [false, null])
  chip.registers[1] = 0
  scene.i2c.attach('1', 0x48, chip)
  await scene.pass(4000, 500)
  assert.deepEqual([scene.params.get('/i2c/board/temperature'), chip.registers[1]], [20, 5])
})

test('a table of registers that contradicts itself is refused with what is wrong', async () => {
  const refusal = async (rows: string, setup = '[]') => {
    const yaml = `devices:\n  - { name: x, kind: i2c-registers, chipAddress: 0x48, setup: ${setup}, registers: [${rows}] }\n`
    return parseConfig(yaml, 'test.yaml').then(
      () => 'taken',
      (error: Error) => error.message,
    )
  }
  assert.equal(await refusal('{ name: a, register: 1 }'), 'taken')
  assert.match(await refusal(''), /at least one is needed/)
  assert.match(await refusal('{ name: a, register: 1, bit: 7, bits: 2 }'), /a: u8 has the bits 0 to 7 only/)
  assert.match(await refusal('{ name: a, register: 1, type: f32be, bit: 7 }'), /a float has no bits/)
  assert.match(
    await refusal('{ name: a, register: 1 }, { name: b, register: 1 }'),
    /two rows are for the u8 in register 0x01/,
  )
  assert.match(await refusal('{ name: a, register: 1, scale: 0 }'), /scale is 0/)
  assert.match(await refusal('{ name: a, register: 1, bits: 4 }'), /bits count from a bit/)
  assert.match(await refusal('{ name: a, register: 1, min: 300 }'), /leave no value: it can be 0 to 255/)
  assert.match(await refusal('{ name: a, register: 1, type: s8, scale: -1, max: -128 }'), /it can be -127 to 128/)
  assert.equal(await refusal('{ name: a, register: 1, bit: 0, min: 5 }'), 'taken')
  assert.match(await refusal('{ name: a, register: 1 }', '[{ register: 1, bytes: 5g }]'), /5g is not up to 32 bytes/)
  const unaddressed = 'devices:\n  - { name: x, kind: i2c-registers, registers: [{ name: a, register: 1 }] }\n'
  await assert.rejects(parseConfig(unaddressed, 'test.yaml'), /chipAddress/)
})
