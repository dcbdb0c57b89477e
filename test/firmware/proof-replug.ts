import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Clock, systemClock, type Timer } from '../../runtime/router/clock.ts'
import { heldBytes } from '../robustness/memory.ts'
import { until } from '../until.ts'
import { portFolder, Runtime } from './runtime-fixture.ts'
import { SimulatedNode } from './simulated-node.ts'

export interface ReplugReport {
  cycles: number
  /** ms from the moment at which the port is back to the first write that the device has echoed. */
  medianMs: number
  worstMs: number
  /** ms until the router has it online. */
  onlineMedianMs: number
  onlineWorstMs: number
  /** What there is more of than after the first cycles. */
  growth: { descriptors: number; timers: number; sessions: number; devices: number; ports: number; heapBytes: number }
}

/** Cycles after which everything that is made once has been made. */
const WARM_UP = 20
const ECHO = '/dev/replugged/'
const TRAFFIC_EVERY_MS = 3

/** The system's clock, which knows how many timers are set. */
class CountingClock implements Clock {
  timers = 0
  readonly now = systemClock.now
  readonly wallUs = systemClock.wallUs
  readonly afterTurn = systemClock.afterTurn

  timer(delayMs: number, callback: () => void): Timer {
    this.timers++
    let isSet = true
    const end = () => {
      if (isSet) this.timers--
      isSet = false
    }
    const inner = systemClock.timer(delayMs, () => {
      end()
      callback()
    })
    return {
      cancel() {
        end()
        inner.cancel()
      },
    }
  }
}

/** A device whose port vanishes and comes back so many times while values go both ways. */
export async function replugRun(t: TestContext, cycles: number): Promise<ReplugReport> {
  const clock = new CountingClock()
  const pty = join(portFolder(t), 'tty')
  const node = await SimulatedNode.start({ pty, name: 'replugged', signals: 'echo', quiet: true }, t)
  const runtime = await Runtime.start(t, { serial: [{ port: pty }], clock })
  const client = await runtime.client()
  const echoed = new Map<string, number>()
  let onlineAt = 0
  await client.subscribe([`${ECHO}*`], ({ address, value }) => {
    if (
      value?.type === 'map' &&
      value.value.some(([key, one]) => key === 'online' && 'value' in one && one.value === true)
    )
      onlineAt = performance.now()
    if (value?.type === 'f32' || value?.type === 'f64') echoed.set(address.slice(ECHO.length), value.value)
  })
  await runtime.online()
  let written = 0
  const traffic = setInterval(() => {
    const value = { type: 'f64', value: ++written % 1_000_000 } as const
    client.send({ type: 'SET', address: `${ECHO}in1`, value })
  }, TRAFFIC_EVERY_MS)
  t.after(() => clearInterval(traffic))

  const times: number[] = []
  const onlineTimes: number[] = []
  const count = async () => {
    // As it is when nothing has happened for a moment: with the port open and the device online.
    const { devices, ports } = await runtime.report()
    const { sessions } = await runtime.status()
    return {
      descriptors: readdirSync('/proc/self/fd').length,
      timers: clock.timers,
      sessions: sessions.length,
      devices: devices.length,
      ports: ports.length,
      heapBytes: heldBytes(),
    }
  }
  let before = await count()
  for (let cycle = 1; cycle <= cycles; cycle++) {
    await node.command('unplug')
    // Sometimes the router has noticed and looked for it in vain, sometimes it is back before that.
    await new Promise((resolve) => setTimeout(resolve, [0, 2, 20, 60][cycle % 4]))
    // Before the answer comes back the router may have it online already.
    const pluggedAt = performance.now()
    await node.command('plug')
    const value = cycle
    client.send({ type: 'SET', address: `${ECHO}in0`, value: { type: 'f64', value } })
    await until(() => echoed.get('out0') === value, `echo in cycle ${cycle}`)
    times.push(performance.now() - pluggedAt)
    await until(() => onlineAt > pluggedAt, `device online in cycle ${cycle}`)
    onlineTimes.push(onlineAt - pluggedAt)
    if (cycle === WARM_UP) before = await count()
  }
  const after = await count()
  const growth = Object.fromEntries(
    Object.entries(after).map(([key, number]) => [key, number - before[key as keyof typeof before]]),
  ) as ReplugReport['growth']
  assert.deepEqual(
    (await runtime.report()).devices.map(({ state }) => state),
    ['online'],
  )
  times.sort((a, b) => a - b)
  onlineTimes.sort((a, b) => a - b)
  return {
    cycles,
    medianMs: times[cycles >> 1],
    worstMs: times[cycles - 1],
    onlineMedianMs: onlineTimes[cycles >> 1],
    onlineWorstMs: onlineTimes[cycles - 1],
    growth,
  }
}

/** One line for a person. */
export function told({ cycles, medianMs, worstMs, onlineMedianMs, onlineWorstMs, growth }: ReplugReport): string {
  const ms = (value: number) => `${value.toFixed(0)} ms`
  return [
    `${cycles} cycles: in service after ${ms(medianMs)}, at worst ${ms(worstMs)}`,
    `online after ${ms(onlineMedianMs)}, at worst ${ms(onlineWorstMs)}`,
    `more than after ${WARM_UP} cycles: ${JSON.stringify(growth)}`,
  ].join('; ')
}
