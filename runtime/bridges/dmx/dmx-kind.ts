import {
  checkedText,
  decimal,
  flag,
  object,
  oneOf,
  optional,
  required,
  type ValueOf,
  whole,
} from '../../config/fields.ts'
import { parsePortSelector } from '../../transports/serial-selector.ts'
import { defineBridge } from '../bridge.ts'
import { inputFields, lightingFields, outputFields } from '../lighting/lighting-fields.ts'
import { missingScene } from '../lighting/look.ts'
import { Label } from './enttec-message.ts'

const label = (description: string, fallback: number) => whole({ description, fallback, min: 0, max: 255 })

const options = object('DMX512 at a serial port.', {
  type: required(
    oneOf({
      description:
        'enttec-pro = DMX USB Pro and what speaks as it does, ftdi = Open DMX and other plain USB adapters, uart = a serial port of the board with an RS-485 transceiver, virtual = none.',
      fallback: 'virtual',
      values: ['enttec-pro', 'ftdi', 'uart', 'virtual'],
    }),
  ),
  port: optional(
    checkedText({
      description:
        'The serial port: a path, or usb:VENDOR:PRODUCT[:SERIAL], which stays the same when its number changes.',
      fallback: '',
      expected: 'a path such as /dev/ttyUSB0, or usb:0403:6001',
      check: (value) => (parsePortSelector(value) === undefined ? `"${value}" names no serial port` : undefined),
    }),
  ),
  direction: oneOf({
    description: 'out = levels are sent, in = they are received.',
    fallback: 'out',
    values: ['out', 'in'],
  }),
  universe: whole({ description: 'Its number in addresses.', fallback: 0, min: 0, max: 63_999 }),
  shortAddresses: flag({ description: '<namespace>/<channel> is a channel, too.', fallback: false }),
  slots: whole({ description: 'So many are sent in a frame.', fallback: 512, min: 24, max: 512 }),
  refresh: decimal({ description: 'So often a frame is sent.', unit: 'Hz', fallback: 40, min: 2, max: 44 }),
  breakUs: whole({ description: 'Length of the break.', unit: 'µs', fallback: 176, min: 92, max: 1355 }),
  markUs: whole({ description: 'Length of the mark after the break.', unit: 'µs', fallback: 20, min: 12, max: 1355 }),
  rs485: flag({
    description: 'Of a uart: its driver switches the transmitter of the RS-485 transceiver on and off.',
    fallback: false,
  }),
  key: optional(
    checkedText({
      description: 'Of an enttec-pro with several ports (Mk2): the key of its maker, which its other labels need.',
      fallback: '',
      expected: '8 hexadecimal digits',
      check: (value) => (/^[0-9a-f]{8}$/i.test(value) ? undefined : `"${value}" is no key`),
    }),
  ),
  labels: object('Of an enttec-pro: numbers of its messages, where a port has others than the first one.', {
    send: label('Levels that go out.', Label.send),
    received: label('Frames that came in.', Label.received),
    receiveMode: label('What of them is told.', Label.receiveMode),
    changes: label('Changes that came in.', Label.changes),
    assign: optional(label('Makes all ports DMX512, at opening; none = it is not sent.', 0)),
  }),
  ...inputFields,
  ...outputFields,
  ...lightingFields,
})

export type PortLabels = DmxOptions['labels']

export type DmxOptions = ValueOf<typeof options>

export const dmx = defineBridge<DmxOptions>({
  kind: 'dmx',
  description: 'One universe of DMX512 at a serial port, out or in.',
  namespace: '/dmx',
  options,
  check: ({ type, port, direction, universe, rs485, onStart, onLoss, onStop, scenes }) => {
    if (type !== 'virtual' && port === undefined)
      return `type: ${type} needs a port, such as usb:0403:6001 or /dev/ttyUSB0`
    if (type === 'virtual' && direction === 'in') return 'type: virtual has nothing that could come in'
    if (rs485 && type !== 'uart') return 'rs485 is for type: uart'
    return missingScene([onStart, onLoss, onStop], scenes, universe)
  },
  load: () => import('./dmx-bridge.ts').then(({ openDmx }) => openDmx),
})
