import { createSocket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { FEATURES } from '../../firmware-protocol/wire/codes.ts'
import { DEFAULT_PORT, DISCOVERY_PORT } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { type Clock, systemClock, type Timer } from '../router/clock.ts'
import { probeFrame } from './broadcast.ts'
import { type FoundRouter, urlHost } from './found-router.ts'

export interface ProbeTarget {
  address: string
  port: number
}

export interface BroadcastSearch {
  /** Ends the search. */
  signal: AbortSignal
  onFound(router: FoundRouter): void
  /** Default: every broadcast address of this machine, port 7331. */
  targets?: readonly ProbeTarget[]
  clock?: Clock
}

/** Datagrams get lost, on radio most of all; and a sleeping interface may need the first one to wake up. */
const PROBES = 3
const PROBE_INTERVAL_MS = 400

/**
 * Sends the discovery probe three times to each target and reports what answers, until the signal is aborted. The answer
 * has no port in it: the WebSocket is taken to be on 7330. Answers repeat. Transport reference §12, T-17.
 */
export function seekByBroadcast({ signal, onFound, targets, clock = systemClock }: BroadcastSearch): void {
  if (signal.aborted) return
  const socket = createSocket('udp4')
  const probe = probeFrame()
  let timer: Timer | undefined
  let sent = 0
  const close = (): void => {
    signal.removeEventListener('abort', close)
    timer?.cancel()
    socket.close()
  }
  const send = (): void => {
    // An address that cannot be reached, or a machine that is offline, is not worth a word: mDNS may still find something.
    for (const { address, port } of targets ?? broadcastTargets()) socket.send(probe, port, address, () => {})
    if (++sent < PROBES) timer = clock.timer(PROBE_INTERVAL_MS, send)
  }
  signal.addEventListener('abort', close)
  socket.on('error', close)
  socket.on('message', (bytes, source) => {
    const frame = decodeFrame(bytes)
    if (frame instanceof DecodeError || frame.message.type !== 'WELCOME') return
    const { name, session, features: names } = frame.message
    const features = FEATURES.filter((feature) => names.includes(feature))
    const url = `ws://${urlHost(source.address)}:${DEFAULT_PORT}/clasp`
    onFound({ name, url, address: source.address, features, via: 'broadcast', id: session })
  })
  socket.bind(0, () => {
    socket.setBroadcast(true)
    send()
  })
}

/** 255.255.255.255 leaves by one interface only, so each network's own broadcast address is asked too. */
function broadcastTargets(): ProbeTarget[] {
  const addresses = new Set(['255.255.255.255'])
  for (const networks of Object.values(networkInterfaces())) {
    for (const { family, internal, address, netmask } of networks ?? []) {
      if (family === 'IPv4' && !internal) addresses.add(broadcastAddress(address, netmask))
    }
  }
  return [...addresses].map((address) => ({ address, port: DISCOVERY_PORT }))
}

/** Highest address of a network: 192.168.1.20, 255.255.255.0 → 192.168.1.255. */
export function broadcastAddress(address: string, netmask: string): string {
  const mask = netmask.split('.').map(Number)
  return address
    .split('.')
    .map((part, i) => Number(part) | (~mask[i] & 0xff))
    .join('.')
}
