import { boolParam, type DeviceContext, defineDevice, type OpenDevice, type Plain, type SignalSpec } from '../device.ts'
import { findEventDevices } from './event-devices.ts'
import { InputReader, RecordType } from './input-reader.ts'
import { axisCode, keyCode } from './key-names.ts'
import { axisName, keypadOptions, rowName } from './keypad-options.ts'
import { KeypadSignals } from './keypad-signals.ts'

const RESERVED = ['key', 'text', 'ok', 'error', 'simulated']

/**
 * What types or has buttons: keyboards, numeric keypads, foot switches, presenters, readers of cards and bar codes,
 * gamepads. The kernel makes event devices of them, which clasp-input reads. What is typed is an event only: a param would
 * keep secrets. Source: Documentation/input/event-codes.rst of Linux; bridges.md §20.2 and §20.3.
 */
export const keypad = defineDevice({
  kind: 'keypad',
  description: 'A USB keypad, foot switch, presenter, reader of cards or bar codes, or gamepad.',
  namespace: 'input',
  options: keypadOptions,
  retryMs: 2000,
  isOwnTwin: true,
  check: ({ keys, axes }) => {
    const badKey = keys.find(({ key }) => keyCode(key) === undefined)
    if (badKey !== undefined) return `there is no key ${badKey.key}: names are such as KEY_ENTER, KEY_KP1, BTN_SOUTH`
    const badAxis = axes.find(({ axis }) => axisCode(axis) === undefined)
    if (badAxis !== undefined) return `there is no axis ${badAxis.axis}: names are such as ABS_X, ABS_HAT0X`
    const codes = keys.map(({ key }) => keyCode(key))
    const names = [...RESERVED, ...keys.map(rowName), ...axes.map(axisName)]
    const again = keys.find((_, at) => codes.indexOf(codes[at]) !== at)
    if (again !== undefined) return `the key ${again.key} is listed twice`
    const twice = names.find((one, at) => names.indexOf(one) !== at)
    return twice === undefined ? undefined : `${twice} is used twice: give the key or axis another name`
  },
  signals: ({ mode, keys, axes }) => ({
    ...(mode === 'keys'
      ? { key: event('type: press, release or repeat; key: its name; code, t in µs') }
      : { text: event('code: what was typed; t in µs') }),
    ...Object.fromEntries(
      keys.flatMap((row) => [
        [rowName(row), boolParam('r', 'true = pressed')],
        [
          `${rowName(row)}/event`,
          event('type: press, release, click, double, long or repeat; count, held_ms, t in µs'),
        ],
      ]),
    ),
    ...Object.fromEntries(axes.map((row) => [axisName(row), axisSignal])),
  }),
  simulatedInputs: ({ mode, keys, axes }) => ({
    key: event('Name of a key that is pressed and released, or a map: key, type (press or release)'),
    ...(mode === 'text' && { text: { ...event('What is typed'), datatype: 'string' as const } }),
    ...Object.fromEntries(keys.map((row) => [rowName(row), boolParam('rw', 'true = pressed')])),
    ...Object.fromEntries(axes.map((row) => [axisName(row), { ...axisSignal, access: 'rw' as const }])),
  }),
  async open(context) {
    const signals = new KeypadSignals(context.options, context)
    return context.isSimulated ? simulated(signals, context) : reading(signals, context)
  },
})

function event(description: string): SignalSpec {
  return { type: 'event', datatype: 'map', access: 'r', description }
}

const axisSignal: SignalSpec = {
  type: 'param',
  datatype: 'f64',
  access: 'r',
  unit: 'normalized',
  range: [-1, 1],
  description: 'Place of the axis',
  pace: { deadband: 0.01, maxRateHz: 30 },
}

type KeypadContext = DeviceContext<typeof keypadOptions>

async function reading(signals: KeypadSignals, context: KeypadContext): Promise<OpenDevice> {
  const { options, sysfs, dev, clock, lost } = context
  const program = await context.program('clasp-input')
  if (program === null) {
    throw new Error('clasp-input, which reads input devices, is not installed: install gcc and build again')
  }
  const reader = await InputReader.open({
    program,
    paths: await findEventDevices(options.device, sysfs, dev),
    isGrabbed: options.grab,
    clock,
    onRecord: ({ type, code, value, us }) => {
      if (type === RecordType.ready) signals.begin()
      else if (type === RecordType.key) signals.key(code, value, us)
      else if (type === RecordType.axis) signals.axis(code, value)
      else if (type === RecordType.axisMin) signals.setAxisMin(code, value)
      else if (type === RecordType.axisMax) signals.setAxisMax(code, value)
    },
    onEnded: lost,
  })
  return {
    close() {
      signals.stop()
      return reader.close()
    },
  }
}

function simulated(signals: KeypadSignals, { options, problem, name }: KeypadContext): OpenDevice {
  const { keys, axes } = options
  signals.begin()
  const playKey = (played: Plain) => {
    const { key, type = 'click' } = typeof played === 'object' && played !== null ? played : { key: played }
    const code = typeof key === 'string' ? keyCode(key) : undefined
    if (code === undefined) problem('value', `${name}: there is no key ${key}: names are such as KEY_KP1`)
    else if (type === 'release') signals.key(code, 0, 0)
    else signals.key(code, 1, 0)
    if (code !== undefined && type === 'click') signals.key(code, 0, 0)
  }
  return {
    play: {
      key: playKey,
      text: (text) => signals.typed(String(text)),
      ...Object.fromEntries(
        keys.map((row) => [
          rowName(row),
          (isDown: Plain) => signals.key(keyCode(row.key) ?? 0, isDown === true ? 1 : 0, 0),
        ]),
      ),
      ...Object.fromEntries(axes.map((row) => [axisName(row), (place: Plain) => signals.place(row, Number(place))])),
    },
    close: () => signals.stop(),
  }
}
