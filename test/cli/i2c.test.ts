import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FakeI2c, fakeI2cProgram } from '../devices/fake-i2c.ts'
import { cli, RunningCommand } from './run-cli.ts'

/** The command with the program of which the buses are folders beside it. */
function installed(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-edge-i2c-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(resolve('dist/clasp-edge.cjs'), join(folder, 'clasp-edge.cjs'))
  copyFileSync(fakeI2cProgram(), join(folder, 'clasp-i2c'))
  return join(folder, 'clasp-edge.cjs')
}

const run = (bundle: string, args: readonly string[]) => new RunningCommand(args, { input: '', bundle }).exited

/** With chips as their data sheets have them after power-on. */
function populated(t: TestContext): FakeI2c {
  const fake = new FakeI2c(t)
  fake.attach(0x76, { 208: 0x60 })
  fake.attach(0x77, { 208: 0x58 })
  fake.attach(0x68, { 117: 0x68 })
  fake.attach(0x29, { 178: 0x44, 192: 0xee, 193: 0x11 })
  fake.attach(0x20)
  fake.attach(0x50)
  fake.attach(0x09)
  return fake
}

test('i2c scan names the chips that say what they are, and says what to put into the configuration', async (t) => {
  const fake = populated(t)
  const bundle = installed(t)
  const { code, stdout, stderr } = await run(bundle, ['i2c', 'scan', fake.path])
  assert.equal(code, 0, stderr)
  const rows = stdout.split('\n')
  assert.equal(rows[0], `I2C bus ${fake.path} (${fake.path})`)
  const row = (address: string) => rows.find((line) => line.startsWith(address)) ?? ''
  const entry = (kind: string, address: string) =>
    `- { name: …, kind: ${kind}, bus: ${fake.path}, chipAddress: ${address} }`
  assert.ok(row('0x76').includes('BME280') && row('0x76').endsWith(entry('bme280', '0x76')), row('0x76'))
  assert.ok(row('0x77').includes('BMP280') && row('0x77').endsWith(entry('bmp280', '0x77')), row('0x77'))
  assert.ok(row('0x68').includes('MPU-6050') && row('0x68').endsWith(entry('mpu6050', '0x68')), row('0x68'))
  assert.ok(row('0x29').includes('TCS34725') && row('0x29').endsWith(entry('tcs34725', '0x29')), row('0x29'))
  assert.match(row('0x20'), /perhaps .*mcp23017.*pcf8574|perhaps .*pcf8574.*mcp23017/)
  assert.ok(row('0x20').endsWith(entry('…', '0x20')), row('0x20'))
  assert.match(row('0x50'), /perhaps .*EEPROM 24C….* kind: …,/)
  assert.match(row('0x09'), /unknown$/)
  // Nothing was written where it could switch or overwrite something.
  const asked = fake.takeLog().filter((line) => /0x(20|50|09) [0-9a-f]{2}\b/.test(line))
  assert.deepEqual(asked, [])

  const passive = await run(bundle, ['i2c', 'scan', '--passive', '--json', fake.path])
  const chips = passive.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    chips.map(({ address }) => address),
    [0x09, 0x20, 0x29, 0x50, 0x68, 0x76, 0x77],
  )
  assert.equal(chips[5].part, undefined)
  assert.ok(chips[5].kinds.includes('bme280') && chips[5].kinds.includes('bmp280'))
  assert.ok(fake.takeLog().every((line) => /^quick|read 1$/.test(line) && !/0x.. [0-9a-f]{2}\b/.test(line)))
})

test('i2c scan says of a stuck bus what to do, and i2c recover does nothing to one that works', async (t) => {
  const fake = new FakeI2c(t)
  const bundle = installed(t)
  fake.put('stuck')
  const stuck = await run(bundle, ['i2c', 'scan', fake.path])
  assert.equal(stuck.code, 1)
  assert.match(
    stuck.stderr,
    /^clasp-edge i2c scan: the I2C bus .* is stuck, .*: switch the supply of its chips off and on\n$/,
  )
  const recover = await run(bundle, ['i2c', 'recover', fake.path])
  assert.equal(recover.code, 1)
  assert.match(recover.stderr, /stuck, and on which pins it is, is not known: switch the supply/)
  fake.remove('stuck')
  const well = await run(bundle, ['i2c', 'recover', fake.path])
  assert.equal(well.stdout, `the I2C bus ${fake.path} is not stuck: nothing was done\n`)
})

test('i2c scan refuses what is no bus', async () => {
  const wrong = await cli(['i2c', 'scan', 'one'])
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /"one" is no bus: expected a number, or a path/)
})
