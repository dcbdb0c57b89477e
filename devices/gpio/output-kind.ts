import { type AnyDeviceKind, defineDevice } from '../device.ts'
import { failSafeOptions, failSafeProblem } from '../fail-safe.ts'
import { choice, duration, flag, gpioLine, name, number } from '../options.ts'
import { lineRequest } from './input-options.ts'
import { LONGEST_ON_MS } from './on-time-limit.ts'
import { LONGEST_DEAD_TIME_MS, OutputControl } from './output-control.ts'
import { outputSignals, outputWrites } from './output-signals.ts'

const DAY_MS = 86_400_000

interface OutputTraits {
  kind: string
  description: string
  namespace: string
  maxSwitchHz: number
}

/** Everything with one output line; the kinds differ in their address and in how often they may switch. */
export function outputKind({ kind, description, namespace, maxSwitchHz }: OutputTraits): AnyDeviceKind {
  return defineDevice({
    kind,
    description,
    namespace,
    isFailSafe: true,
    options: {
      line: gpioLine('Line that switches it.'),
      activeLow: flag('A low level switches it on.', false),
      bias: choice('Pull resistor; asis leaves it as it is.', 'asis', ['asis', 'up', 'down', 'none']),
      drive: choice('How the line drives its levels.', 'push-pull', ['push-pull', 'open-drain', 'open-source']),
      safe: choice(
        'State at the start, at a stop, and when the router hangs or is gone; release = high impedance.',
        'off',
        ['off', 'on', 'hold', 'release'],
      ),
      maxOn: duration('Off after so long, whatever it is told; 0s = no limit.', 0, { minMs: 0, maxMs: LONGEST_ON_MS }),
      minOn: duration('On for so long at least.', 0, { minMs: 0, maxMs: DAY_MS }),
      minOff: duration('Off for so long at least, as compressors need it.', 0, { minMs: 0, maxMs: DAY_MS }),
      maxSwitchHz: number('Changes a second; the last one counts. 0 = no limit.', maxSwitchHz, { min: 0, max: 1000 }),
      ...failSafeOptions,
      interlock: name('Outputs with the same interlock are never on together.'),
      interlockMode: choice('When another one is on: that one goes off first, or this one stays off.', 'exclusive', [
        'exclusive',
        'reject',
      ]),
      deadTime: duration('Between the one going off and this one going on.', 100, {
        minMs: 0,
        maxMs: LONGEST_DEAD_TIME_MS,
      }),
    },
    check: (options) => {
      const { safe, maxOn, interlock } = options
      // Held after the end of all programs, nobody would switch it off.
      if ((safe === 'on' || safe === 'hold') && maxOn > 0) return `safe: ${safe} and maxOn contradict each other`
      if (safe === 'on' && interlock !== undefined) return 'safe: on and interlock contradict each other'
      return failSafeProblem(options)
    },
    signals: (options) => outputSignals('', options),
    async open(context) {
      const { options, lines, clock } = context
      const { line: lineName, drive, safe, maxOn, interlock, interlockMode, deadTime } = options
      const control = new OutputControl(
        {
          minOnMs: options.minOn,
          minOffMs: options.minOff,
          minIntervalMs: options.maxSwitchHz > 0 ? 1000 / options.maxSwitchHz : 0,
          maxOnMs: maxOn,
          safe,
          hasInterlock: interlock !== undefined,
          // Others than push-pull leave one of the levels to a resistor.
          isReadBack: drive === 'push-pull',
        },
        clock,
        context,
      )
      const line = await lines.output({
        ...lineRequest(context, lineName, options),
        drive,
        isOn: safe === 'on',
        isReleased: safe === 'release',
        // With an interlock two of them might be on.
        isKept: safe === 'hold' && interlock === undefined,
        safe,
        maxOnMs: maxOn,
        ...(interlock !== undefined && { interlock: { name: interlock, mode: interlockMode, deadTimeMs: deadTime } }),
        onForced: (isOn, reason) => control.onForced(isOn, reason),
      })
      control.begin(line, line.isOn)
      return {
        write: outputWrites('', control),
        safe: (_reason, keepsWish) => control.safe(keepsWish),
        close() {
          control.stop()
          return line.close()
        },
      }
    },
  })
}
