import { defineDevice } from '../device.ts'
import { choice, duration, flag, number, text } from '../options.ts'
import { inputOptions, openInput } from './input-options.ts'

const LIMIT = 1_000_000_000

/**
 * Counts pulses: flow meter, anemometer, energy meter with S0 output, fan tachometer. The kernel numbers the edges, so
 * that pulses are counted even where their edges did not fit into its queue. Source: bridges.md §20.3.
 */
export const counter = defineDevice({
  kind: 'counter',
  description: 'A pulse counter with a rate: flow meter, anemometer, energy meter, tachometer.',
  namespace: 'counter',
  options: {
    ...inputOptions(0),
    edge: choice('Edges that count.', 'rising', ['rising', 'falling', 'both']),
    scale: number('The rate is pulses a second times this.', 1, { min: -LIMIT, max: LIMIT }),
    unit: text('Unit of the rate, for example L/min.'),
    keep: flag('Go on from the total of before, as far as the journal has it, instead of from 0.', true),
    window: duration('Time over which the rate is taken.', 1000, { minMs: 100, maxMs: 3_600_000 }),
  },
  signals: ({ unit }) => ({
    '': {
      type: 'param',
      datatype: 'i64',
      access: 'rw',
      unit: '1',
      description: 'Pulses in total; set it to start from there',
      pace: { maxRateHz: 10 },
    },
    rate: {
      type: 'param',
      datatype: 'f64',
      access: 'r',
      unit: unit ?? 'Hz',
      description: 'Pulses a second, scaled',
      pace: { heartbeatMs: 60_000 },
    },
  }),
  async open(context) {
    const { options, clock, set } = context
    const { edge: counted, scale, window, keep } = options
    let total = keep ? Number(context.last('') ?? 0) : 0
    let sequence = 0
    /** Half pulses that the kernel numbered without telling. */
    let missed = 0
    let sinceTotal = total
    let sinceMs = clock.now()
    const line = await openInput(context, ({ isOn, sequence: number }) => {
      // The level alone is no pulse.
      if (number === sequence) return
      if (number > sequence + 1 && sequence > 0) missed += number - sequence - 1
      sequence = number
      if (counted === 'both') {
        total += 1 + missed
        missed = 0
      } else {
        // Of the edges that went missing every other one counts.
        const pairs = Math.floor(missed / 2)
        total += pairs
        missed -= 2 * pairs
        if (isOn === (counted === 'rising')) total++
      }
      set('', total)
    })
    set('', total)
    const measure = () => {
      const nowMs = clock.now()
      const hz = ((total - sinceTotal) * 1000) / Math.max(1, nowMs - sinceMs)
      sinceTotal = total
      sinceMs = nowMs
      set('rate', Math.round(hz * scale * 1000) / 1000)
      timer = clock.timer(window, measure)
    }
    set('rate', 0)
    let timer = clock.timer(window, measure)
    return {
      write: {
        '': (value) => {
          sinceTotal += Number(value) - total
          total = Number(value)
        },
      },
      close() {
        timer.cancel()
        return line.close()
      },
    }
  },
})
