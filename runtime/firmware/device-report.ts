import type { Clock } from '../router/clock.ts'
import { DATATYPES } from './alias.ts'
import type { DeviceLink } from './device-link.ts'
import type { DeviceSession } from './device-session.ts'

/** What is known of one device. Times in ms, counters since the router started or the device was first seen. */
export interface DeviceReport {
  uid: string
  name: string
  prefix: string
  port: string
  state: 'online' | 'linking' | 'asleep' | 'away'
  /** ms since it is online. */
  onlineMs?: number
  firmware?: string
  descriptorHash?: string
  roundTripMs?: number
  conflicts: number
  /** Of link, line, session and outbox. */
  counters: Record<string, number>
  signals: { address: string; id: number; kind: string; type?: string; access: string; unit?: string }[]
}

interface Reported {
  uid: string
  session: DeviceSession
  link: DeviceLink | null
  isAsleep: boolean
  conflicts: number
}

export function reportDevice({ uid, session, link, isAsleep, conflicts }: Reported, clock: Clock): DeviceReport {
  const { descriptor } = session
  const device = link?.link.device
  return {
    uid,
    name: device?.name ?? session.prefix.split('/').at(-2) ?? uid,
    prefix: session.prefix,
    port: link?.line.remote ?? session.remote,
    state: link?.isRunning ? 'online' : isAsleep ? 'asleep' : link === null ? 'away' : 'linking',
    ...(link?.isRunning && { onlineMs: Math.round(clock.now() - link.linkedAtMs) }),
    ...(descriptor?.firmware !== undefined && { firmware: descriptor.firmware }),
    ...(descriptor !== null && { descriptorHash: descriptor.hash.toString(16).padStart(8, '0') }),
    ...(link !== null && { roundTripMs: Math.round(link.link.roundTripMs * 1000) / 1000 }),
    conflicts,
    counters: {
      ...link?.link.counters,
      retransmissions: link?.link.retransmissions ?? 0,
      ...link?.line.counters(),
      ...session.counters,
      ...session.outbox.counters,
    },
    signals: (descriptor?.signals ?? []).map((signal) => ({
      address: signal.address.startsWith('/') ? signal.address : session.prefix + signal.address,
      id: signal.id,
      kind: signal.kind,
      ...(DATATYPES[signal.type] !== undefined && { type: DATATYPES[signal.type] }),
      access: signal.publishes && signal.isWritable ? 'rw' : signal.isWritable ? 'w' : 'r',
      ...(signal.unit !== undefined && { unit: signal.unit }),
    })),
  }
}
