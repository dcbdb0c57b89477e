import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { openOnNetwork } from '../../../runtime/bridges/lighting/network-bridge.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'

function scene() {
  const clock = new SteppedClock()
  const events: string[] = []
  const network = { names: ['eth0', 'eth9'], problem: '' }
  const context = {
    clock,
    tell: (state: string) => void events.push(state),
    problem: () => {},
    lost: (error: Error) => void events.push(`lost: ${error.message}`),
  }
  const parts = {
    context,
    places: () => network.names.map((name) => ({ name })),
    missing: 'there is no network',
    core: {
      attach: async (places: readonly { name: string }[]) => {
        await turn()
        if (network.problem !== '') throw new Error(network.problem)
        events.push(`attach ${places.map(({ name }) => name)}`)
      },
      detach: async () => {
        await turn()
        events.push('detach')
      },
      stop: async () => void events.push('stop'),
    },
  }
  const pass = async (ms: number) => {
    clock.advance(ms)
    for (let i = 0; i < 5; i++) await turn()
  }
  return { network, events, pass, clock, open: () => openOnNetwork(parts) }
}

test('of several networks one that has gone is looked for each second', async () => {
  const { network, events, pass, clock, open } = scene()
  const bridge = await open()
  network.names = ['eth0']
  await pass(10_000)
  network.names = ['eth0', 'eth9']
  await pass(1000)
  // All are there: it is looked after seldom again.
  network.names = []
  await pass(9000)
  assert.deepEqual(events, ['attach eth0,eth9', 'detach', 'attach eth0', 'detach', 'attach eth0,eth9'])
  await pass(1000)
  await bridge.stop()
  assert.deepEqual(events.slice(5), ['detach', 'degraded', 'stop'])
  assert.equal(clock.pendingTimers, 0)
})

test('what cannot be opened again is left to the back-off of all bridges', async () => {
  const { network, events, pass, clock, open } = scene()
  const bridge = await open()
  network.names = ['eth0']
  network.problem = 'the port is taken'
  await pass(10_000)
  await bridge.stop()
  assert.deepEqual(events, ['attach eth0,eth9', 'detach', 'lost: the port is taken', 'stop'])
  assert.equal(clock.pendingTimers, 0)
})

test('a bridge that is stopped while it opens again is closed all the same', async () => {
  const { network, events, clock, open } = scene()
  const bridge = await open()
  network.names = ['eth0']
  clock.advance(10_000)
  await turn()
  await bridge.stop()
  assert.deepEqual(events, ['attach eth0,eth9', 'detach', 'attach eth0', 'stop'])
  assert.equal(clock.pendingTimers, 0)
})

test('what cannot be opened at all leaves nothing behind', async () => {
  const { network, events, clock, open } = scene()
  network.problem = 'the port is taken'
  await assert.rejects(open(), /the port is taken/)
  assert.deepEqual([events, clock.pendingTimers], [['stop'], 0])
})
