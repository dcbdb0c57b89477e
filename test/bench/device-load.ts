/** Devices at a router in a process of their own, so that what they cost can be told. */
import { setFlagsFromString } from 'node:v8'
import { SimulatedI2c } from '../../devices/i2c/simulated-i2c.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { startDevices } from '../../runtime/devices/device-host.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { Router } from '../../runtime/router/router.ts'
import { Ads1115Chip } from '../devices/i2c/ads1115-chip.ts'
import { Ina219Chip } from '../devices/i2c/ina219-chip.ts'
import { Mpu6050Chip } from '../devices/i2c/mpu6050-chip.ts'
import { Vl53l0xChip } from '../devices/i2c/vl53l0x-chip.ts'

export type DeviceLoad =
  | { sensors: number; isSimulated: boolean; warmS: number; measuredS: number }
  /** Path of a clasp-io: counts the pulses of GPIO0 until it is told that it was enough. */
  | { counter: string }

export interface DeviceLoadResult {
  /** Of a core. */
  cpuPercent: number
  messagesPerSecond: number
  rssBytes: number
  heapBytes: number
  counted?: number
  /** Of the event loop: the longest turn with what others had the cores for, and what can have been work of it. */
  longestMs?: number
  longestWorkMs?: number
}

const WARM_EDGES_MS = 1500

interface Sensor {
  /** In the configuration. */
  settings: string
  /** Gives the model of the chip another reading. */
  change?: (round: number) => void
}

/** Four kinds in turn, each on a bus of its own; made-up ones have no chip. */
const SENSORS: readonly ((i2c: SimulatedI2c, bus: string, isSimulated: boolean) => Sensor)[] = [
  (i2c, bus, isSimulated) => {
    const settings = 'kind: ads1115, channels: [{input: A0, rate: 860}]'
    if (isSimulated) return { settings }
    const chip = new Ads1115Chip(systemClock)
    i2c.attach(bus, 0x48, chip)
    return {
      settings,
      change: (round) => {
        chip.pins[0] = 1 + (round % 100) / 50
      },
    }
  },
  (i2c, bus, isSimulated) => {
    const settings = 'kind: ina219'
    if (isSimulated) return { settings }
    const chip = new Ina219Chip()
    i2c.attach(bus, 0x40, chip)
    return {
      settings,
      change: (round) => {
        chip.busV = 5 + (round % 100) / 10
      },
    }
  },
  (i2c, bus, isSimulated) => {
    const settings = 'kind: mpu6050, stream: false'
    if (isSimulated) return { settings }
    const chip = new Mpu6050Chip()
    i2c.attach(bus, 0x68, chip)
    return { settings, change: (round) => chip.feel(100 * (round % 100), 0, 16_384, 0, 0, 0, 0) }
  },
  (i2c, bus, isSimulated) => {
    const settings = 'kind: vl53l0x'
    if (isSimulated) return { settings }
    const chip = new Vl53l0xChip(systemClock)
    i2c.attach(bus, 0x29, chip)
    return {
      settings,
      change: (round) => {
        chip.target.mm = 100 + 10 * (round % 100)
      },
    }
  },
]

export async function runDeviceLoad(wanted: DeviceLoad): Promise<DeviceLoadResult> {
  // As the product sets it.
  setFlagsFromString('--semi-space-growth-factor=1')
  return 'counter' in wanted ? count(wanted.counter) : sense(wanted)
}

async function sense({ sensors, isSimulated, warmS, measuredS }: Exclude<DeviceLoad, { counter: string }>) {
  const router = new Router({ ...defaultRouterOptions, name: 'bench' }, { clock: systemClock, log: silentLog })
  let messages = 0
  const client = router.openLocal({ name: 'client', onMessage: () => void messages++ })
  client.send({ type: 'SUBSCRIBE', id: 1, pattern: '/**', types: [] })
  const i2c = new SimulatedI2c()
  let round = 0
  const changes: (() => void)[] = []
  const lines = Array.from({ length: sensors }, (_, i) => {
    const { settings, change } = SENSORS[i % SENSORS.length](i2c, String(i), isSimulated)
    if (change !== undefined) changes.push(() => change(round))
    return `{name: s${i}, every: 100ms, bus: ${i}, ${settings}}`
  })
  const { devices } = await parseConfig(`devices:\n${lines.map((line) => `  - ${line}\n`).join('')}`, 'bench.yaml')
  const host = await startDevices(
    { entries: devices, simulate: isSimulated, watchdogMs: 100, lingerMs: 0 },
    { router, clock: systemClock, log: silentLog, program: null, i2c },
  )
  const change = setInterval(() => {
    round++
    for (const one of changes) one()
  }, 100)
  await pause(warmS * 1000)
  const before = { cpu: process.cpuUsage(), at: performance.now(), messages }
  await pause(measuredS * 1000)
  const { user, system } = process.cpuUsage(before.cpu)
  const ms = performance.now() - before.at
  clearInterval(change)
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  const result: DeviceLoadResult = {
    cpuPercent: (user + system) / 1000 / ms / 0.01,
    messagesPerSecond: ((messages - before.messages) / ms) * 1000,
    rssBytes: rss,
    heapBytes: heapUsed,
  }
  await host.stop()
  router.stop()
  return result
}

async function count(program: string): Promise<DeviceLoadResult> {
  const router = new Router({ ...defaultRouterOptions, name: 'bench' }, { clock: systemClock, log: silentLog })
  let total = 0
  const client = router.openLocal({
    name: 'client',
    onMessage: (message) => {
      if (message.type === 'SET' && message.value.type === 'i64') total = Number(message.value.value)
    },
  })
  client.send({ type: 'SUBSCRIBE', id: 1, pattern: '/counter/pulses', types: ['param'] })
  const { devices } = await parseConfig('devices: [{name: pulses, kind: counter, line: GPIO0}]\n', 'bench.yaml')
  const host = await startDevices(
    { entries: devices, simulate: false, watchdogMs: 5000, lingerMs: 0 },
    { router, clock: systemClock, log: silentLog, program },
  )
  const enough = new Promise<void>((done) => process.on('message', (message) => message === 'enough' && done()))
  process.send?.('counting')
  // The process has just started: what V8 compiles and clears away of that is not what edges cost.
  await pause(WARM_EDGES_MS)
  const turns = new Turns()
  await enough
  turns.stop()
  // What is still on its way, and the last value, which comes a tenth of a second later at most.
  await pause(500)
  const result: DeviceLoadResult = {
    cpuPercent: 0,
    messagesPerSecond: 0,
    rssBytes: 0,
    heapBytes: 0,
    counted: total,
    longestMs: turns.longestMs,
    longestWorkMs: turns.longestWorkMs,
  }
  await host.stop()
  router.stop()
  return result
}

/**
 * How long the turns of the event loop are, by a timer of a millisecond. A turn has not worked for longer than it took, nor
 * for more than the process had of the cores meanwhile: what is left of a late timer is the waiting for a core.
 */
class Turns {
  longestMs = 0
  longestWorkMs = 0
  private at = performance.now()
  private cpu = process.cpuUsage()
  private readonly timer = setInterval(() => {
    const now = performance.now()
    const { user, system } = process.cpuUsage(this.cpu)
    this.cpu = process.cpuUsage()
    const ms = now - this.at - 1
    this.at = now
    this.longestMs = Math.max(this.longestMs, ms)
    this.longestWorkMs = Math.max(this.longestWorkMs, Math.min(ms, (user + system) / 1000))
  }, 1)

  stop(): void {
    clearInterval(this.timer)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms))
}
