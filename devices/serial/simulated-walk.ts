import type { DeviceClock } from '../device.ts'
import type { Told } from './nmea-receiver.ts'

const EVERY_MS = 1000
/** A circle in a park in Munich, at the speed of a walk. */
const CENTRE = { lat: 48.15, lon: 11.59, alt: 510 }
const RADIUS_M = 60
const ROUND_MS = 300_000
const DEGREE_M = 111_320

/** What a simulated receiver tells until a client plays it: that it is carried round a circle. */
export function startWalk(clock: DeviceClock, tell: (told: Told) => void): { stop(): void } {
  const step = () => {
    const angle = (2 * Math.PI * (clock.now() % ROUND_MS)) / ROUND_MS
    const north = (RADIUS_M * Math.cos(angle)) / DEGREE_M
    const east = (RADIUS_M * Math.sin(angle)) / (DEGREE_M * Math.cos((CENTRE.lat * Math.PI) / 180))
    tell({
      position: { lat: rounded(CENTRE.lat + north, 7), lon: rounded(CENTRE.lon + east, 7), alt: CENTRE.alt },
      fix: '3d',
      satellites: 9,
      inView: 12,
      speed: rounded((2 * Math.PI * RADIUS_M * 1000) / ROUND_MS, 2),
      // At right angles to the line from the centre, clockwise.
      course: rounded(((angle * 180) / Math.PI + 90) % 360, 1),
      time: clock.wallUs(),
      hdop: 0.9,
    })
    timer = clock.timer(EVERY_MS, step)
  }
  let timer = clock.timer(0, step)
  return { stop: () => timer.cancel() }
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
