import { choice, duration, flag, name, type OptionsOf, requiredText, table } from '../options.ts'

/** What can be set of a keypad. */
export const keypadOptions = {
  device: requiredText('Its name, usb:VENDOR:PRODUCT[:SERIAL], or its path, best below /dev/input/by-id.'),
  grab: flag('Nobody else gets its keys, the console neither.', true),
  mode: choice(
    'keys: an event for each key. text: one for what is typed until Enter, as readers of cards do.',
    'keys',
    ['keys', 'text'],
  ),
  keys: table('Keys with a state and events of their own, as buttons have them.', {
    key: requiredText('Its name, such as KEY_KP1 or BTN_SOUTH; the events of mode: keys tell it.'),
    name: name('Its level of the address. Left out: the name of the key.'),
  }),
  axes: table('Axes of a gamepad or joystick.', {
    axis: requiredText('Its name, such as ABS_X.'),
    name: name('Its level of the address. Left out: the name of the axis.'),
  }),
  long: duration('A key that is held for so long is a long press.', 500, { minMs: 50, maxMs: 60_000 }),
  repeat: duration('Between repeats after a long press; 0s = none.', 0, { minMs: 0, maxMs: 60_000 }),
  double: duration('Two clicks within are a double click; 0s = never.', 0, { minMs: 0, maxMs: 5000 }),
  idle: duration('Text that is not finished is forgotten after so long without a key.', 5000, {
    minMs: 100,
    maxMs: 600_000,
  }),
}

export type KeypadOptions = OptionsOf<typeof keypadOptions>

export type KeyRow = KeypadOptions['keys'][number]
export type AxisRow = KeypadOptions['axes'][number]

/** Level of the address of a key: `kp1` for KEY_KP1. */
export function rowName({ key, name }: KeyRow): string {
  return name ?? key.toLowerCase().replace(/^key_/, '')
}

/** Level of the address of an axis: `x` for ABS_X. */
export function axisName({ axis, name }: AxisRow): string {
  return name ?? axis.toLowerCase().replace(/^abs_/, '')
}
