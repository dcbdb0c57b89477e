/**
 * The figures of the hardware: edges, sensors, memory. Lines are files and chips are models; the router and the drivers are
 * the real ones. `npm run bench -- devices`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ensureLineHolder } from '../../.scripts/native.mjs'
import { connect } from '../../runtime/client/connect.ts'
import type { DeviceLoad, DeviceLoadResult } from './device-load.ts'
import type { PartRow } from './part-row.ts'

const LATENCIES = 1000
const EDGES = 100_000
const EDGES_PER_SECOND = 20_000
const SENSORS = 50
const WARM_S = 60
const MEASURED_S = 30
const MANY = 450
const FEW = 50

/** Runs all of it; `show` is told each row as it is known. */
export async function benchDevices(show: (row: PartRow) => void): Promise<void> {
  const stage = new Stage()
  try {
    show(await latency(stage))
    show(await edges(stage))
  } finally {
    stage.remove()
  }
  for (const [what, isSimulated] of [
    ['made-up readings (simulate: true)', true],
    ['the real drivers on models of four kinds of chips', false],
  ] as const) {
    const { cpuPercent, messagesPerSecond } = await load({
      sensors: SENSORS,
      isSimulated,
      warmS: WARM_S,
      measuredS: MEASURED_S,
    })
    show({
      name: `${SENSORS} I²C sensors at 10 Hz, ${what}, after ${WARM_S} s`,
      measured: `${cpuPercent.toFixed(1)} % of a core, ${messagesPerSecond.toFixed(0)} messages/s`,
      target: '≤ 5 %',
    })
  }
  const few = await load({ sensors: FEW, isSimulated: true, warmS: 5, measuredS: 1 })
  const many = await load({ sensors: MANY, isSimulated: true, warmS: 5, measuredS: 1 })
  const perDevice = (key: 'rssBytes' | 'heapBytes') => (many[key] - few[key]) / (MANY - FEW) / 1024
  show({
    name: `memory of a device (${MANY} against ${FEW})`,
    measured: `${perDevice('rssBytes').toFixed(0)} KB resident, ${perDevice('heapBytes').toFixed(0)} KB of it heap`,
    target: '≤ 50 KB',
  })
}

/** A folder with the program, and a GPIO chip that is files. */
class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'clasp-device-bench-'))
  readonly lines = join(this.folder, 'lines')

  constructor() {
    const native = ensureLineHolder('.', true)
    if (native.path === undefined) throw new Error(native.reason)
    mkdirSync(join(this.lines, 'gpiochip0'), { recursive: true })
    writeFileSync(join(this.lines, 'gpiochip0', '0.name'), 'GPIO0')
    symlinkSync(resolve('dist/clasp-edge.cjs'), join(this.folder, 'clasp-edge.cjs'))
    symlinkSync(resolve(native.path), join(this.folder, 'clasp-io'))
  }

  get fifo(): string {
    return join(this.lines, 'gpiochip0', '0.in')
  }

  async renewFifo(): Promise<void> {
    rmSync(this.fifo, { force: true })
    await new Promise((done) => spawn('mkfifo', [this.fifo]).once('exit', done))
  }

  /** Starts the whole program with one device; resolves with its port. */
  async route(device: string): Promise<{ child: ChildProcess; port: number }> {
    await this.renewFifo()
    const config = `listen: {port: 0, host: 127.0.0.1, udp: false}
discovery: {mdns: false, broadcast: false}
journal: {enabled: false}
simulate: false
devices:
  - ${device}
`
    writeFileSync(join(this.folder, 'config.yaml'), config)
    const child = spawn(process.execPath, ['clasp-edge.cjs', 'run', '--config', 'config.yaml'], {
      cwd: this.folder,
      env: { ...process.env, CLASP_IO_FAKE: this.lines },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const port = await new Promise<number>((found, reject) => {
      let text = ''
      child.stderr?.on('data', (chunk) => {
        text += chunk
        const port = /port=(\d+)/.exec(text)?.[1]
        if (port !== undefined) found(Number(port))
      })
      child.once('exit', () => reject(new Error(text)))
    })
    return { child, port }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = new Promise((done) => child.once('exit', done))
  child.kill('SIGTERM')
  await gone
}

/** From the level at the pin to the SET at a WebSocket client. */
async function latency(stage: Stage): Promise<PartRow> {
  const { child, port } = await stage.route('{name: door, kind: switch, line: GPIO0, debounce: 0s}')
  const client = await connect(`ws://127.0.0.1:${port}`, { name: 'bench' })
  let heard: (isOn: boolean) => void = () => {}
  await client.subscribe(['/gpio/door'], ({ value }) => {
    if (value?.type === 'bool') heard(value.value)
  })
  const pin = await open(stage.fifo, 'r+')
  const took: number[] = []
  for (let i = 0; i < LATENCIES; i++) {
    const isOn = i % 2 === 0
    const told = new Promise<void>((done) => {
      heard = (value) => {
        if (value === isOn) done()
      }
    })
    const startedAt = performance.now()
    // At once: the other way it would go through a thread first.
    writeSync(pin.fd, isOn ? '1' : '0')
    await told
    took.push(performance.now() - startedAt)
    await new Promise((done) => setTimeout(done, 6))
  }
  await pin.close()
  await client.close()
  await ended(child)
  took.sort((a, b) => a - b)
  const at = (share: number) => (took[Math.floor(took.length * share)] as number).toFixed(2)
  return {
    name: 'an edge at a pin → SET at a WebSocket client',
    measured: `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${at(0.9999)} ms of ${LATENCIES}`,
    target: 'p99 ≤ 2 ms',
  }
}

/** Edges of one line as fast as they are asked for, counted by a device in a process of its own. */
async function edges(stage: Stage): Promise<PartRow> {
  await stage.renewFifo()
  const native = join(stage.folder, 'clasp-io')
  const child = loadProcess({ CLASP_IO_FAKE: stage.lines })
  const counting = answer(child, { counter: native })
  const ready = new Promise<void>((done) => child.on('message', (message) => message === 'counting' && done()))
  await ready
  const pin = await open(stage.fifo, 'r+')
  const startedAt = performance.now()
  const aBurst = EDGES_PER_SECOND / 1000
  for (let sent = 0; sent < EDGES; ) {
    const due = Math.min(EDGES, ((performance.now() - startedAt) / 1000) * EDGES_PER_SECOND + aBurst)
    const count = Math.floor((due - sent) / 2) * 2
    if (count > 0) {
      await pin.write('10'.repeat(count / 2))
      sent += count
    } else await new Promise((done) => setTimeout(done, 1))
  }
  const seconds = (performance.now() - startedAt) / 1000
  child.send('enough')
  const { counted = 0, longestMs = 0, longestWorkMs = 0 } = await counting
  await pin.close()
  return {
    name: `${EDGES} edges of one line at ${(EDGES / seconds / 1000).toFixed(1)} k/s`,
    measured: `${EDGES / 2 - counted} of ${EDGES / 2} pulses lost; longest turn of the event loop after 1.5 s ${longestWorkMs.toFixed(1)} ms of work, ${longestMs.toFixed(1)} ms with the waiting for a core`,
    target: 'none lost, ≤ 5 ms',
  }
}

async function load(wanted: DeviceLoad): Promise<DeviceLoadResult> {
  return answer(loadProcess(), wanted)
}

function loadProcess(env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, ['--expose-gc', process.argv[1] as string, '--device-load'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

function answer(child: ChildProcess, wanted: DeviceLoad): Promise<DeviceLoadResult> {
  child.send(wanted)
  return new Promise((done, reject) => {
    child.on('message', (message) => {
      if (typeof message === 'object') done(message as DeviceLoadResult)
    })
    child.once('exit', (code) => reject(new Error(`the load ended with ${code}`)))
  })
}
