import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deviceKinds } from '../../devices/index.ts'
import { bridgeKinds } from '../../runtime/bridges/bridge-kinds.ts'
import { cli } from './run-cli.ts'

test('kinds lists every kind of device and bridge with what it is', async () => {
  const { code, stdout } = await cli(['kinds'])
  assert.equal(code, 0)
  for (const { kind, description } of [...deviceKinds, ...bridgeKinds]) {
    assert.ok(
      stdout.split('\n').some((line) => line.startsWith(`${kind} `) && line.endsWith(description)),
      kind,
    )
  }
})

test('kinds shows the settings of a kind, with those of the rows of its tables', async () => {
  const { stdout } = await cli(['kinds', 'mcp23017'])
  assert.match(stdout, /^mcp23017 \(devices\): /)
  assert.match(stdout, /^name \* +Its name/m)
  assert.match(stdout, /^address +Its address; \/gpio\/<name> when left out\.$/m)
  assert.match(stdout, /^chipAddress +0x20 /m)
  assert.match(stdout, /^ {2}direction +in +.*One of: in, out$/m)
  const described = JSON.parse((await cli(['kinds', 'mcp23017', '--json'])).stdout)
  assert.ok(described.properties.pins)
})

test('kinds of something else says what was probably meant', async () => {
  const { code, stderr } = await cli(['kinds', 'rely'])
  assert.equal(code, 1)
  assert.match(stderr, /there is no kind "rely": did you mean "relay"\?/)
})
