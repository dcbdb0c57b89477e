/**
 * The figures of the firmware link: the built router in one process, simulated microcontrollers (the C library's host
 * build) in others, on pseudo-terminals and loopback UDP. `npm run bench -- firmware`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { PartRow } from './part-row.ts'

const BUNDLE = join('dist', 'clasp-edge.cjs')
const NODE = join('dist', 'simulated-node')
const TICKS_PER_SECOND = 100

interface Device {
  uid: string
  name: string
  state: string
  counters: Record<string, number>
}

interface Report {
  ports: { path: string; state: string; counters: Record<string, number> }[]
  devices: Device[]
}

/** One router with its devices, for one measurement. */
class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'clasp-firmware-bench-'))
  readonly nodes: SimulatedMicrocontroller[] = []
  port = 0
  private router: ChildProcess | null = null

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Starts the router with these serial ports. */
  async route(ports: { path: string; maxBaudRate?: number; baudRate?: number }[]): Promise<void> {
    const serial = ports.map(({ path, maxBaudRate = 0, baudRate = 115_200 }) => ({ port: path, maxBaudRate, baudRate }))
    const config = {
      listen: { port: 0, host: '127.0.0.1' },
      discovery: { mdns: false, broadcast: false },
      simulate: false,
      log: { level: 'warn' },
      firmware: { serial },
    }
    const file = this.path('config.yaml')
    writeFileSync(file, JSON.stringify(config))
    const router = spawn(process.execPath, [BUNDLE, 'run', '--config', file], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.router = router
    this.port = await new Promise<number>((resolve, reject) => {
      let text = ''
      router.stdout?.on('data', (chunk) => {
        text += chunk
        const port = /127\.0\.0\.1:(\d+)/.exec(text)?.[1]
        if (port !== undefined) resolve(Number(port))
      })
      router.once('exit', (code) => reject(new Error(`the router ended with ${code}`)))
    })
  }

  simulate(args: string[]): SimulatedMicrocontroller {
    const node = new SimulatedMicrocontroller(args)
    this.nodes.push(node)
    return node
  }

  async report(): Promise<Report> {
    const response = await fetch(`http://127.0.0.1:${this.port}/firmware`)
    return (await response.json()) as Report
  }

  async online(count: number): Promise<void> {
    const until = Date.now() + 20_000
    for (;;) {
      const { devices } = await this.report()
      if (devices.filter(({ state }) => state === 'online').length >= count) return
      if (Date.now() > until) throw new Error(`${devices.length} of ${count} devices came online`)
      await pause(50)
    }
  }

  /** Seconds of processor time that the router has used. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.router?.pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop()
    const { router } = this
    if (router !== null && router.exitCode === null) {
      const gone = new Promise((resolve) => router.once('exit', resolve))
      router.kill('SIGTERM')
      await gone
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

class SimulatedMicrocontroller {
  private readonly child: ChildProcess
  private readonly answers: ((line: Record<string, unknown>) => void)[] = []

  constructor(args: string[]) {
    this.child = spawn(NODE, [...args, '--stdin', '--quiet'], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child.stdin?.on('error', () => {})
    if (this.child.stdout !== null) {
      createInterface({ input: this.child.stdout }).on('line', (line) => {
        this.answers.shift()?.(JSON.parse(line) as Record<string, unknown>)
      })
    }
  }

  ask(command: string): Promise<Record<string, unknown>> {
    return new Promise((resolve) => {
      this.answers.push(resolve)
      this.child.stdin?.write(`${command}\n`)
    })
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return
    const gone = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.kill('SIGTERM')
    await gone
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function sum(report: Report, counter: string): number {
  return report.devices.reduce((total, { counters }) => total + (counters[counter] ?? 0), 0)
}

/** What changed between two reports in so many seconds. */
async function during(stage: Stage, ms: number) {
  const before = await stage.report()
  const cpu = stage.cpuSeconds()
  const startedAt = performance.now()
  await pause(ms)
  const after = await stage.report()
  const seconds = (performance.now() - startedAt) / 1000
  const of = (counter: string) => sum(after, counter) - sum(before, counter)
  return { seconds, cpuSeconds: stage.cpuSeconds() - cpu, of }
}

async function withStage<T>(run: (stage: Stage) => Promise<T>): Promise<T> {
  const stage = new Stage()
  try {
    return await run(stage)
  } finally {
    await stage.stop()
  }
}

const MS = 4000

async function bytesPerUpdate(signals: number): Promise<number> {
  return withStage(async (stage) => {
    const path = stage.path('tty')
    stage.simulate(['--pty', path, '--signals', `bench:${signals}`, '--rate', '200', '--lossy'])
    await stage.route([{ path }])
    await stage.online(1)
    const { of } = await during(stage, MS)
    return of('bytesIn') / of('records')
  })
}

async function saturated(baud: number): Promise<{ updates: number; share: number }> {
  return withStage(async (stage) => {
    const path = stage.path('tty')
    const rate = ['--baud', String(baud), '--line-rate', String(baud)]
    stage.simulate(['--pty', path, ...rate, '--signals', 'bench:8', '--rate', 'max', '--lossy'])
    await stage.route([{ path, baudRate: baud }])
    await stage.online(1)
    await pause(500)
    const { of, seconds } = await during(stage, MS)
    return { updates: of('records') / seconds, share: of('bytesIn') / seconds / (baud / 10) }
  })
}

async function cpuPerUpdate(signals: number, rate: number): Promise<{ us: number; rate: number }> {
  return withStage(async (stage) => {
    const path = stage.path('tty')
    stage.simulate(['--pty', path, '--signals', `bench:${signals}`, '--rate', String(rate), '--lossy'])
    await stage.route([{ path }])
    await stage.online(1)
    await pause(500)
    const { of, cpuSeconds, seconds } = await during(stage, MS)
    return { us: (cpuSeconds * 1e6) / of('records'), rate: of('records') / seconds }
  })
}

/** A client sets what the device echoes: client → router → device → router → client. */
async function roundTrip(): Promise<{ p50: number; p99: number }> {
  return withStage(async (stage) => {
    const path = stage.path('tty')
    stage.simulate(['--pty', path, '--name', 'echo', '--signals', 'echo'])
    await stage.route([{ path }])
    await stage.online(1)
    const socket = connect(stage.port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.setNoDelay(true)
    const send = (message: Message) => socket.write(encodeFrame(message))
    let pending: ((at: number) => void) | null = null
    let buffered = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      buffered = Buffer.concat([buffered, chunk])
      while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt16BE(2)) {
        const end = 4 + buffered.readUInt16BE(2)
        const frame = decodeFrame(buffered, 0, end)
        if ('message' in frame && frame.message.type === 'SET' && frame.message.address.includes('out')) {
          pending?.(performance.now())
          pending = null
        }
        buffered = buffered.subarray(end)
      }
    })
    send({ type: 'HELLO', version: 1, features: ['param'], name: 'bench' })
    send({ type: 'SUBSCRIBE', id: 1, pattern: '/dev/echo/out0', types: ['param'] })
    await pause(200)
    const times: number[] = []
    for (let i = 1; i <= 2000; i++) {
      const sentAt = performance.now()
      const arrived = new Promise<number>((resolve) => {
        pending = resolve
      })
      send({ type: 'SET', address: '/dev/echo/in0', value: { type: 'f64', value: i } })
      times.push((await arrived) - sentAt)
      await pause(1)
    }
    socket.destroy()
    times.sort((a, b) => a - b)
    return { p50: times[1000], p99: times[1980] }
  })
}

async function crowd() {
  return withStage(async (stage) => {
    const tty = stage.path('tty')
    const rate = ['--signals', 'bench:4']
    stage.simulate(['--pty', tty, '--count', '32', '--name', 's', ...rate, '--rate', '50'])
    await stage.route(Array.from({ length: 32 }, (_, i) => ({ path: `${tty}${i + 1}` })))
    const udp = ['--udp', `127.0.0.1:${stage.port}`, '--count', '200', '--name', 'u', '--uid', 'a000000000000000']
    stage.simulate([...udp, '--signals', 'bench:1', '--rate', '50', '--lossy'])
    await stage.online(232)
    await pause(1000)
    const { of, cpuSeconds, seconds } = await during(stage, 2 * MS)
    return {
      rate: of('records') / seconds,
      cpu: cpuSeconds / seconds,
      crc: of('crcErrors'),
      lost: of('lostUnreliable'),
      losses: of('losses'),
    }
  })
}

async function clockError(isUdp: boolean): Promise<{ worst: number; median: number }> {
  return withStage(async (stage) => {
    const path = stage.path('tty')
    const common = ['--signals', 'bench:1', '--rate', '10', '--drift-ppm', '50']
    const node = isUdp ? null : stage.simulate(['--pty', path, ...common])
    await stage.route(isUdp ? [] : [{ path }])
    const device = node ?? stage.simulate(['--udp', `127.0.0.1:${stage.port}`, ...common])
    await stage.online(1)
    await pause(5000)
    const errors: number[] = []
    for (let i = 0; i < 60; i++) {
      errors.push(Math.abs(Number((await device.ask('time')).errorUs)))
      await pause(250)
    }
    errors.sort((a, b) => a - b)
    return { worst: errors[errors.length - 1] / 1000, median: errors[30] / 1000 }
  })
}

/** All rows, each shown as it is measured. */
export async function benchFirmware(show: (row: PartRow) => void): Promise<void> {
  if (!existsSync(NODE)) {
    show({ name: 'firmware link', measured: 'not measured: no C compiler (apt install gcc)', target: '–' })
    return
  }
  const [alone, batched] = [await bytesPerUpdate(1), await bytesPerUpdate(8)]
  show({
    name: 'bytes on the wire per f32 update: alone, batched by 8',
    measured: `${alone.toFixed(1)}, ${batched.toFixed(2)} (keep-alive and time included)`,
    target: '≤ 12, ≤ 7',
  })
  for (const baud of [115_200, 921_600, 2_000_000]) {
    const { updates, share } = await saturated(baud)
    show({
      name: `updates/s at ${baud} baud (simulated line rate)`,
      measured: `${Math.round(updates)}, ${Math.round(share * 100)} % of the bytes`,
      target: '≥ 90 %',
    })
  }
  const trip = await roundTrip()
  show({
    name: 'client → device → client over a pty',
    measured: `p50 ${trip.p50.toFixed(2)} ms, p99 ${trip.p99.toFixed(2)} ms`,
    target: 'p99 ≤ 1.5 ms',
  })
  const few = await cpuPerUpdate(8, 500)
  const many = await cpuPerUpdate(40, 1000)
  show({
    name: 'CPU of the router per received update, everything included: 500 wake-ups/s × 8, and 1000 × 40',
    measured: `${few.us.toFixed(2)} µs at ${Math.round(few.rate)}/s, ${many.us.toFixed(2)} µs at ${Math.round(many.rate)}/s`,
    target: '≤ 2 µs',
  })
  const all = await crowd()
  show({
    name: '32 serial nodes × 200/s and 200 UDP nodes × 50/s',
    measured: `${Math.round(all.rate)}/s, ${Math.round(all.cpu * 100)} % of one core, CRC errors ${all.crc}, lost ${all.lost}, links lost ${all.losses}`,
    target: 'no loss on serial, ≤ 25 %',
  })
  for (const isUdp of [true, false]) {
    const { worst, median } = await clockError(isUdp)
    show({
      name: `clock error with 50 ppm drift, ${isUdp ? 'UDP' : 'pty'}`,
      measured: `median ${median.toFixed(2)} ms, worst ${worst.toFixed(2)} ms`,
      target: isUdp ? '≤ 0.5 ms' : '≤ 1 ms',
    })
  }
}
