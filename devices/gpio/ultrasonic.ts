import { defineDevice } from '../device.ts'
import { choice, flag, gpioLine, number } from '../options.ts'
import { lineRequest } from './input-options.ts'

const TRIGGER_US = 10
/** Longest echo pulse of the HC-SR04 without an object: 38 ms; others take longer. */
const TIMEOUT_MS = 60

/**
 * Ultrasonic range finder with trigger and echo: HC-SR04, JSN-SR04T. A trigger of 10 µs makes it send eight cycles of
 * 40 kHz; the echo line is high for as long as the sound takes there and back. At 5 V the echo line needs a divider.
 * Source: data sheet of the HC-SR04 (Elecfreaks).
 */
export const ultrasonic = defineDevice({
  kind: 'ultrasonic',
  description: 'An ultrasonic range finder with trigger and echo.',
  namespace: 'gpio',
  options: {
    trigger: gpioLine('Line of the trigger.'),
    echo: gpioLine('Line of the echo.'),
    activeLow: flag('Both lines are inverted.', false),
    bias: choice('Pull resistor of the echo line.', 'asis', ['asis', 'up', 'down', 'none']),
    temperature: number('Of the air, which sets the speed of sound.', 20, { min: -40, max: 85, unit: '°C' }),
    max: number('What is farther away is no reading.', 4, { min: 0.1, max: 10, unit: 'm' }),
  },
  check: ({ trigger, echo }) => (trigger === echo ? 'trigger and echo are the same line' : undefined),
  sampleMs: 100,
  signals: ({ max }) => ({
    '': {
      type: 'param',
      datatype: 'f64',
      access: 'r',
      unit: 'm',
      range: [0.02, max],
      description: 'Distance',
      pace: { deadband: 0.002, deadbandRelative: 0.005, heartbeatMs: 10_000 },
    },
  }),
  async open(context) {
    const { options, lines, clock } = context
    const metresPerMs = (331.3 + 0.606 * options.temperature) / 1000
    let roseAt: number | null = null
    let heard: ((ms: number) => void) | null = null
    const echo = await lines.input({
      ...lineRequest(context, options.echo, options),
      debounceMs: 0,
      onEdge: ({ isOn, atMs }) => {
        if (isOn) roseAt = atMs
        else if (roseAt !== null) heard?.(atMs - roseAt)
      },
    })
    const trigger = await lines
      .output({
        ...lineRequest(context, options.trigger, { activeLow: options.activeLow, bias: 'asis' }),
        drive: 'push-pull',
        isOn: false,
        safe: 'off',
        maxOnMs: 0,
        onForced: () => {},
      })
      .catch(async (error) => {
        await echo.close()
        throw error
      })
    const echoMs = () =>
      new Promise<number>((resolve, reject) => {
        const timer = clock.timer(TIMEOUT_MS, () => {
          heard = null
          reject(new Error(`no echo on ${options.echo}: check the wiring and what is in front of it`))
        })
        heard = (ms) => {
          timer.cancel()
          heard = null
          resolve(ms)
        }
        roseAt = null
        trigger.strobe(TRIGGER_US)
      })
    return {
      async read() {
        const metres = ((await echoMs()) * metresPerMs) / 2
        return { '': metres > options.max ? null : Math.round(metres * 1000) / 1000 }
      },
      async close() {
        await trigger.close()
        await echo.close()
      },
    }
  },
})
