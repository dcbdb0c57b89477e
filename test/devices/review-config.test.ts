import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../runtime/config/load.ts'
import { ConfigError } from '../../runtime/config/problem.ts'
import { Scene } from './scene.ts'

/** What is wrong with a list of devices; '' = nothing. */
async function problemsOf(...devices: string[]): Promise<string> {
  const yaml = `devices:\n${devices.map((device) => `  - ${device}\n`).join('')}`
  const error = await parseConfig(yaml, 'c.yaml').then(
    () => undefined,
    (reason) => reason,
  )
  assert.ok(error === undefined || error instanceof ConfigError, String(error))
  return error?.message ?? ''
}

test('two devices cannot have one PWM channel, LED or chip, however its bus is called', async () => {
  const fan = '{name: fan, kind: pwm, chip: 2, channel: 1}'
  assert.match(
    await problemsOf(fan, '{name: gate, kind: servo, chip: 2, channel: 1}'),
    /the channel 1 of PWM chip 2 is/,
  )
  assert.equal(await problemsOf(fan, '{name: gate, kind: servo, chip: 2, channel: 0}'), '')
  const led = (name: string) => `{name: ${name}, kind: kernel-led, led: ACT}`
  assert.match(await problemsOf(led('a'), led('b')), /the LED ACT is used by a already/)
  const sensor = (name: string, bus: string) => `{name: ${name}, kind: bme280, bus: ${bus}}`
  assert.match(await problemsOf(sensor('a', '1'), sensor('b', '/dev/i2c-1')), /chip 0x76 of I2C bus 1 is used by a/)
  assert.equal(await problemsOf(sensor('a', '1'), sensor('b', '/dev/i2c-3')), '')
})

test('an interlock that nobody would keep is refused', async () => {
  const relay = (name: string, interlock: string) =>
    `{name: ${name}, kind: relay, line: ${name}, interlock: ${interlock}}`
  const pin = (pin: string, interlock: string) =>
    `{pin: ${pin}, name: p${pin.toLowerCase()}, direction: out, interlock: ${interlock}}`
  const chip = (name: string, address: string, ...pins: string[]) =>
    `{name: ${name}, kind: mcp23017, chipAddress: ${address}, pins: [${pins.join(', ')}]}`
  assert.equal(await problemsOf(relay('a', 'x'), relay('b', 'x')), '')
  assert.equal(await problemsOf(chip('c', '0x20', pin('A0', 'x'), pin('A1', 'x'))), '')
  assert.match(await problemsOf(relay('a', 'up'), relay('b', 'upp')), /nothing but a has the interlock up/)
  assert.match(await problemsOf(relay('a', 'x'), chip('c', '0x20', pin('A0', 'x'))), /cannot keep c apart from a/)
  const chips = [chip('c', '0x20', pin('A0', 'x')), chip('d', '0x21', pin('A0', 'x'))]
  assert.match(await problemsOf(...chips), /cannot keep d apart from c, which is not on the same chip/)
})

test('a longest time on is refused where the output would be held on after the end of all programs', async () => {
  assert.match(await problemsOf('{name: a, kind: relay, line: A, safe: hold, maxOn: 5s}'), /safe: hold and maxOn/)
  assert.equal(await problemsOf('{name: a, kind: relay, line: A, safe: release, maxOn: 5s}'), '')
})

test('a longest time on is refused that no timer can wait for', async () => {
  const outputs = (maxOn: string) => [
    `{name: a, kind: relay, line: A, maxOn: ${maxOn}}`,
    `{name: b, kind: pwm, maxOn: ${maxOn}}`,
    `{name: c, kind: mcp23017, pins: [{pin: A0, name: p, direction: out, maxOn: ${maxOn}}]}`,
    `{name: d, kind: pca9685, channels: [{channel: 0, name: p, maxOn: ${maxOn}}]}`,
  ]
  assert.equal(await problemsOf(...outputs('576h')), '')
  for (const output of outputs('600h')) assert.match(await problemsOf(output), /maxOn/)
})

test('a current loop that its range cannot measure is refused', async () => {
  // 20 mA at 250 Ω are 5 V.
  const loop = (range: number) =>
    problemsOf(`{name: a, kind: ads1115, channels: [{name: l, input: A0, shunt: 250, range: ${range}}]}`)
  assert.match(await loop(4.096), /channel l: 20 mA at 250 Ω are 5.00 V: take a higher range/)
  assert.equal(await loop(6.144), '')
})

test('an encoder that counts the other way round keeps its limits, and cannot be scaled by 0', async (t) => {
  assert.match(await problemsOf('{name: a, kind: encoder, a: A, b: B, scale: 0}'), /scale is 0/)
  const scene = await Scene.start(t, '- {name: volume, kind: encoder, a: A, b: B, min: 0, max: 10, scale: -2}')
  const announced = scene.signals.find(({ address }) => address === '/encoder/volume')
  assert.deepEqual(announced?.meta?.range, [-20, 0])
  await scene.set('/encoder/volume', -8)
  assert.equal(scene.params.get('/encoder/volume'), -8)
})

test('one limit of a register holds without the other', async (t) => {
  const scene = await Scene.start(
    t,
    `- name: drive
  kind: modbus
  port: /dev/ttyX
  registers:
    - {name: speed, register: 0, access: rw, max: 50}
    - {name: level, register: 1, access: rw, min: 10}`,
  )
  await scene.pass(1500, 100)
  await scene.set('/modbus/drive/speed', 60)
  await scene.set('/modbus/drive/level', 3)
  await scene.pass(1500, 100)
  assert.deepEqual([scene.params.get('/modbus/drive/speed'), scene.params.get('/modbus/drive/level')], [50, 10])
  await scene.set('/modbus/drive/speed', 40)
  await scene.pass(1500, 100)
  assert.equal(scene.params.get('/modbus/drive/speed'), 40)
})
