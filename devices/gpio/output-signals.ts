import { boolParam, type OpenDevice, type Plain, type SignalSpec } from '../device.ts'
import type { SafeState } from '../io/lines.ts'
import type { OutputControl } from './output-control.ts'

const DAY_MS = 86_400_000

/** Signals of one output, at `key` and below; '' is the device itself. Source: bridges.md §20.2. */
export function outputSignals(
  key: string,
  { safe, maxOn }: { safe: SafeState; maxOn: number },
): Readonly<Record<string, SignalSpec>> {
  const limits = maxOn > 0 ? `safe=${safe}; max_on=${maxOn / 1000} s` : `safe=${safe}`
  return {
    [key]: { ...boolParam('rw', `true = on; ${limits}`), fallback: safe === 'on' },
    [below(key, 'actual')]: boolParam('r', 'What it is, while that differs from what was set'),
    [below(key, 'pulse')]: event('On for so many ms, then off'),
    [below(key, 'toggle')]: event('On when it is off, and the other way round'),
    [below(key, 'blink')]: event('on_ms, off_ms, and count (absent: until it is set)'),
  }
}

/** What is done when clients write those signals. */
export function outputWrites(key: string, control: OutputControl): Required<OpenDevice>['write'] {
  return {
    [key]: (value) => control.write(value === true),
    [below(key, 'pulse')]: (value) => control.pulse(milliseconds(value)),
    [below(key, 'toggle')]: () => control.toggle(),
    [below(key, 'blink')]: (value) =>
      control.blink(milliseconds(value, 'on_ms'), milliseconds(value, 'off_ms'), blinks(value)),
  }
}

/** The key of a signal below that of an output. */
export function below(key: string, name: string): string {
  return key === '' ? name : `${key}/${name}`
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
