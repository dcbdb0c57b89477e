import { defineDevice, type Plain } from '../device.ts'
import { failSafeProblem, gradualFailSafeOptions } from '../fail-safe.ts'
import { number, whole } from '../options.ts'
import { maxOn, maxOnProblem, OnTimeLimit } from './on-time-limit.ts'
import { openPwm, pwmClaims } from './pwm-channel.ts'

const FADE_STEP_MS = 10
const LONGEST_FADE_MS = 3_600_000
const NS = 1e9

/** A dimmed light, a fan, a heater: a PWM output of the processor or of a PWM chip. Source: bridges.md §20.7. */
export const pwm = defineDevice({
  kind: 'pwm',
  description: 'A PWM output of the kernel: light, fan, heater.',
  isFailSafe: true,
  namespace: 'pwm',
  options: {
    chip: whole('Number of the PWM chip, below /sys/class/pwm.', 0, { min: 0, max: 255 }),
    channel: whole('Number of its channel.', 0, { min: 0, max: 63 }),
    frequency: number('Pulses a second.', 1000, { min: 0.1, max: 10_000_000, unit: 'Hz' }),
    min: number('Lowest share of the time that it is on.', 0, { min: 0, max: 1 }),
    max: number('Highest share.', 1, { min: 0, max: 1 }),
    safe: number('Share at the start, at a stop, and when the router hangs or is gone.', 0, { min: 0, max: 1 }),
    maxOn,
    ...gradualFailSafeOptions,
  },
  check: (options) => {
    if (options.min > options.max) return 'min must not be more than max'
    return maxOnProblem(options) ?? failSafeProblem(options)
  },
  claims: pwmClaims,
  signals: ({ min, max, safe }) => ({
    '': {
      type: 'param',
      datatype: 'f64',
      access: 'rw',
      unit: 'normalized',
      range: [min, max],
      description: `Share of the time that it is on; safe=${safe}`,
      pace: { maxRateHz: 30 },
    },
    freq: {
      type: 'param',
      datatype: 'f64',
      access: 'rw',
      unit: 'Hz',
      range: [0.1, 10_000_000],
      description: 'Frequency',
    },
    fade: { type: 'event', datatype: 'map', access: 'w', description: 'Goes to a share within a time: to, ms' },
  }),
  async open(context) {
    const { options, clock, set } = context
    const { min, max, safe } = options
    let hz = options.frequency
    let duty = safe
    let timer: { cancel(): void } | null = null
    const periodNs = () => Math.round(NS / hz)
    const apply = () => {
      limit.see(duty)
      output.set(periodNs(), Math.round(periodNs() * duty))
    }
    const go = (to: number) => {
      duty = to
      apply()
      set('', Math.round(duty * 10_000) / 10_000)
    }
    const limit = new OnTimeLimit(options.maxOn, context, context.name, () => {
      timer?.cancel()
      go(0)
    })
    const output = await openPwm(context, {
      ...options,
      safe: { periodNs: periodNs(), dutyNs: Math.round(periodNs() * safe) },
      onForced: () => {
        timer?.cancel()
        duty = safe
        limit.see(safe)
        set('', safe)
        context.problem('failsafe', `${context.name} is in its safe state: the router did not answer in time`)
      },
    })
    const fade = (to: number, ms: number) => {
      const from = duty
      const startedAt = clock.now()
      const step = () => {
        const share = Math.min(1, (clock.now() - startedAt) / ms)
        go(from + (to - from) * share)
        if (share < 1) timer = clock.timer(FADE_STEP_MS, step)
      }
      timer = clock.timer(FADE_STEP_MS, step)
    }
    set('', safe)
    set('freq', hz)
    return {
      write: {
        '': (value) => {
          timer?.cancel()
          go(Number(value))
        },
        freq: (value) => {
          hz = Number(value)
          apply()
        },
        fade: (value) => {
          timer?.cancel()
          const to = member(value, 'to')
          const ms = member(value, 'ms')
          if (to === undefined || ms === undefined || ms <= 0 || ms > LONGEST_FADE_MS) {
            context.problem('value', `${context.name}: a fade takes {to: 0…1, ms: 1…${LONGEST_FADE_MS}}`)
          } else {
            fade(Math.min(max, Math.max(min, to)), ms)
          }
        },
      },
      safe(_reason, keepsWish) {
        timer?.cancel()
        duty = safe
        apply()
        if (!keepsWish) set('', safe)
      },
      close() {
        timer?.cancel()
        limit.stop()
        return output.close()
      },
    }
  },
})

function member(value: Plain, name: string): number | undefined {
  const found = typeof value === 'object' && value !== null ? value[name] : undefined
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined
}
