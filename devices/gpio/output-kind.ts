import { type AnyDeviceKind, boolParam, defineDevice, type Plain, type SignalSpec } from '../device.ts'
import type { SafeState } from '../io/lines.ts'
import { choice, duration, flag, gpioLine, name, number } from '../options.ts'
import { lineRequest } from './input-options.ts'
import { OutputControl } from './output-control.ts'

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
      maxOn: duration('Off after so long, whatever it is told; 0s = no limit.', 0, { minMs: 0, maxMs: 30 * DAY_MS }),
      minOn: duration('On for so long at least.', 0, { minMs: 0, maxMs: DAY_MS }),
      minOff: duration('Off for so long at least, as compressors need it.', 0, { minMs: 0, maxMs: DAY_MS }),
      maxSwitchHz: number('Changes a second; the last one counts. 0 = no limit.', maxSwitchHz, { min: 0, max: 1000 }),
      deadman: duration('Safe when nothing was written for so long; 0s = never.', 0, { minMs: 0, maxMs: DAY_MS }),
      onHubLoss: choice('What it does when the hub of this router is gone.', 'hold', ['hold', 'safe']),
      interlock: name('Outputs with the same interlock are never on together.'),
      interlockMode: choice('When another one is on: that one goes off first, or this one stays off.', 'exclusive', [
        'exclusive',
        'reject',
      ]),
      deadTime: duration('Between the one going off and this one going on.', 100, { minMs: 0, maxMs: 60_000 }),
    },
    check: ({ safe, maxOn, interlock }) => {
      if (safe === 'on' && maxOn > 0) return 'safe: on and maxOn contradict each other'
      return safe === 'on' && interlock !== undefined ? 'safe: on and interlock contradict each other' : undefined
    },
    signals: ({ safe, maxOn }) => ({
      '': { ...boolParam('rw', `true = on; ${limitsText(safe, maxOn)}`), fallback: safe === 'on' },
      actual: boolParam('r', 'What it is, while that differs from what was set'),
      pulse: event('On for so many ms, then off'),
      toggle: event('On when it is off, and the other way round'),
      blink: event('on_ms, off_ms, and count (absent: until it is set)'),
    }),
    async open(context) {
      const { options, lines, clock } = context
      const { line: lineName, drive, safe, maxOn, interlock, interlockMode, deadTime } = options
      const control = new OutputControl(
        {
          minOnMs: options.minOn,
          minOffMs: options.minOff,
          minIntervalMs: options.maxSwitchHz > 0 ? 1000 / options.maxSwitchHz : 0,
          maxOnMs: maxOn,
          deadmanMs: options.deadman,
          safe,
          isSafeWithoutHub: options.onHubLoss === 'safe',
          hasInterlock: interlock !== undefined,
        },
        clock,
        context,
      )
      const line = await lines.output({
        ...lineRequest(context, lineName, options),
        drive,
        isOn: safe === 'on',
        safe,
        maxOnMs: maxOn,
        ...(interlock !== undefined && { interlock: { name: interlock, mode: interlockMode, deadTimeMs: deadTime } }),
        onForced: (isOn, reason) => control.onForced(isOn, reason),
      })
      control.begin(line, safe === 'on')
      return {
        write: {
          '': (value) => control.write(value === true),
          pulse: (value) => control.pulse(milliseconds(value)),
          toggle: () => control.toggle(),
          blink: (value) => control.blink(milliseconds(value, 'on_ms'), milliseconds(value, 'off_ms'), blinks(value)),
        },
        safe: (reason) => control.safe(reason),
        close() {
          control.stop()
          return line.close()
        },
      }
    },
  })
}

function limitsText(safe: SafeState, maxOnMs: number): string {
  return maxOnMs > 0 ? `safe=${safe}; max_on=${maxOnMs / 1000} s` : `safe=${safe}`
}

function event(description: string): SignalSpec {
  return { type: 'event', datatype: 'map', access: 'w', description }
}

/** Of a map's member, or of a bare number; 0: there is none. */
function milliseconds(value: Plain, member = 'ms'): number {
  const given = typeof value === 'object' && value !== null ? value[member] : value
  return typeof given === 'number' && given > 0 && given <= DAY_MS ? given : 0
}

function blinks(value: Plain): number {
  const count = typeof value === 'object' && value !== null ? value.count : undefined
  return typeof count === 'number' && count >= 1 ? Math.floor(count) : Number.POSITIVE_INFINITY
}
