import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Client } from '../../runtime/client/client.ts'
import { connect } from '../../runtime/client/connect.ts'
import { type Config, defaultConfig } from '../../runtime/config/schema.ts'
import { startEdge } from '../../runtime/edge.ts'
import type { DeviceReport } from '../../runtime/firmware/device-report.ts'
import type { PortReport, SerialPortConfig } from '../../runtime/firmware/serial-lines.ts'
import type { Clock } from '../../runtime/router/clock.ts'
import { type Log, silentLog } from '../../runtime/router/log.ts'

const WAIT_MS = 15_000

export interface RuntimeOptions {
  serial?: (Partial<SerialPortConfig> & { port: string })[]
  keepalive?: number
  grace?: number
  udp?: boolean
  clock?: Clock
  log?: Log
}

export interface FirmwareReport {
  ports: PortReport[]
  devices: DeviceReport[]
}

/** The whole router as `clasp-edge run` starts it, on loopback and a free port. It goes with the test. */
export class Runtime {
  readonly port: number
  readonly stop: () => Promise<void>
  private readonly t: TestContext

  private constructor(port: number, stop: () => Promise<void>, t: TestContext) {
    this.port = port
    this.stop = stop
    this.t = t
  }

  static async start(t: TestContext, options: RuntimeOptions = {}): Promise<Runtime> {
    const { serial = [], keepalive, grace, udp = false, clock, log = silentLog } = options
    const config: Config = structuredClone(defaultConfig)
    Object.assign(config, { name: 'under test', simulate: false })
    Object.assign(config.listen, { host: '127.0.0.1', port: 0, udp })
    Object.assign(config.discovery, { mdns: false, broadcast: false })
    config.firmware.serial = serial.map((one) => ({ ...USUAL, ...one }) as Config['firmware']['serial'][number])
    if (keepalive !== undefined) config.firmware.keepalive = keepalive
    if (grace !== undefined) config.firmware.grace = grace
    const edge = await startEdge(config, { log, version: 'test', ...(clock !== undefined && { clock }) })
    let stopped: Promise<void> | undefined
    const stop = () => {
      stopped ??= edge.stop()
      return stopped
    }
    t.after(stop)
    return new Runtime(edge.port, stop, t)
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`
  }

  async client(name = 'test'): Promise<Client> {
    const client = await connect(this.url, { name })
    this.t.after(() => client.close())
    return client
  }

  /** What an operator sees of ports and devices. */
  async report(): Promise<FirmwareReport> {
    return (await (await fetch(`http://127.0.0.1:${this.port}/firmware`)).json()) as FirmwareReport
  }

  async status(): Promise<{ sessions: { name: string }[] }> {
    return (await (await fetch(`http://127.0.0.1:${this.port}/status`)).json()) as { sessions: { name: string }[] }
  }

  /** Waits until so many devices are online. */
  async online(count = 1, withinMs = WAIT_MS): Promise<FirmwareReport> {
    return this.shows(({ devices }) => devices.filter(({ state }) => state === 'online').length >= count, withinMs)
  }

  /** Waits until the report is as described. */
  async shows(holds: (report: FirmwareReport) => boolean, withinMs = WAIT_MS): Promise<FirmwareReport> {
    const deadline = performance.now() + withinMs
    for (;;) {
      const report = await this.report()
      if (holds(report)) return report
      if (performance.now() > deadline)
        throw new Error(`not within ${withinMs} ms: ${holds}\n${JSON.stringify(report)}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

const USUAL: Omit<SerialPortConfig, 'port'> = {
  baudRate: 115_200,
  maxBaudRate: 0,
  mode: 'auto',
  implicitHello: false,
  resetOnOpen: false,
  rtscts: false,
}

/** For ports; removed with the test. */
export function portFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-ports-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
