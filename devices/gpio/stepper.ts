import { defineDevice } from '../device.ts'
import { failSafeProblem, gradualFailSafeOptions } from '../fail-safe.ts'
import { flag, gpioLine, number, optional, whole } from '../options.ts'
import { lineRequest } from './input-options.ts'

const CHUNK_MS = 50
const FASTEST_HZ = 5000
const LIMIT = 1_000_000_000

/**
 * A stepper motor behind a driver with step and direction inputs (A4988, DRV8825, TMC2209). Steps are made by whoever
 * holds the lines, in portions of 50 ms, so that they come evenly and end when the router does.
 */
export const stepper = defineDevice({
  kind: 'stepper',
  description: 'A stepper motor behind a driver with step and direction inputs.',
  isFailSafe: true,
  namespace: 'stepper',
  options: {
    step: gpioLine('Line of the step input.'),
    direction: gpioLine('Line of the direction input; on = towards higher positions.'),
    invert: flag('Turn the other way round.', false),
    speed: number('Steps a second at full speed.', 400, { min: 1, max: FASTEST_HZ }),
    acceleration: number('Gain of speed, steps/s each second; 0 = full speed at once.', 2000, {
      min: 0,
      max: 1_000_000,
    }),
    min: optional(whole('Lowest position.', 0, { min: -LIMIT, max: LIMIT, unit: 'steps' })),
    max: optional(whole('Highest position.', 0, { min: -LIMIT, max: LIMIT, unit: 'steps' })),
    ...gradualFailSafeOptions,
  },
  check: (options) =>
    options.step === options.direction ? 'step and direction are the same line' : failSafeProblem(options),
  signals: ({ min = -LIMIT, max = LIMIT }) => ({
    '': {
      type: 'param',
      datatype: 'i64',
      access: 'rw',
      unit: '1',
      range: [min, max],
      description: 'Position to go to, in steps; where it is at the start is 0',
    },
    actual: {
      type: 'param',
      datatype: 'i64',
      access: 'r',
      unit: '1',
      description: 'Position',
      pace: { maxRateHz: 20 },
    },
    zero: { type: 'event', datatype: 'map', access: 'w', description: 'Stops; where it is is 0 from now on' },
  }),
  async open(context) {
    const { options, lines, set } = context
    const { speed, acceleration } = options
    let target = 0
    let position = 0
    let isMoving = false
    let hz = 0
    let isForward = false
    const output = (line: string, onForced: () => void) =>
      lines.output({
        ...lineRequest(context, line, { activeLow: false, bias: 'asis' }),
        drive: 'push-pull',
        isOn: false,
        safe: 'off',
        maxOnMs: 0,
        onForced,
      })
    const halt = () => {
      step.pulses(0, 0, () => {})
      isMoving = false
      hz = 0
      target = position
    }
    const direction = await output(options.direction, () => {
      isForward = options.invert
    })
    const step = await output(options.step, () => {
      halt()
      set('', target)
      context.problem('failsafe', `${context.name} was stopped: the router did not answer in time. Set its zero again`)
    }).catch(async (error) => {
      await direction.close()
      throw error
    })
    isForward = options.invert
    /** The next portion of the way: faster, unless that is too fast to stop in time or to turn round. */
    const move = () => {
      const left = target - position
      if (left === 0) {
        isMoving = false
        hz = 0
        return
      }
      isMoving = true
      const wantsForward = left > 0
      if (wantsForward !== isForward) {
        hz = 0
        isForward = wantsForward
        direction.set(isForward !== options.invert)
      }
      const gain = acceleration === 0 ? speed : (acceleration * CHUNK_MS) / 1000
      const stopping = acceleration === 0 ? speed : Math.sqrt(2 * acceleration * Math.abs(left))
      hz = Math.max(1, Math.min(speed, hz + gain, stopping))
      const count = Math.min(Math.abs(left), Math.max(1, Math.round((hz * CHUNK_MS) / 1000)))
      step.pulses(count, Math.round(1e6 / hz), () => {
        if (!isMoving) return
        position += isForward ? count : -count
        set('actual', position)
        move()
      })
    }
    set('', 0)
    set('actual', 0)
    return {
      write: {
        '': (value) => {
          target = Number(value)
          if (!isMoving) move()
        },
        zero: () => {
          position = 0
          halt()
          set('', 0)
          set('actual', 0)
        },
      },
      safe(_reason, keepsWish) {
        halt()
        if (!keepsWish) set('', target)
      },
      async close() {
        isMoving = false
        await step.close()
        await direction.close()
      },
    }
  },
})
