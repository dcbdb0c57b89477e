import type { MirrorRecord } from './mirror-record.ts'

const MANY_PER_SECOND = 20
const SECONDS = 5
const PAUSE_MS = 5000
/** Addresses that are watched at a time; quiet ones are forgotten. */
const MAX_WATCHED = 4096

interface Pulse {
  /** The second that is counted, since the start of the clock. */
  second: number
  count: number
  /** Full seconds in a row with too many. */
  hotSeconds: number
  pausedUntil: number
}

/**
 * Two rules, one here and one at the hub, that answer each other would drive an address round for ever. An address that
 * is forwarded more than 20 times a second for 5 s, while the hub writes into our namespaces as often, rests for 5 s; its
 * last value is sent then. Without such writes it is a lively sensor. Source: federation.md §13.5.1.
 */
export class PingPongGuard {
  /** How often an address had to rest. */
  pauses = 0
  private readonly onPause: (address: string) => void
  private readonly pulses = new Map<MirrorRecord, Pulse>()
  private readonly inbound: Pulse = { second: 0, count: 0, hotSeconds: 0, pausedUntil: 0 }

  constructor(onPause: (address: string) => void) {
    this.onPause = onPause
  }

  /** The hub wrote into a namespace of ours. */
  onForeign(now: number): void {
    beat(this.inbound, now)
  }

  /** ms until the address may be sent; 0 = now, and it is counted. */
  delayMs(record: MirrorRecord, now: number): number {
    let pulse = this.pulses.get(record)
    if (pulse === undefined) {
      if (this.pulses.size >= MAX_WATCHED) this.forgetQuiet(now)
      pulse = { second: Math.floor(now / 1000), count: 0, hotSeconds: 0, pausedUntil: 0 }
      this.pulses.set(record, pulse)
    }
    if (pulse.pausedUntil > now) return pulse.pausedUntil - now
    beat(pulse, now)
    if (pulse.hotSeconds < SECONDS || this.inbound.hotSeconds < SECONDS - 1) return 0
    pulse.hotSeconds = 0
    pulse.pausedUntil = now + PAUSE_MS
    this.pauses++
    this.onPause(record.address)
    return PAUSE_MS
  }

  private forgetQuiet(now: number): void {
    const second = Math.floor(now / 1000)
    for (const [record, pulse] of this.pulses) {
      if (pulse.second < second - 1 && pulse.pausedUntil <= now) this.pulses.delete(record)
    }
    if (this.pulses.size >= MAX_WATCHED) this.pulses.clear()
  }
}

function beat(pulse: Pulse, now: number): void {
  const second = Math.floor(now / 1000)
  if (second !== pulse.second) {
    const isNext = second === pulse.second + 1
    pulse.hotSeconds = isNext && pulse.count > MANY_PER_SECOND ? pulse.hotSeconds + 1 : 0
    pulse.second = second
    pulse.count = 0
  }
  pulse.count++
}
