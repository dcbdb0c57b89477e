import { defineDevice, type Plain } from '../device.ts'
import { choice, duration, flag, gpioLine, number, optional, whole } from '../options.ts'
import { lineRequest } from './input-options.ts'
import { Quadrature } from './quadrature.ts'

const MESSAGES_HZ = 60
const LIMIT = 1_000_000_000

/** A rotary encoder with two contacts. Its push button is a device of its own. Source: bridges.md §20.3. */
export const encoder = defineDevice({
  kind: 'encoder',
  description: 'A rotary encoder with two contacts.',
  namespace: 'encoder',
  options: {
    a: gpioLine('Line of the contact that leads when it is turned clockwise.'),
    b: gpioLine('Line of the other contact.'),
    activeLow: flag('A low level means closed, as with contacts to ground.', true),
    bias: choice('Pull resistors; asis leaves them as they are.', 'up', ['asis', 'up', 'down', 'none']),
    debounce: duration('Changes that last shorter are ignored; 0s = none, as fits the code.', 0, {
      minMs: 0,
      maxMs: 100,
    }),
    stepsPerDetent: whole('Quarter steps from one detent to the next: 1, 2 or 4.', 4, { min: 1, max: 4 }),
    min: optional(whole('Lowest position.', 0, { min: -LIMIT, max: LIMIT })),
    max: optional(whole('Highest position.', 0, { min: -LIMIT, max: LIMIT })),
    wrap: flag('Go on at the other end instead of staying at one.', false),
    keep: flag('Go on from the position of before, as far as the journal has it.', false),
    scale: number('Position is detents times this.', 1, { min: -1_000_000, max: 1_000_000 }),
    accelerateAbove: number('Detents a second from which on each counts more; 0 = never.', 0, { min: 0, max: 1000 }),
    accelerateBy: whole('How much each counts then.', 4, { min: 1, max: 100 }),
    idle: duration('A turn ends after so long without movement.', 150, { minMs: 20, maxMs: 5000 }),
  },
  check: ({ min, max, wrap, a, b, scale }) => {
    if (a === b) return 'a and b are the same line'
    if (scale === 0) return 'scale is 0'
    if (min !== undefined && max !== undefined && min >= max) return 'min must be less than max'
    return wrap && (min === undefined || max === undefined) ? 'wrap needs min and max' : undefined
  },
  signals: ({ min, max, scale }) => ({
    '': {
      type: 'param',
      datatype: scale === 1 ? 'i64' : 'f64',
      access: 'rw',
      unit: '1',
      range: min === undefined || max === undefined ? undefined : rangeOf(min * scale, max * scale),
      description: 'Position; set it to start from there',
      pace: { maxRateHz: MESSAGES_HZ },
    },
    delta: { type: 'stream', datatype: 'i64', access: 'r', unit: '1', description: 'Detents since the message before' },
    turn: { type: 'gesture', datatype: 'map', access: 'r', description: 'Turning: position, and velocity in 1/s' },
  }),
  async open(context) {
    const { options, lines, clock, set, emit, gesture } = context
    const { stepsPerDetent, scale } = options
    let position = clamp(options.keep ? Math.round(Number(context.last('') ?? 0) / scale) : 0)
    let detents = 0
    let toTell = 0
    let toldAt = Number.NEGATIVE_INFINITY
    let turnedAt = Number.NEGATIVE_INFINITY
    let velocity = 0
    let isTurning = false
    let tellTimer: { cancel(): void } | null = null
    let idleTimer: { cancel(): void } | null = null
    const levels = { a: false, b: false }
    let quadrature: Quadrature | null = null

    function clamp(value: number): number {
      const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, wrap } = options
      if (!wrap) return Math.min(max, Math.max(min, value))
      const size = max - min + 1
      return min + ((((value - min) % size) + size) % size)
    }
    const payload = (): Plain => ({ position: position * scale, velocity: Math.round(velocity * 10) / 10 })
    const tell = () => {
      toldAt = clock.now()
      if (toTell !== 0) emit('delta', toTell)
      toTell = 0
      gesture('turn', isTurning ? 'move' : 'start', payload())
      isTurning = true
    }
    const end = () => {
      idleTimer = null
      isTurning = false
      velocity = 0
      gesture('turn', 'end', payload())
    }
    const turn = (change: number, atMs: number) => {
      const gapMs = Math.max(1, atMs - turnedAt)
      turnedAt = atMs
      const hz = (1000 * Math.abs(change)) / gapMs
      velocity = Math.sign(change) * hz
      const { accelerateAbove, accelerateBy } = options
      const factor = accelerateAbove > 0 && hz > accelerateAbove ? accelerateBy : 1
      position = clamp(position + change * factor)
      toTell += change
      set('', position * scale)
      idleTimer?.cancel()
      idleTimer = clock.timer(options.idle, end)
      const dueIn = toldAt + 1000 / MESSAGES_HZ - clock.now()
      if (dueIn <= 0) tell()
      else
        tellTimer ??= clock.timer(dueIn, () => {
          tellTimer = null
          if (toTell !== 0) tell()
        })
    }
    const change = (atMs: number) => {
      if (quadrature === null) return
      quadrature.change(levels.a, levels.b)
      const now = Math.round(quadrature.steps / stepsPerDetent)
      // Contacts that chatter on the border of a detent are not a turn to and fro.
      if (Math.abs(quadrature.steps - detents * stepsPerDetent) < stepsPerDetent) return
      const moved = now - detents
      detents = now
      if (moved !== 0) turn(moved, atMs)
    }
    const openOne = async (key: 'a' | 'b') => {
      const line = await lines.input({
        ...lineRequest(context, options[key], options),
        debounceMs: options.debounce,
        onEdge: ({ isOn, atMs }) => {
          levels[key] = isOn
          change(atMs)
        },
      })
      levels[key] = line.isOn
      return line
    }
    const a = await openOne('a')
    const b = await openOne('b').catch(async (error) => {
      await a.close()
      throw error
    })
    quadrature = new Quadrature(levels.a, levels.b)
    set('', position * scale)
    return {
      write: {
        '': (value) => {
          position = clamp(Math.round(Number(value) / scale))
          set('', position * scale)
        },
      },
      async close() {
        tellTimer?.cancel()
        idleTimer?.cancel()
        await a.close()
        await b.close()
      },
    }
  },
})

/** A negative scale turns it round. */
function rangeOf(one: number, other: number): readonly [number, number] {
  // Without the sign of zero.
  return [Math.min(one, other) + 0, Math.max(one, other) + 0]
}
