import type { RemoteInfo } from 'node:dgram'
import type { Clock } from '../router/clock.ts'
import type { LinkAcceptor } from '../router/link.ts'
import type { Log } from '../router/log.ts'
import { DatagramDevices } from './datagram-devices.ts'
import { DescriptorCache } from './descriptor-cache.ts'
import { FirmwareHub } from './firmware-hub.ts'
import { type FirmwareRoute, firmwareRoutes } from './firmware-routes.ts'
import { SerialLines, type SerialPortConfig } from './serial-lines.ts'
import { SimulatedNode } from './simulated-node.ts'

/** The firmware part of the configuration. */
export interface FirmwareConfig {
  serial: readonly SerialPortConfig[]
  /** Keys as 64 hexadecimal digits. */
  keys: readonly { uid: string; key: string }[]
  requireKey: boolean
  keepalive: number
  grace: number
  cache?: string
}

export interface FirmwareParts {
  /** Gets the sessions of devices that speak the link. */
  router: LinkAcceptor
  /** Gets peers with plain CLASP frames on serial lines. */
  acceptor: LinkAcceptor
  clock: Clock
  log: Log
  /** Program of the simulated microcontroller; null: there is none, or it is not wanted. */
  simulatedNode: string | null
  /** Serial ports of others, which "auto" leaves alone. */
  reservedPorts?: readonly string[]
}

export interface Firmware {
  readonly hub: FirmwareHub
  readonly routes: [string, FirmwareRoute][]
  /** A simulated microcontroller runs. */
  readonly isSimulating: boolean
  /** For `UdpOptions.onLinkDatagram`. */
  onDatagram(bytes: Uint8Array, source: RemoteInfo, reply: (bytes: Uint8Array) => void): void
  /** Says goodbye to all devices. Those on UDP hear it only while the socket is open. Safe to call twice. */
  stop(): Promise<void>
}

const SIMULATED_PORT = {
  baudRate: 115_200,
  maxBaudRate: 0,
  mode: 'link',
  implicitHello: false,
  resetOnOpen: false,
  rtscts: false,
} as const

/** Starts everything that serves microcontrollers. What cannot be had (a port, a key) is logged and waited for. */
export async function startFirmware(config: FirmwareConfig, parts: FirmwareParts): Promise<Firmware> {
  const { router, acceptor, clock, log, simulatedNode } = parts
  const descriptors = new DescriptorCache(config.cache, log)
  await descriptors.load()
  const hub = new FirmwareHub(router, descriptors, clock, log, {
    keepaliveMs: config.keepalive,
    graceMs: config.grace,
  })
  const keys = new Map<string, Uint8Array>()
  for (const { uid, key } of config.keys) {
    if (/^[\da-f]{64}$/i.test(key)) keys.set(uid.toLowerCase(), Buffer.from(key, 'hex'))
    else log.warn('a key below firmware.keys is not 64 hexadecimal digits: its device is refused', { uid })
  }
  const datagrams = new DatagramDevices(hub, { keys, isKeyRequired: config.requireKey })
  const simulation = simulatedNode === null ? null : await SimulatedNode.start(simulatedNode, clock, log)
  const ports = simulation === null ? config.serial : [...config.serial, { ...SIMULATED_PORT, port: simulation.port }]
  const lines = new SerialLines(hub, acceptor, ports, parts.reservedPorts)
  let stopped: Promise<void> | undefined
  const stop = async () => {
    await lines.stop()
    hub.stop()
    await Promise.all([descriptors.flushed(), simulation?.stop()])
  }
  return {
    hub,
    routes: firmwareRoutes({ hub, lines, datagrams }),
    isSimulating: simulation !== null,
    onDatagram: datagrams.receive,
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}
