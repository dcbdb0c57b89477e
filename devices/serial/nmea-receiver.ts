import type { DeviceClock } from '../device.ts'
import { angleField, dateField, type NmeaSentence, numberField, timeField } from './nmea-sentence.ts'

export interface Position {
  /** Degrees, WGS 84; north and east are positive. */
  readonly lat: number
  readonly lon: number
  /** Metres above the sea; null: the receiver does not say. */
  readonly alt: number | null
}

export type Fix = 'none' | '2d' | '3d'

/** What a sentence tells that is new. */
export interface Told {
  position?: Position | null
  fix?: Fix
  /** Used for the fix. */
  satellites?: number
  /** Of all systems together. */
  inView?: number
  /** m/s. */
  speed?: number | null
  /** Degrees from true north; null while it stands still. */
  course?: number | null
  /** µs since the Unix epoch. */
  time?: number
  hdop?: number | null
}

const KNOT_MPS = 1852 / 3600
const KMH_MPS = 1 / 3.6
const DAY_MS = 86_400_000
/** The week counter of GPS has ten bits: old receivers tell dates that are so much too early. */
const ROLLOVER_MS = 1024 * 7 * DAY_MS
/** A sentence that is better at something is waited for so long before another one may say it. */
const BETTER_MS = 5000

/**
 * Puts together what the sentences of a receiver say. Position and fix are taken from GGA, which knows the altitude; from
 * RMC where there is no GGA, and from GLL where there is neither.
 * Source: NMEA 0183; u-blox 8/M8 receiver description (UBX-13003221), standard messages.
 */
export class NmeaReceiver {
  private readonly clock: Pick<DeviceClock, 'now' | 'wallUs'>
  private ggaAt = Number.NEGATIVE_INFINITY
  private rmcAt = Number.NEGATIVE_INFINITY
  private gsaAt = Number.NEGATIVE_INFINITY
  private gsaFix: Fix = 'none'
  /** Midnight of the day that it is, and the time of day that was told last; ms. */
  private dateMs: number | undefined
  private timeOfDayMs = 0
  /** By talker. */
  private readonly inView = new Map<string, number>()

  constructor(clock: Pick<DeviceClock, 'now' | 'wallUs'>) {
    this.clock = clock
  }

  /** Undefined: a sentence that tells nothing that is wanted. */
  receive({ talker, type, fields }: NmeaSentence): Told | undefined {
    switch (type) {
      case 'GGA':
        return this.gga(fields)
      case 'RMC':
        return this.rmc(fields)
      case 'GLL':
        return this.gll(fields)
      case 'GSA':
        return this.gsa(fields)
      case 'GSV':
        return this.gsv(talker, fields)
      case 'VTG':
        return vtg(fields)
      default:
        return undefined
    }
  }

  /** time, lat, N|S, lon, E|W, quality (0 = none), satellites used, HDOP, altitude, M, … */
  private gga([time, lat, ns, lon, ew, quality, satellites, hdop, altitude]: readonly string[]): Told {
    this.ggaAt = this.clock.now()
    const isValid = (numberField(quality) ?? 0) > 0
    const position = isValid ? positionOf(lat, ns, lon, ew, numberField(altitude)) : null
    return {
      position,
      fix: this.fixOf(position),
      satellites: numberField(satellites) ?? 0,
      hdop: isValid ? (numberField(hdop) ?? null) : null,
      ...this.timeOf(time),
    }
  }

  /** time, A|V, lat, N|S, lon, E|W, speed in knots, course, ddmmyy, … */
  private rmc([time, status, lat, ns, lon, ew, knots, course, date]: readonly string[]): Told {
    this.rmcAt = this.clock.now()
    const isValid = status === 'A'
    const position = isValid ? positionOf(lat, ns, lon, ew, undefined) : null
    const speed = numberField(knots)
    return {
      ...(this.ggaAt < this.clock.now() - BETTER_MS && { position, fix: this.fixOf(position) }),
      speed: isValid && speed !== undefined ? rounded(speed * KNOT_MPS) : null,
      course: isValid ? (numberField(course) ?? null) : null,
      ...this.timeOf(time, date),
    }
  }

  /** lat, N|S, lon, E|W, time, A|V. Receivers before NMEA 0183 2.0 end before the time. */
  private gll([lat, ns, lon, ew, time, status = 'A']: readonly string[]): Told {
    const position = status === 'A' ? positionOf(lat, ns, lon, ew, undefined) : null
    const latest = Math.max(this.ggaAt, this.rmcAt)
    return {
      ...(latest < this.clock.now() - BETTER_MS && { position, fix: this.fixOf(position) }),
      ...this.timeOf(time),
    }
  }

  /** A|M, 1 none | 2 2D | 3 3D, twelve satellites, PDOP, HDOP, VDOP. Comes once for each system. */
  private gsa([, mode, ...rest]: readonly string[]): Told {
    this.gsaAt = this.clock.now()
    this.gsaFix = mode === '3' ? '3d' : mode === '2' ? '2d' : 'none'
    const hdop = numberField(rest[13])
    return this.gsaFix === 'none' || hdop === undefined ? {} : { hdop }
  }

  /** Messages, number of this one, satellites in view, … */
  private gsv(talker: string, [, , count]: readonly string[]): Told {
    this.inView.set(talker, numberField(count) ?? 0)
    return { inView: [...this.inView.values()].reduce((sum, one) => sum + one, 0) }
  }

  /** GSA knows it; else an altitude makes the difference. */
  private fixOf(position: Position | null): Fix {
    if (position === null) return 'none'
    const isKnown = this.gsaAt >= this.clock.now() - BETTER_MS && this.gsaFix !== 'none'
    return isKnown ? this.gsaFix : position.alt === null ? '2d' : '3d'
  }

  /** There is none before the first RMC, which alone tells the date. */
  private timeOf(time: string | undefined, date?: string): { time?: number } {
    const timeOfDayMs = timeField(time)
    if (timeOfDayMs === undefined) return {}
    const told = dateField(date)
    if (told !== undefined) this.dateMs = told
    // Other sentences pass midnight before the next RMC does.
    else if (this.dateMs !== undefined && timeOfDayMs < this.timeOfDayMs - DAY_MS / 2) this.dateMs += DAY_MS
    this.timeOfDayMs = timeOfDayMs
    if (this.dateMs === undefined) return {}
    return { time: this.inThisEra(this.dateMs + timeOfDayMs) * 1000 }
  }

  /** Nearest to the clock of the board, unless that is behind, as without a battery. */
  private inThisEra(ms: number): number {
    const late = this.clock.wallUs() / 1000 - ms
    return ms + Math.max(0, Math.round(late / ROLLOVER_MS)) * ROLLOVER_MS
  }
}

/** Course, T, course, M, speed in knots, N, speed in km/h, K, mode (N = not valid). */
function vtg([course, , , , knots, , kmh, , mode]: readonly string[]): Told {
  if (mode === 'N') return { speed: null, course: null }
  const fromKnots = numberField(knots)
  const fromKmh = numberField(kmh)
  if (fromKnots === undefined && fromKmh === undefined) return {}
  const speed = fromKnots !== undefined ? fromKnots * KNOT_MPS : (fromKmh ?? 0) * KMH_MPS
  return { speed: rounded(speed), course: numberField(course) ?? null }
}

function positionOf(
  lat: string | undefined,
  ns: string | undefined,
  lon: string | undefined,
  ew: string | undefined,
  altitude: number | undefined,
): Position | null {
  const north = angleField(lat, ns)
  const east = angleField(lon, ew)
  if (north === undefined || east === undefined) return null
  return { lat: north, lon: east, alt: altitude ?? null }
}

function rounded(value: number): number {
  return Number(value.toFixed(3))
}
