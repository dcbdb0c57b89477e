import { defineDevice } from '../device.ts'
import { failSafeProblem, gradualFailSafeOptions } from '../fail-safe.ts'
import { flag, gpioLine, number, optional, whole } from '../options.ts'
import { lineRequest } from './input-options.ts'

const CHUNK_MS = 50
const FASTEST_HZ = 5000
const LIMIT = 1_000_000_000

/**
 * A stepper motor behind a driver with step and direction inputs (A4988, DRV8825, TMC2209). Steps are made by whoever
 * holds the lines, in portions of 50 ms, so that they come evenly and end when the router does. Of a portion that is cut
 * short it tells how many were made: the position stays true, as far as the motor follows.
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
      description: 'Position to go to, in steps; where it is at the start is 0, or with initial: last what it was',
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
    // Where it was when the hardware went nobody knows: at least it does not run off.
    const last = context.last('actual') ?? context.last('')
    let position = options.initial === 'last' ? Number(last ?? 0) : 0
    /** Null: where it comes to rest. */
    let target: number | null = position
    /** A portion is being made. */
    let isMoving = false
    /** It is to be cut short. */
    let isHalted = false
    /** Where it comes to rest is 0 from then on. */
    let isZeroed = false
    let isWishKept = false
    let isStopping = false
    let isClosed = false
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
    const halt = (keepsWish: boolean) => {
      target = null
      isWishKept = keepsWish
      hz = 0
      isHalted = isMoving
      if (!isMoving) {
        rest()
        return
      }
      // What was made of this portion is told in a moment, unless this is the end.
      if (!keepsWish) set('', position)
      step.pulses(0, 0, () => {})
    }
    const rest = () => {
      hz = 0
      if (isZeroed) position = 0
      isZeroed = false
      set('actual', position)
      if (target !== null) {
        move(target)
        return
      }
      target = position
      if (!isWishKept) set('', position)
    }
    const direction = await output(options.direction, () => {
      isForward = options.invert
    })
    const step = await output(options.step, () => {
      halt(false)
      const advice = 'Set it again; and its zero, if it was too fast to stop at once'
      context.problem('failsafe', `${context.name} was stopped: the router did not answer in time. ${advice}`)
    }).catch(async (error) => {
      await direction.close()
      throw error
    })
    isForward = options.invert
    /** The next portion of the way: faster, unless that is too fast to stop in time or to turn round. */
    const move = (to: number) => {
      const left = to - position
      if (left === 0) {
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
      // When the direction input falls safe, too, that is told before.
      step.pulses(count, Math.round(1e6 / hz), (made) => {
        isMoving = false
        if (isClosed) return
        position += wantsForward ? made : -made
        set('actual', position)
        if (made < count && !isHalted) {
          // Whoever holds the line has cut it short, and says why next.
          target = null
          isWishKept = false
        }
        isHalted = false
        if (target === null || isZeroed) rest()
        else move(target)
      })
    }
    set('', position)
    set('actual', position)
    return {
      write: {
        '': (value) => {
          target = Number(value)
          if (!isMoving) move(target)
        },
        zero: () => {
          isZeroed = true
          halt(false)
        },
      },
      safe(reason, keepsWish) {
        isStopping = reason === 'stop'
        halt(keepsWish)
      },
      async close() {
        // What was made until a stop still counts, for the next start.
        isClosed = !isStopping
        await step.close()
        await direction.close()
      },
    }
  },
})
