/**
 * The composition root: builds the parts that a configuration asks for, starts them in order and stops them in reverse.
 *
 * The way of one SET: `transports/stream-link.ts` reads the socket and cuts frames, `router/session.ts` checks the frame,
 * `router/router.ts` picks the path, `router/set-path.ts` authorises, applies and acknowledges, `router/store.ts` holds
 * the state and `router/fanout.ts` delivers.
 */
import { readFile } from 'node:fs/promises'
import { hostname, networkInterfaces } from 'node:os'
import { dirname, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { Board } from '../boards/board.ts'
import { detectBoard } from '../boards/detect.ts'
import { DISCOVERY_PORT } from '../firmware-protocol/wire/constants.ts'
import type { Feature } from '../firmware-protocol/wire/message.ts'
import type { BridgeHost } from './bridges/bridge-host.ts'
import { type ConfigChanges, configChanges } from './config/changes.ts'
import { journalOptions, leafOptions } from './config/part-options.ts'
import { ConfigError } from './config/problem.ts'
import { routerOptions } from './config/router-options.ts'
import type { Config } from './config/schema.ts'
import type { DeviceHost } from './devices/device-host.ts'
import { routerId } from './discovery/router-id.ts'
import { findProgram } from './find-program.ts'
import type { Firmware } from './firmware/firmware.ts'
import { NarrowAcceptor } from './firmware/narrow-acceptor.ts'
import type { RunningJournal } from './journal/journal.ts'
import { observabilityRoutes } from './observability/http-routes.ts'
import { Sampler } from './observability/sampler.ts'
import { publishSelf } from './observability/self-params.ts'
import { type Clock, systemClock, type Timer } from './router/clock.ts'
import type { Log } from './router/log.ts'
import type { PartReport } from './router/part-report.ts'
import { Router } from './router/router.ts'
import type { RouteTable } from './routes/route-table.ts'
import { listenPort, type TlsFiles } from './transports/port.ts'
import { WebRoutes } from './transports/web-routes.ts'

const FEATURES: Feature[] = ['param', 'event', 'stream', 'gesture', 'timeline']

/** Bridges are tried before anybody connects; foreign sides that do not answer are not waited for. */
const BRIDGES_PATIENCE_MS = 2000

/** Outputs that want to be safe without a hub wait so long for its return. */
const HUB_GRACE_MS = 10_000

export interface EdgeParts {
  log: Log
  version: string
  /** Folder of the programs that come with the runtime: the simulated microcontroller. Default: that of the bundle. */
  programs?: string
  clock?: Clock
}

/** A running router with everything around it. */
export interface Edge {
  readonly port: number
  readonly board: Board
  /** Where to connect from outside, most useful first: `ws://192.168.1.20:7330/clasp`. */
  readonly addresses: string[]
  readonly isSimulated: boolean
  /** Takes over what can change while running, and tells what cannot. */
  reload(config: Config): ConfigChanges
  stop(): Promise<void>
}

/** Starts a router. Rejects with a ConfigError or a ListenError when it cannot; nothing is left running then. */
export async function startEdge(initial: Config, parts: EdgeParts): Promise<Edge> {
  const { log, version, clock = systemClock } = parts
  // The hot path makes no garbage, so a young generation that grows would only cost memory: with 100 000 params 51 MB
  // above rest instead of 79, at the same message rate.
  setFlagsFromString('--semi-space-growth-factor=1')
  let config = initial
  const stops: (() => void | Promise<void>)[] = []
  const aborter = new AbortController()
  const stop = async () => {
    // What was started last leaves first.
    for (let next = stops.pop(); next !== undefined; next = stops.pop()) await next()
    aborter.abort()
  }
  try {
    const board = await detectBoard()
    const router = new Router(routerOptions(config), { clock, log })
    stops.push(() => router.stop())

    const reports: Record<string, () => PartReport> = {}
    const programs = parts.programs ?? dirname(process.argv[1] ?? '')
    // Before anybody connects: the state of before comes first.
    const journal = await startJournalOf(config, router)

    const acceptor = new NarrowAcceptor(router, { clock, log })
    const sampler = new Sampler(() => router.statistics, clock, aborter.signal)
    let isReady = false
    let isStopping = false
    let addresses: string[] = []
    const pages = observabilityRoutes({
      version,
      sampler,
      stats: () => router.statistics,
      sessions: () => router.sessionStatistics(),
      transports: () => ({ devices: { ...acceptor.counters } }),
      parts: partReports,
      addresses: () => addresses,
      isReady: () => isReady,
    })
    if (!config.http.status) pages.delete('/status')
    if (!config.http.metrics) pages.delete('/metrics')
    const routes = new WebRoutes(pages)
    const isSimulated = config.simulate === 'auto' ? board.isSimulated : config.simulate
    const { listen } = config
    // Devices come before the listeners: whoever connects from outside finds their signals.
    let firmware: Firmware | undefined
    const wantsFirmware = listen.udp || isSimulated || config.firmware.serial.length > 0
    if (wantsFirmware) {
      const { startFirmware } = await import('./firmware/firmware.ts')
      const simulatedNode = isSimulated ? await findProgram(programs, 'simulated-node') : null
      firmware = await startFirmware(config.firmware, {
        router,
        acceptor,
        clock,
        log,
        simulatedNode,
        reservedPorts: portsOf(config),
      })
      stops.push(() => firmware?.stop())
      if (config.http.status) for (const [path, route] of firmware.routes) routes.route(path, route)
    }
    let devices: DeviceHost | undefined
    if (config.devices.length > 0) devices = await startDevicesOf(config)
    let bridges: Promise<BridgeHost> | undefined
    if (config.bridges.length > 0) await tryBridges(config)
    let routeTable: RouteTable | undefined
    await applyRoutes()
    if (config.hub.accept) {
      const { Hub } = await import('./federation/hub/hub.ts')
      const { hubReport } = await import('./federation/hub/hub-report.ts')
      const hub = new Hub(router, { log, clock, name: config.name })
      router.peers = hub
      reports.leaves = () => hubReport(hub.statistics)
    }
    const listener = await listenPort(
      {
        host: listen.host,
        port: listen.port,
        tls: await readTls(listen.tls),
        handshakeTimeoutMs: listen.handshakeTimeout,
        idleTimeoutMs: listen.idleTimeout,
        pingIntervalMs: listen.pingInterval,
        maxConnections: listen.maxConnections,
        routes,
        clock,
      },
      acceptor,
      log,
      aborter.signal,
    )
    stops.push(() => listener.stop())
    addresses = reachableAddresses(listen.host, listener.port, listen.tls !== undefined)
    const identity = { name: config.name, features: FEATURES, id: await routerId(listener.port), clock }

    if (listen.udp) {
      const { listenUdp } = await import('./transports/udp.ts')
      const { probeReply } = await import('./discovery/broadcast.ts')
      const ports = config.discovery.broadcast ? [listener.port, DISCOVERY_PORT] : [listener.port]
      const udp = await startUdp(() =>
        listenUdp(
          {
            host: listen.host,
            ports: [...new Set(ports)],
            implicit: listen.udpImplicit,
            probeReply: config.discovery.broadcast ? () => probeReply(identity) : undefined,
            onLinkDatagram: firmware?.onDatagram,
            clock,
          },
          acceptor,
          log,
          aborter.signal,
        ),
      )
      // Devices on UDP hear the goodbye only while the socket is open.
      if (udp !== undefined) {
        stops.push(async () => {
          await firmware?.stop()
          await udp.stop()
        })
      }
    }
    if (config.discovery.mdns) {
      const { advertise } = await import('./discovery/mdns.ts')
      const { name, id } = identity
      const { port } = listener
      const udp = listen.udp ? port : undefined
      const advert = advertise(
        { name, id, features: FEATURES, ws: port, tcp: port, udp, isTls: listen.tls !== undefined },
        clock,
        log,
      )
      stops.push(() => advert.stop())
    }
    if (config.hub.url !== undefined) await startUplink(config.hub.url)
    if (config.state.selfInterval > 0) {
      publishSelf(router.openLocal({ name: 'router' }), sampler, version, partReports, aborter.signal)
    }
    if (isSimulated && !firmware?.isSimulating) {
      const { startSimulatedBoard } = await import('../devices/simulated/simulated-board.ts')
      const simulation = startSimulatedBoard({
        connect: (name, onMessage) => router.openLocal({ name, onMessage }),
        clock,
      })
      stops.push(() => simulation.stop())
    }
    // Outputs are safe before the network says goodbye.
    if (devices !== undefined) stops.push(() => devices.stop())
    stops.push(async () => (await bridges)?.stop())
    isReady = true
    log.info('router started', { name: config.name, port: listener.port, board: board.model })

    function partReports(): Record<string, PartReport> {
      return Object.fromEntries(Object.entries(reports).map(([name, report]) => [name, report()]))
    }

    async function startJournalOf({ journal: wanted }: Config, on: Router): Promise<RunningJournal | undefined> {
      if (wanted.enabled === false) return undefined
      const { usualJournalFolder } = await import('./journal/journal-folder.ts')
      const folder = wanted.folder ?? usualJournalFolder(process.env)
      if (folder === undefined) {
        const remedy = 'set journal.folder in the configuration'
        if (wanted.enabled === true) {
          const message = 'journal.enabled: there is no folder for the journal'
          throw new ConfigError('configuration', [{ line: 0, column: 0, message, remedy }])
        }
        log.info('the state is kept in memory only and is gone after a stop', { remedy })
        return undefined
      }
      const { startJournal } = await import('./journal/journal.ts')
      const { journalReport } = await import('./journal/journal-report.ts')
      const program = join(programs, 'journal-worker.cjs')
      const started = await startJournal(journalOptions(wanted, folder), { router: on, clock, log, program })
      on.journal = started
      stops.push(() => started.stop())
      reports.journal = () => journalReport(started.statistics)
      return started
    }

    async function startDevicesOf({ devices: entries, failSafe }: Config): Promise<DeviceHost> {
      const { startDevices } = await import('./devices/device-host.ts')
      const { devicesReport } = await import('./devices/devices-report.ts')
      const { boardPins } = await import('./devices/board-pins.ts')
      const { DevicePorts } = await import('./devices/device-ports.ts')
      const started = await startDevices(
        { entries, simulate: isSimulated, watchdogMs: failSafe.watchdog, lingerMs: failSafe.linger },
        {
          router,
          clock,
          log,
          program: await findProgram(programs, 'clasp-io'),
          i2cProgram: () => findProgram(programs, 'clasp-i2c'),
          findProgram: (name) => findProgram(programs, name),
          board,
          pins: await boardPins(board),
          serial: new DevicePorts(clock),
        },
      )
      stops.push(() => started.stop())
      reports.devices = () => devicesReport(started.reports)
      return started
    }

    async function tryBridges(wanted: Config): Promise<void> {
      let patience: Timer | undefined
      const enough = new Promise<void>((resolve) => {
        patience = clock.timer(BRIDGES_PATIENCE_MS, resolve)
      })
      await Promise.race([applyBridges(wanted), enough])
      patience?.cancel()
    }

    async function applyBridges({ bridges: entries }: Config): Promise<void> {
      if (isStopping) return
      // One host, also for reloads that follow each other closely.
      bridges ??= openBridges()
      await (await bridges).apply(entries)
    }

    async function openBridges(): Promise<BridgeHost> {
      stops.push(async () => (await bridges)?.stop())
      const { BridgeHost } = await import('./bridges/bridge-host.ts')
      const { bridgesReport } = await import('./bridges/bridges-report.ts')
      const { usualJournalFolder } = await import('./journal/journal-folder.ts')
      const started = new BridgeHost({
        router,
        clock,
        log,
        folder: usualJournalFolder(process.env),
        web: routes,
        findProgram: (name) => findProgram(programs, name),
      })
      reports.bridges = () => bridgesReport(started.reports)
      return started
    }

    /** Those of the newest configuration. */
    async function applyRoutes(): Promise<void> {
      if (config.routes.length === 0 && routeTable === undefined) return
      const { RouteTable } = await import('./routes/route-table.ts')
      const { routesReport } = await import('./routes/routes-report.ts')
      if (isStopping) return
      if (routeTable === undefined) stops.push(() => routeTable?.stop())
      routeTable?.stop()
      const started = new RouteTable(config.routes, { router, clock, log })
      routeTable = started
      reports.routes = () => routesReport(started.counters)
    }

    function onReloadFailure({ message }: Error): void {
      log.error('a part of the new configuration could not be put to work', { error: message })
    }

    async function startUplink(url: string): Promise<void> {
      const { startLeaf } = await import('./federation/leaf/leaf.ts')
      const { leafReport } = await import('./federation/leaf/leaf-report.ts')
      const { MemoryUplinkStore } = await import('./federation/leaf/memory-uplink-store.ts')
      await checkUplink(config, 'configuration')
      const options = leafOptions(config.hub, url)
      const store = journal?.uplink ?? new MemoryUplinkStore()
      let lost: Timer | undefined
      const onLink = (isUp: boolean) => {
        lost?.cancel()
        lost = isUp ? undefined : clock.timer(HUB_GRACE_MS, () => devices?.onHub(false))
        if (isUp) devices?.onHub(true)
      }
      const leaf = startLeaf(options, { router, store, clock, log, version, onLink, signal: aborter.signal })
      stops.push(async () => {
        await leaf.stop()
        lost?.cancel()
      })
      // One that is never reached is gone as well.
      onLink(false)
      reports.uplink = () => leafReport(leaf.statistics, clock.wallUs())
    }

    /** UDP is an extra: when its port is taken, say so and go on without it. */
    async function startUdp<T>(start: () => Promise<T>): Promise<T | undefined> {
      try {
        return await start()
      } catch (error) {
        if (listen.udpImplicit.length > 0 && error instanceof RangeError) throw error
        log.warn('CLASP over UDP and broadcast discovery are off', { reason: (error as Error).message })
        return undefined
      }
    }

    return {
      port: listener.port,
      board,
      addresses,
      isSimulated,
      reload(next) {
        const { applied } = configChanges(config, next)
        // What needs a restart is told again each time, until it has had one.
        const { needsRestart } = configChanges(initial, next)
        config = next
        if (applied.includes('bridges')) applyBridges(next).catch(onReloadFailure)
        if (applied.includes('routes')) applyRoutes().catch(onReloadFailure)
        router.reconfigure(routerOptions(next))
        return { applied, needsRestart }
      },
      async stop() {
        isReady = false
        isStopping = true
        await stop()
        log.info('router stopped')
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Throws a ConfigError when what is said of the hub does not fit together. */
export async function checkUplink({ hub }: Config, file: string): Promise<void> {
  if (hub.url === undefined) return
  const { leafProblems } = await import('./federation/leaf/leaf-options.ts')
  const problems = leafProblems(leafOptions(hub, hub.url))
  if (problems.length === 0) return
  throw new ConfigError(
    file,
    problems.map((problem) => ({ line: 0, column: 0, message: `hub.${problem}`, remedy: '' })),
  )
}

/** Serial ports that devices and bridges are to have. */
function portsOf({ devices, bridges }: Config): string[] {
  const options = [...devices, ...bridges].map((entry) => entry.options as { port?: unknown })
  return options.flatMap(({ port }) => (typeof port === 'string' ? [port] : []))
}

async function readTls(tls: Config['listen']['tls']): Promise<TlsFiles | undefined> {
  if (tls === undefined) return undefined
  const read = async (key: 'cert' | 'key') => {
    try {
      return await readFile(tls[key])
    } catch (error) {
      const message = `listen.tls.${key}: ${tls[key]} cannot be read (${(error as NodeJS.ErrnoException).code})`
      throw new ConfigError('configuration', [{ line: 0, column: 0, message, remedy: 'name a readable PEM file' }])
    }
  }
  return { cert: await read('cert'), key: await read('key'), passphrase: tls.passphrase }
}

/** URLs by which others reach this machine; this machine itself when it listens on loopback only. */
function reachableAddresses(host: string | undefined, port: number, isTls: boolean): string[] {
  const scheme = isTls ? 'wss' : 'ws'
  const isAll = host === undefined || host === '::' || host === '0.0.0.0'
  const hosts = isAll
    ? Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .filter(({ family, internal }) => family === 'IPv4' && !internal)
        .map(({ address }) => address)
    : [host.includes(':') ? `[${host}]` : host]
  if (isAll && hosts.length > 0) hosts.push(`${hostname()}.local`)
  if (isAll) hosts.push('127.0.0.1')
  return hosts.map((name) => `${scheme}://${name}:${port}/clasp`)
}
