import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { connect } from '../../runtime/client/connect.ts'
import { plainOf } from '../../runtime/devices/wire-value.ts'
import { bool } from '../router/fixture.ts'
import { until } from '../until.ts'
import { FakeI2c, fakeI2cProgram } from './fake-i2c.ts'

const EXPANDER = 0x20
/** Output latch of port A, MCP23017. */
const OLATA = 0x14

const configOn = (bus: string) => `
name: under test
listen: {host: 127.0.0.1, port: 0, udp: false}
discovery: {mdns: false, broadcast: false}
journal: {enabled: false}
simulate: false
devices:
  - name: plates
    kind: mcp23017
    bus: ${bus}
    chipAddress: ${EXPANDER}
    pins:
      - {pin: A0, name: pump, direction: out, safe: off}
      - {pin: A1, name: fan, direction: out, safe: on}
`

test('outputs of a chip are safe when the router hangs, wait for a new command, and are safe when it is killed', async (t) => {
  const fake = new FakeI2c(t)
  fake.attach(EXPANDER)
  symlinkSync(resolve('dist/clasp-edge.cjs'), join(fake.dev, 'clasp-edge.cjs'))
  copyFileSync(fakeI2cProgram(), join(fake.dev, 'clasp-i2c'))
  writeFileSync(join(fake.dev, 'config.yaml'), configOn(fake.path))
  const child = spawn(process.execPath, ['clasp-edge.cjs', 'run', '--config', 'config.yaml'], {
    cwd: fake.dev,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      said += text
    })
  }
  await until(() => /port=\d+/.test(said) || child.exitCode !== null, 'start of the router')
  const url = `tcp://127.0.0.1:${/port=(\d+)/.exec(said)?.[1]}`
  const latch = () => fake.register(EXPANDER, OLATA) & 0b11
  const switchOver = async () => {
    const client = await connect(url, { name: 'test' })
    // On a slow machine the watchdog steps in between two commands: they are repeated until it is so.
    for (let attempt = 0; attempt < 60 && latch() !== 0b01; attempt++) {
      await client.set('/gpio/plates/pump', bool(true))
      await client.set('/gpio/plates/fan', bool(false))
      await until(() => latch() === 0b01, 'outputs opposite to their safe state', 500).catch(() => {})
    }
    client.close()
    assert.equal(latch(), 0b01, 'outputs opposite to their safe state')
  }
  const safeAfter = async (signal: 'SIGSTOP' | 'SIGKILL') => {
    const startedAt = performance.now()
    child.kill(signal)
    await until(() => latch() === 0b10, `safe outputs after ${signal}`)
    t.diagnostic(`safe ${(performance.now() - startedAt).toFixed(1)} ms after ${signal}`)
  }
  await switchOver()
  await safeAfter('SIGSTOP')
  child.kill('SIGCONT')
  const client = await connect(url, { name: 'test' })
  const shown = new Map<string, unknown>()
  await client.subscribe(['/gpio/plates/*'], ({ address, value }) => {
    if (value !== undefined) shown.set(address, plainOf(value))
  })
  await until(() => shown.get('/gpio/plates/pump') === false && shown.get('/gpio/plates/fan') === true, 'safe params')
  client.close()
  assert.equal(latch(), 0b10)
  await switchOver()
  await safeAfter('SIGKILL')
})
