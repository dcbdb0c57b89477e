import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { inspect } from 'node:util'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { DeviceReport } from '../../runtime/firmware/device-report.ts'
import { type Firmware, type FirmwareConfig, startFirmware } from '../../runtime/firmware/firmware.ts'
import { NarrowAcceptor } from '../../runtime/firmware/narrow-acceptor.ts'
import type { PortReport, SerialPortConfig } from '../../runtime/firmware/serial-lines.ts'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'
import type { Log, LogFields } from '../../runtime/router/log.ts'
import { defaultRouterOptions, type RouterOptions } from '../../runtime/router/options.ts'
import { Router } from '../../runtime/router/router.ts'
import { listenPort } from '../../runtime/transports/port.ts'
import { listenUdp } from '../../runtime/transports/udp.ts'
import { WebRoutes } from '../../runtime/transports/web-routes.ts'
import { type End, Line } from '../line/line.ts'
import { Peer } from '../router/fixture.ts'
import { until } from '../until.ts'

export interface StageOptions {
  /** Lines with a port of the router at their end `a`, each with what its configuration has beyond the usual. */
  lines?: Partial<SerialPortConfig>[]
  keys?: FirmwareConfig['keys']
  requireKey?: boolean
  /** ms. */
  keepalive?: number
  grace?: number
  /** Folder for descriptors. */
  cache?: string
  clock?: Clock
  router?: Partial<RouterOptions>
}

export interface FirmwarePage {
  ports: PortReport[]
  devices: DeviceReport[]
  udp: Record<string, number>
}

export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
  fields: LogFields
}

/** A router with its firmware part on virtual serial lines, UDP, TCP and HTTP. Everything ends with the test. */
export class Stage {
  readonly router: Router
  readonly firmware: Firmware
  readonly lines: Line[]
  readonly log: LogLine[]
  readonly port: number
  readonly udpPort: number
  private readonly end: () => Promise<void>
  private readonly t: TestContext

  private constructor(
    parts: Pick<Stage, 'router' | 'firmware' | 'lines' | 'log' | 'port' | 'udpPort'>,
    end: () => Promise<void>,
    t: TestContext,
  ) {
    this.router = parts.router
    this.firmware = parts.firmware
    this.lines = parts.lines
    this.log = parts.log
    this.port = parts.port
    this.udpPort = parts.udpPort
    this.end = end
    this.t = t
  }

  static async start(t: TestContext, options: StageOptions = {}): Promise<Stage> {
    const { clock = systemClock, lines: wanted = [] } = options
    const folder = temporaryFolder(t)
    const lines = await Promise.all(
      wanted.map((_config, i) => Line.open({ a: join(folder, `a${i}`), b: join(folder, `b${i}`) }, t)),
    )
    const lineLog: LogLine[] = []
    const log = recordingLog(lineLog)
    const router = new Router({ ...defaultRouterOptions, ...options.router }, { clock, log })
    const acceptor = new NarrowAcceptor(router, { clock, log })
    const { keys = [], requireKey = false, keepalive = 1000, grace = 5000, cache } = options
    const serial = lines.map(({ a }, i) => ({ ...USUAL, port: a, ...wanted[i] }))
    const firmware = await startFirmware(
      { serial, keys, requireKey, keepalive, grace, cache },
      { router, acceptor, clock, log, simulatedNode: null },
    )
    const aborter = new AbortController()
    const routes = new WebRoutes(firmware.routes)
    const listener = await listenPort({ host: '127.0.0.1', port: 0, routes }, acceptor, log, aborter.signal)
    const udp = await listenUdp(
      { host: '127.0.0.1', ports: [0], onLinkDatagram: firmware.onDatagram, clock },
      acceptor,
      log,
      aborter.signal,
    )
    let stopped: Promise<void> | undefined
    const end = () => {
      stopped ??= (async () => {
        await firmware.stop()
        await udp.stop()
        await listener.stop()
        router.stop()
        aborter.abort()
      })()
      return stopped
    }
    t.after(end)
    const [udpPort] = udp.ports
    const stage = new Stage({ router, firmware, lines, log: lineLog, port: listener.port, udpPort }, end, t)
    // What a device says before the port is open is lost.
    for (let i = 0; i < lines.length; i++) await stage.opened(i)
    return stage
  }

  /** The device's end of a line. */
  path(line = 0, end: End = 'b'): string {
    return this.lines[line][end]
  }

  /** Waits until the router has the port at the end `a` of a line open. */
  async opened(line = 0): Promise<void> {
    const deadline = performance.now() + 15_000
    while (!(await this.lines[line].stats()).a.isOpen) {
      if (performance.now() > deadline) throw new Error(`${this.lines[line].a} is not opened`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const { a } = this.lines[line]
    await until(() => this.logged('serial port open').some(({ fields }) => fields.port === a), `open port ${a}`)
  }

  /** A client that has said HELLO. */
  async client(features = ['param', 'event', 'stream', 'gesture']): Promise<Peer> {
    const socket = connect(this.port, '127.0.0.1')
    this.t.after(() => socket.destroy())
    const peer = new Peer(socket)
    await once(socket, 'connect')
    peer.send({ type: 'HELLO', version: 1, features, name: 'client' })
    await peer.next('WELCOME')
    await peer.next('SNAPSHOT')
    return peer
  }

  /** What an operator sees. */
  async page(): Promise<FirmwarePage> {
    const response = await fetch(`http://127.0.0.1:${this.port}/firmware`)
    return (await response.json()) as FirmwarePage
  }

  device(uid: string): DeviceReport | undefined {
    return this.firmware.hub.report().find((device) => device.uid === uid)
  }

  /** Waits until the device is in this state. */
  async is(uid: string, state: DeviceReport['state'] | undefined): Promise<void> {
    await until(() => this.device(uid)?.state === state, `device ${uid} ${state ?? 'forgotten'}`)
  }

  logged(message: string): LogLine[] {
    return this.log.filter((line) => line.message === message)
  }

  stop(): Promise<void> {
    return this.end()
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

/** The value of a param as the router has it; undefined when it has none. */
export async function paramOf(client: Peer, address: string): Promise<Value | undefined> {
  client.send({ type: 'GET', address })
  const answers = await client.settle()
  for (const answer of answers.toReversed()) {
    if (answer.type !== 'SNAPSHOT') continue
    const param = answer.params.find((one) => one.address === address)
    if (param !== undefined) return param.value
  }
  return undefined
}

/** Waits until the router's param is this. */
export async function untilParam(
  client: Peer,
  address: string,
  holds: (value: Value | undefined) => boolean,
): Promise<Value> {
  const deadline = performance.now() + 15_000
  for (;;) {
    const value = await paramOf(client, address)
    if (holds(value)) return value as Value
    if (performance.now() > deadline) throw new Error(`${address} is ${inspect(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-firmware-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function recordingLog(lines: LogLine[]): Log {
  const at =
    (level: LogLine['level']) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ level, message, fields })
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** A value without its type; null stays null, and what is not there undefined. */
export function plain(value: Value | undefined): unknown {
  return value === undefined ? undefined : 'value' in value ? value.value : null
}
