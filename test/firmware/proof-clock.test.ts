/** How well devices with clocks that run wrong know the router's time. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { portFolder, Runtime } from './runtime-fixture.ts'
import { SimulatedNode } from './simulated-node.ts'

const DRIFT_PPM = 50
/** The first exchanges come within 400 ms, the drift is known some seconds later. */
const LEARNING_MS = 6000
const SAMPLES = 40
const EVERY_MS = 50

test('devices whose clocks drift know the router’s time, on a pseudo-terminal and over UDP', async (t) => {
  const pty = join(portFolder(t), 'tty')
  const common = { signals: ['tick,i32,out'], driftPpm: DRIFT_PPM }
  const onPty = await SimulatedNode.start({ pty, name: 'wired', ...common }, t)
  const runtime = await Runtime.start(t, { serial: [{ port: pty }], udp: true })
  const onUdp = await SimulatedNode.start({ udp: `127.0.0.1:${runtime.port}`, name: 'remote', ...common }, t)
  await runtime.online(2)
  await pause(LEARNING_MS)
  const carriers = [
    { name: 'pseudo-terminal', node: onPty, goodUs: 1000, errors: [] as number[] },
    { name: 'UDP', node: onUdp, goodUs: 500, errors: [] as number[] },
  ]
  for (let i = 0; i < SAMPLES; i++) {
    for (const { node, errors } of carriers) {
      const { errorUs } = await node.time()
      errors.push(Math.abs(errorUs ?? Number.POSITIVE_INFINITY))
    }
    await pause(EVERY_MS)
  }
  for (const { name, goodUs, errors } of carriers) {
    errors.sort((a, b) => a - b)
    const [medianUs, worstUs] = [errors[SAMPLES >> 1], errors[SAMPLES - 1]]
    t.diagnostic(
      `${name}: wrong by ${medianUs} µs, at worst ${worstUs} µs, with ${DRIFT_PPM} ppm of drift; good: ${goodUs}`,
    )
    // Four times as much is for a machine that is busy with other tests.
    assert.ok(medianUs < 4 * goodUs, `${name}: ${medianUs} µs`)
  }
})

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
