import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until as untilWithin } from '../../until.ts'
import { command, Product } from './product.ts'
import { SimulatedChip } from './simulated-chip.ts'
import { until } from './until.ts'

const UNSAFE = '1011'
/** Of all but the last, which is high impedance then: the simulator shows that only when it is pulled. */
const SAFE = '011'
const ATTEMPTS = 20
const ATTEMPT_MS = 2000

function outputs(prefix: string): { names: string[]; settings: string } {
  const names = [0, 1, 2, 3].map((number) => `${prefix}${number}`)
  const settings = `
failSafe: {watchdog: 90ms, linger: 20s}
devices:
  - {name: pump, kind: relay, line: ${names[0]}}
  - {name: fan, kind: relay, line: ${names[1]}, safe: on}
  - {name: light, kind: led, line: ${names[2]}, safe: hold}
  - {name: valve, kind: relay, line: ${names[3]}, safe: release}
`
  return { names, settings }
}

/** On a machine that is busy the watchdog may step in meanwhile. */
async function switchAll(product: Product, chip: SimulatedChip): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS && chip.levels() !== UNSAFE; attempt++) {
    for (const address of ['/relay/pump', '/gpio/light', '/relay/valve']) await product.set(address, true)
    await product.set('/relay/fan', false)
    await untilWithin(() => chip.levels() === UNSAFE, 'outputs that are on', ATTEMPT_MS).catch(() => {})
  }
  assert.equal(chip.levels(), UNSAFE)
}

/** Nobody drives the line. */
async function followsPull(chip: SimulatedChip, name: string, ...levels: boolean[]): Promise<void> {
  for (const isHigh of levels) {
    await until(() => {
      chip.pull(name, isHigh)
      return chip.level(name) === isHigh
    }, 'high impedance')
  }
}

for (const [title, prefix, signal] of [
  ['is killed', 'KILL', 'SIGKILL'],
  ['hangs', 'STOP', 'SIGSTOP'],
] as const) {
  test(`outputs of the kernel are safe when the router ${title}`, async (t) => {
    const { names, settings } = outputs(prefix)
    const chip = new SimulatedChip(t, names)
    const product = await Product.start(t, settings)
    await followsPull(chip, names[3], true, false)
    await switchAll(product, chip)
    const startedAt = performance.now()
    product.child.kill(signal)
    await until(() => chip.levels().startsWith(SAFE), 'safe outputs')
    const ms = performance.now() - startedAt
    t.diagnostic(`safe after ${ms.toFixed(1)} ms`)
    // 100 ms on a processor; this one is computed.
    assert.ok(ms < 1000)
    await followsPull(chip, names[3], false, true)
  })
}

test('a relay and a button work through the router, also after their chip was unplugged', async (t) => {
  const chip = new SimulatedChip(t, ['ROUTE0', 'ROUTE1'])
  const product = await Product.start(
    t,
    `failSafe: {watchdog: 10s}
devices:
  - {name: lamp, kind: relay, line: ROUTE0}
  - {name: bell, kind: button, line: ROUTE1, activeLow: true, bias: up}
`,
  )
  const { params, events } = product
  assert.equal(params.get('/gpio/bell'), false)
  await command('set', '/relay/lamp', 'true', '--url', `tcp://127.0.0.1:${product.port}`, '--timeout', '30s')
  await until(() => chip.level('ROUTE0'), 'the lamp')
  chip.pull('ROUTE1', false)
  await until(() => params.get('/gpio/bell') === true, 'the button')
  chip.pull('ROUTE1', true)
  await until(() => params.get('/gpio/bell') === false, 'the button let go')
  const clicks = events.filter(({ address }) => address === '/gpio/bell/event').map(({ value }) => value)
  assert.deepEqual(clicks.map((value) => (typeof value === 'object' ? value?.type : value)).slice(0, 2), [
    'press',
    'release',
  ])
  chip.unplug()
  await until(() => params.get('/gpio/bell/ok') === false && params.get('/relay/lamp/ok') === false, 'the loss')
  chip.plug()
  await until(() => params.get('/gpio/bell/ok') === true && params.get('/relay/lamp/ok') === true, 'the return')
  await product.set('/relay/lamp', true)
  await until(() => chip.level('ROUTE0'), 'the lamp again')
  product.child.kill('SIGTERM')
  await until(() => product.child.exitCode !== null, 'the end of the router')
  assert.equal(product.child.exitCode, 0)
  assert.equal(chip.level('ROUTE0'), false)
})
