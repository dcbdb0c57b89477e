/**
 * The composition root: builds the parts that a configuration asks for, starts them in order and stops them in reverse.
 *
 * The way of one SET: `transports/stream-link.ts` reads the socket and cuts frames, `router/session.ts` checks the frame,
 * `router/router.ts` picks the path, `router/set-path.ts` authorises, applies and acknowledges, `router/store.ts` holds
 * the state and `router/fanout.ts` delivers.
 */
import { dirname } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { Board } from '../boards/board.ts'
import { detectBoard } from '../boards/detect.ts'
import type { Feature } from '../firmware-protocol/wire/message.ts'
import { type ConfigChanges, configChanges } from './config/changes.ts'
import { routerOptions } from './config/router-options.ts'
import type { Config } from './config/schema.ts'
import { routerId } from './discovery/router-id.ts'
import { BridgesPart } from './edge/bridges-part.ts'
import { reachableAddresses } from './edge/reachable-addresses.ts'
import { RoutesPart } from './edge/routes-part.ts'
import type { EdgeScope } from './edge/scope.ts'
import { readTlsFiles } from './edge/tls-files.ts'
import { NarrowAcceptor } from './firmware/narrow-acceptor.ts'
import { observabilityRoutes } from './observability/http-routes.ts'
import { Sampler } from './observability/sampler.ts'
import { publishSelf } from './observability/self-params.ts'
import { type Clock, systemClock } from './router/clock.ts'
import type { Log } from './router/log.ts'
import type { PartReport } from './router/part-report.ts'
import { Router } from './router/router.ts'
import { listenPort } from './transports/port.ts'
import { WebRoutes } from './transports/web-routes.ts'

const FEATURES: Feature[] = ['param', 'event', 'stream', 'gesture', 'timeline']

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
  let isStopping = false
  const stops: EdgeScope['stops'] = []
  const aborter = new AbortController()
  const { signal } = aborter
  const stop = async () => {
    // What was started last leaves first.
    for (let next = stops.pop(); next !== undefined; next = stops.pop()) await next()
    aborter.abort()
  }
  try {
    const board = await detectBoard()
    const router = new Router(routerOptions(config), { clock, log })
    stops.push(() => router.stop())
    const reports: EdgeScope['reports'] = {}
    const isSimulated = config.simulate === 'auto' ? board.isSimulated : config.simulate
    const programs = parts.programs ?? dirname(process.argv[1] ?? '')
    const scope: EdgeScope = {
      router,
      clock,
      log,
      version,
      board,
      isSimulated,
      programs,
      stops,
      reports,
      signal,
      isStopping: () => isStopping,
    }
    // Before anybody connects: the state of before comes first.
    const journal = await part(config.journal.enabled !== false, async () => {
      const { startJournalPart } = await import('./edge/journal-part.ts')
      return startJournalPart(scope, config.journal)
    })

    const acceptor = new NarrowAcceptor(router, { clock, log })
    const sampler = new Sampler(() => router.statistics, clock, signal)
    const partReports = (): Record<string, PartReport> =>
      Object.fromEntries(Object.entries(reports).map(([name, report]) => [name, report()]))
    let isReady = false
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
    const web = new WebRoutes(pages)
    const { listen, hub } = config
    // Devices come before the listeners: whoever connects from outside finds their signals.
    const firmware = await part(listen.udp || isSimulated || config.firmware.serial.length > 0, async () => {
      const { startFirmwarePart } = await import('./edge/firmware-part.ts')
      return startFirmwarePart(scope, config, acceptor)
    })
    if (config.http.status) for (const [path, route] of firmware?.routes ?? []) web.route(path, route)
    const devices = await part(config.devices.length > 0, async () => {
      const { startDevicesPart } = await import('./edge/devices-part.ts')
      return startDevicesPart(scope, config)
    })
    const bridges = new BridgesPart(scope, web, config.journal.folder)
    await bridges.start(config.bridges)
    const routes = new RoutesPart(scope)
    const newestRoutes = () => config.routes
    await routes.apply(newestRoutes)
    await part(hub.accept, async () => {
      const { startHubPart } = await import('./edge/hub-part.ts')
      return startHubPart(scope, config.name)
    })
    const listener = await listenPort(
      {
        host: listen.host,
        port: listen.port,
        tls: await readTlsFiles(listen.tls),
        handshakeTimeoutMs: listen.handshakeTimeout,
        idleTimeoutMs: listen.idleTimeout,
        pingIntervalMs: listen.pingInterval,
        maxConnections: listen.maxConnections,
        routes: web,
        clock,
      },
      acceptor,
      log,
      signal,
    )
    stops.push(() => listener.stop())
    const { port } = listener
    addresses = reachableAddresses(listen.host, port, listen.tls !== undefined)
    const identity = { name: config.name, features: FEATURES, id: await routerId(port), clock }
    await part(listen.udp, async () => {
      const { startUdpPart } = await import('./edge/udp-part.ts')
      return startUdpPart(scope, config, port, identity, acceptor, firmware)
    })
    await part(config.discovery.mdns, async () => {
      const { advertise } = await import('./discovery/mdns.ts')
      const { name, id, features } = identity
      const udp = listen.udp ? port : undefined
      const advert = advertise(
        { name, id, features, ws: port, tcp: port, udp, isTls: listen.tls !== undefined },
        clock,
        log,
      )
      stops.push(() => advert.stop())
    })
    await part(hub.url !== undefined, async () => {
      const { startUplinkPart } = await import('./edge/uplink-part.ts')
      return startUplinkPart(scope, config, journal, (isThere) => devices?.onHub(isThere))
    })
    if (config.state.selfInterval > 0) {
      publishSelf(router.openLocal({ name: 'router' }), sampler, version, partReports, signal)
    }
    await part(isSimulated && !firmware?.isSimulating, async () => {
      const { startSimulatedBoard } = await import('../devices/simulated/simulated-board.ts')
      const simulation = startSimulatedBoard({
        connect: (name, onMessage) => router.openLocal({ name, onMessage }),
        clock,
      })
      stops.push(() => simulation.stop())
    })
    // Outputs are safe before the network says goodbye.
    if (devices !== undefined) stops.push(() => devices.stop())
    stops.push(bridges.stop)
    isReady = true
    log.info('router started', { name: config.name, port, board: board.model })

    const onReloadFailure = ({ message }: Error) =>
      log.error('a part of the new configuration could not be put to work', { error: message })
    return {
      port,
      board,
      addresses,
      isSimulated,
      reload(next) {
        const { applied } = configChanges(config, next)
        // What needs a restart is told again each time, until it has had one.
        const { needsRestart } = configChanges(initial, next)
        config = next
        if (applied.includes('bridges')) bridges.apply(next.bridges).catch(onReloadFailure)
        if (applied.includes('routes')) routes.apply(newestRoutes).catch(onReloadFailure)
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

/** A part whose code is loaded only when it is wanted. */
async function part<T>(isWanted: boolean, start: () => Promise<T>): Promise<T | undefined> {
  return isWanted ? start() : undefined
}
