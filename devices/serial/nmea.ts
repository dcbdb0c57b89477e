import { defineDevice, type Plain, type SignalSpec } from '../device.ts'
import { number } from '../options.ts'
import { NmeaReceiver, type Position, type Told } from './nmea-receiver.ts'
import { parseSentence } from './nmea-sentence.ts'
import { PORT_RETRY_MS } from './port-options.ts'
import { startWalk } from './simulated-walk.ts'
import { openTextPort, playedLine, textOptions } from './text-port.ts'

const SILENCE_MS = 10_000
const HEARTBEAT_MS = 60_000
const DEGREE_M = 111_320

const sensed = (datatype: SignalSpec['datatype'], description: string, more: Partial<SignalSpec> = {}): SignalSpec => ({
  type: 'param',
  datatype,
  access: 'r',
  description,
  ...more,
  pace: { heartbeatMs: HEARTBEAT_MS, maxRateHz: 10, ...more.pace },
})

/**
 * A satellite receiver, or another instrument that speaks NMEA 0183: 4800 baud by the standard, 9600 with most modules
 * (u-blox NEO-6/7/M8), 38400 with the newer ones (M10).
 */
export const nmea = defineDevice({
  kind: 'nmea',
  description: 'A GPS or other satellite receiver that speaks NMEA 0183.',
  namespace: 'gps',
  isOwnTwin: true,
  retryMs: PORT_RETRY_MS,
  options: {
    ...textOptions(9600, SILENCE_MS),
    minDistance: number('The position is told when it has moved so far.', 0, { min: 0, max: 100_000, unit: 'm' }),
  },
  signals: () => ({
    position: sensed('map', 'lat and lon in degrees (north and east positive), alt in m above the sea; null = no fix'),
    fix: sensed('string', 'none, 2d or 3d'),
    satellites: sensed('i64', 'Satellites in use', { unit: '1', range: [0, 100] }),
    inView: sensed('i64', 'Satellites in view', { unit: '1', range: [0, 200] }),
    speed: sensed('f64', 'Speed over ground', { unit: 'm/s', range: [0, 600], pace: { deadband: 0.1 } }),
    course: sensed('f64', 'Course over ground from true north; null while it stands still', {
      unit: 'deg',
      range: [0, 360],
      pace: { deadband: 1 },
    }),
    time: sensed('i64', 'Time of the receiver since 1970', { unit: 'us', pace: { maxRateHz: 1 } }),
    hdop: sensed('f64', 'Horizontal dilution of precision: below 2 is good', {
      unit: '1',
      range: [0, 100],
      pace: { deadband: 0.1 },
    }),
  }),
  simulatedInputs: () => playedLine,
  async open(context) {
    const { set, clock, options } = context
    const receiver = new NmeaReceiver(clock)
    let shown: Position | null = null
    const tell = ({ position, ...others }: Told) => {
      if (position !== undefined) {
        const isNear = position !== null && shown !== null && distanceM(position, shown) < options.minDistance
        if (!isNear) shown = position
        set('position', shown === null ? null : { ...shown })
      }
      for (const [key, value] of Object.entries(others)) set(key, value as Plain)
    }
    const port = await openTextPort(context, {
      expected: 'valid NMEA sentence',
      onLine(line, wrong) {
        const sentence = parseSentence(line)
        if (sentence === undefined) {
          wrong('its checksum is wrong or missing: set baudRate as the receiver has it (usually 4800, 9600 or 38400)')
          return false
        }
        const told = receiver.receive(sentence)
        if (told !== undefined) tell(told)
        return true
      },
      onSilent: () => {
        tell({ position: null, fix: 'none', satellites: 0, inView: 0, speed: null, course: null, hdop: null })
      },
    })
    const walk = context.isSimulated ? startWalk(clock, tell) : undefined
    return {
      play: {
        line: (value) => {
          walk?.stop()
          port.play.line(value)
        },
      },
      close() {
        walk?.stop()
        return port.close()
      },
    }
  },
})

/** Between two near places, in metres; precise enough to see whether something has moved. */
function distanceM(one: Position, other: Position): number {
  const north = (one.lat - other.lat) * DEGREE_M
  const east = (one.lon - other.lon) * DEGREE_M * Math.cos((one.lat * Math.PI) / 180)
  const up = (one.alt ?? 0) - (other.alt ?? 0)
  return Math.hypot(north, east, up)
}
