import { defineDevice } from '../device.ts'
import { failSafeProblem, gradualFailSafeOptions } from '../fail-safe.ts'
import { duration, number, whole } from '../options.ts'
import { openPwm, pwmClaims } from './pwm-channel.ts'

const PERIOD_NS = 20_000_000
const STEP_MS = 20

/**
 * A hobby servo on a PWM output: pulses of 0.5…2.5 ms, 50 a second, say the angle; without pulses it lets go. Most take
 * 1…2 ms for a quarter turn: the limits are to be found for each. Source: bridges.md §20.7.
 */
export const servo = defineDevice({
  kind: 'servo',
  description: 'A hobby servo on a PWM output. It lets go where others are switched off.',
  isFailSafe: true,
  namespace: 'servo',
  options: {
    chip: whole('Number of the PWM chip, below /sys/class/pwm.', 0, { min: 0, max: 255 }),
    channel: whole('Number of its channel.', 0, { min: 0, max: 63 }),
    minAngle: number('Angle of the shortest pulse.', -90, { min: -1800, max: 1800, unit: 'degrees' }),
    maxAngle: number('Angle of the longest pulse.', 90, { min: -1800, max: 1800, unit: 'degrees' }),
    minPulse: number('Shortest pulse.', 500, { min: 100, max: 10_000, unit: 'µs' }),
    maxPulse: number('Longest pulse.', 2500, { min: 100, max: 10_000, unit: 'µs' }),
    slew: number('Fastest turn; 0 = as fast as it can.', 0, { min: 0, max: 100_000, unit: 'degrees/s' }),
    idle: duration('It lets go so long after it has arrived; 0s = never.', 0, { minMs: 0, maxMs: 3_600_000 }),
    ...gradualFailSafeOptions,
  },
  check: (options) => {
    const { minAngle, maxAngle, minPulse, maxPulse } = options
    if (minAngle >= maxAngle || minPulse >= maxPulse) return 'the lower limits must be less than the upper ones'
    return failSafeProblem(options)
  },
  claims: pwmClaims,
  signals: ({ minAngle, maxAngle }) => ({
    '': {
      type: 'param',
      datatype: 'f64',
      access: 'rw',
      unit: 'deg',
      range: [minAngle, maxAngle],
      description: 'Angle; safe=release',
    },
  }),
  async open(context) {
    const { options, clock, set } = context
    const { minAngle, maxAngle, minPulse, maxPulse, slew, idle } = options
    // Where it is nobody knows before it was told to go somewhere.
    let angle: number | undefined
    let timer: { cancel(): void } | null = null
    const release = () => {
      timer?.cancel()
      output.set(PERIOD_NS, 0)
    }
    const output = await openPwm(context, {
      ...options,
      safe: { periodNs: PERIOD_NS, dutyNs: 0 },
      onForced: () => {
        timer?.cancel()
        angle = undefined
        set('', null)
        context.problem('failsafe', `${context.name} has let go: the router did not answer in time`)
      },
    })
    const point = (to: number) => {
      angle = to
      const pulseUs = minPulse + ((to - minAngle) / (maxAngle - minAngle)) * (maxPulse - minPulse)
      output.set(PERIOD_NS, Math.round(pulseUs * 1000))
    }
    const turn = (to: number) => {
      const from = angle ?? to
      const most = slew === 0 ? Number.POSITIVE_INFINITY : (slew * STEP_MS) / 1000
      point(from + Math.min(most, Math.max(-most, to - from)))
      if (angle !== to) timer = clock.timer(STEP_MS, () => turn(to))
      else if (idle > 0) timer = clock.timer(idle, release)
    }
    set('', null)
    return {
      write: {
        '': (value) => {
          timer?.cancel()
          turn(Number(value))
        },
      },
      safe(_reason, keepsWish) {
        release()
        if (!keepsWish) set('', null)
      },
      close() {
        timer?.cancel()
        return output.close()
      },
    }
  },
})
