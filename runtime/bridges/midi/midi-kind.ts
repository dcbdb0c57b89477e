import {
  checkedText,
  decimal,
  duration,
  flag,
  list,
  object,
  oneOf,
  optional,
  type ValueOf,
  whole,
} from '../../config/fields.ts'
import { parsePortSelector } from '../../transports/serial-selector.ts'
import { defineBridge } from '../bridge.ts'
import { VIRTUAL } from './port-choice.ts'

const NAME = /^[a-z0-9_-]{1,64}$/

const port = object('One port, or all that fit.', {
  port: checkedText({
    description:
      'Part of the name of an ALSA port, none = all of them; /dev/… or usb:VENDOR:PRODUCT = a serial line; virtual:NAME = a port of our own for other programs.',
    fallback: '',
    expected: 'a part of a name, /dev/…, usb:VENDOR:PRODUCT or virtual:NAME',
    check: (value) => {
      if (value === VIRTUAL) return 'a virtual port has a name'
      if (/^\/dev\/(snd\/|d?m?midi)/.test(value)) return `${value} is no serial line: name the ALSA port of the device`
      return value.startsWith('usb:') && parsePortSelector(value) === undefined ? `"${value}" is no port` : undefined
    },
  }),
  name: optional(
    checkedText({
      description: 'Its level in addresses: /midi/<name>/…; none = made from the name of the port.',
      fallback: '',
      expected: 'up to 64 lower-case letters, digits, _ and -',
      check: (value) => (NAME.test(value) ? undefined : `"${value}" is no name`),
    }),
  ),
  direction: oneOf({ description: 'What is used of it.', fallback: 'both', values: ['both', 'in', 'out'] }),
  baudRate: whole({ description: 'Of a serial line.', unit: 'baud', fallback: 31_250, min: 50, max: 4_000_000 }),
  rate: optional(
    whole({
      description: 'At most so much is sent; none = what a serial line carries, and else no limit, but 3125 for SysEx.',
      unit: 'bytes/s',
      fallback: 3125,
      min: 10,
      max: 10_000_000,
    }),
  ),
  runningStatus: flag({ description: 'Leaves out status bytes that repeat, for slow lines.', fallback: false }),
})

const options = object('MIDI 1.0 over ALSA and serial lines.', {
  ports: list({ description: 'Ports; none = all that ALSA has.', of: port }),
  addressStyle: oneOf({
    description: 'native = /midi/<device>/ch/0/cc/7; spec = /midi/<device>/cc/7 for the default channel.',
    fallback: 'native',
    values: ['native', 'spec'],
  }),
  defaultChannel: whole({ description: 'Of addressStyle: spec. Channels count from 0.', fallback: 0, min: 0, max: 15 }),
  normalize: flag({
    description: 'Controllers, pressures and bends are fractions 0 to 1 instead of numbers as MIDI has them.',
    fallback: false,
  }),
  cc14: list({
    description: 'Controllers of 14 bits: each is a pair with the one 32 above.',
    of: whole({ description: 'Number of the upper half.', fallback: 1, min: 0, max: 31 }),
  }),
  nrpn: flag({ description: 'Controllers 6, 38 and 96 to 101 make up NRPN and RPN parameters.', fallback: true }),
  nrpn7: flag({ description: 'Such parameters have 7 bits where no lower half comes.', fallback: false }),
  rawCc: flag({ description: 'Controllers that were made part of something else are told as well.', fallback: false }),
  noteState: flag({ description: 'A param for each note: its velocity, 0 = off.', fallback: false }),
  sysex: flag({ description: 'System exclusive messages in and out, up to 64 KiB.', fallback: false }),
  clock: oneOf({
    description: 'Of the clock that comes in: tempo and beats, every tick as well, or nothing.',
    fallback: 'tempo',
    values: ['off', 'tempo', 'raw'],
  }),
  generateClock: flag({ description: 'Sends a clock at the tempo in /midi/<device>/tempo.', fallback: false }),
  activeSensing: flag({
    description: 'Promises the gear to be heard every 0.3 s: it ends its notes when the bridge or the cable is gone.',
    fallback: false,
  }),
  mpe: flag({ description: 'Notes of MPE zones become gestures.', fallback: false }),
  mpeLower: whole({
    description: 'Member channels of the lower zone, until the gear says.',
    fallback: 15,
    min: 0,
    max: 15,
  }),
  mpeUpper: whole({
    description: 'Member channels of the upper zone, until the gear says.',
    fallback: 0,
    min: 0,
    max: 15,
  }),
  maxRate: decimal({
    description: 'At most so many updates of one controller; the last one always comes. 0 = no limit.',
    unit: 'Hz',
    fallback: 250,
    min: 0,
    max: 10_000,
  }),
  echoWindow: duration({
    description: 'A value that comes back from the gear within this time is no news.',
    fallback: 50,
    minMs: 0,
    maxMs: 10_000,
  }),
  restore: flag({ description: 'A port that opens is sent the values that the router has for it.', fallback: true }),
})

export type MidiOptions = ValueOf<typeof options>
export type PortOptions = ValueOf<typeof port>

export const midi = defineBridge<MidiOptions>({
  kind: 'midi',
  description: 'MIDI over ALSA and serial lines.',
  namespace: '/midi',
  options,
  check: ({ ports, mpeLower, mpeUpper }) => {
    if (mpeLower > 0 && mpeUpper > 0 && mpeLower + mpeUpper > 14) {
      return `two MPE zones have 14 member channels together, not ${mpeLower + mpeUpper}`
    }
    const names = ports.flatMap(({ name }) => (name === undefined ? [] : [name]))
    const twice = names.find((name, at) => names.indexOf(name) !== at)
    return twice === undefined ? undefined : `two ports are called ${twice}`
  },
  load: () => import('./midi-bridge.ts').then(({ openMidi }) => openMidi),
})
