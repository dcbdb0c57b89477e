import { patternProblem } from '../../firmware-protocol/wire/address.ts'
import { checkedText, duration, flag, list, object, oneOf, optional, required, text, whole } from './fields.ts'
import { secret } from './secret.ts'

const SELECTOR = /^(auto|\/.+|usb:[\da-f]{1,4}(:[\da-f]{0,4}(:.+)?)?)$/i

/** What is wrong with the name of a serial port, or undefined. */
function selectorProblem(selector: string): string | undefined {
  return SELECTOR.test(selector) ? undefined : `"${selector}" names no serial port`
}

function prefixProblem(prefix: string): string | undefined {
  if (!prefix.endsWith('/') || prefix.includes('*')) return `"${prefix}" is not a prefix of addresses`
  return patternProblem(prefix)
}

const uid = /^[\da-f]{16}$/i

/** Microcontrollers: on which lines they are, and with which keys. */
export const firmware = object('Microcontrollers on serial lines and UDP.', {
  serial: list({
    description: 'Serial ports with a microcontroller at the other end.',
    needsRestart: true,
    of: object('A port.', {
      port: required(
        checkedText({
          description:
            'A path (best below /dev/serial/by-id), usb:VENDOR[:PRODUCT[:SERIAL]] in hexadecimal, or auto for every USB port that no other entry names.',
          fallback: '',
          expected: 'auto, a path such as /dev/serial/by-id/usb-…, or usb:2341:0043',
          check: selectorProblem,
        }),
      ),
      baudRate: whole({
        description: 'Speed at which the line starts.',
        fallback: 115_200,
        min: 300,
        max: 4_000_000,
      }),
      maxBaudRate: whole({
        description: 'The fastest that a device which can do so is switched to; 0 = never.',
        fallback: 0,
        min: 0,
        max: 4_000_000,
      }),
      mode: oneOf({
        description:
          'auto tells by the first frames what the device speaks: the link, CLASP in SLIP, or bare CLASP frames.',
        fallback: 'auto',
        values: ['auto', 'link', 'slip', 'raw'],
      }),
      implicitHello: flag({
        description: 'A bare or SLIP device that missed its HELLO gets a session named after the port.',
        fallback: false,
      }),
      resetOnOpen: flag({
        description: 'Restart the board (DTR, RTS) when the port is opened, and wait for its boot loader.',
        fallback: false,
      }),
      rtscts: flag({ description: 'Hardware flow control, where it is wired.', fallback: false }),
      prefix: optional(
        checkedText({
          description: 'Where the signals of the device are, instead of /dev/<its name>/.',
          fallback: '',
          expected: 'a prefix such as /stage/left/',
          check: prefixProblem,
        }),
      ),
      token: optional(secret({ description: 'CLASP token of devices that bring none.' })),
    }),
  }),
  keys: list({
    description: 'Keys of devices that sign their datagrams.',
    needsRestart: true,
    of: object('The key of one device.', {
      uid: required(
        checkedText({
          description: 'Its uid, 16 hexadecimal digits.',
          fallback: '',
          expected: '16 hexadecimal digits in quotes, as clasp-edge firmware info shows them',
          check: (value) => (uid.test(value) ? undefined : `"${value}" is not a uid`),
        }),
      ),
      key: required(secret({ description: 'Its key, 64 hexadecimal digits.' })),
    }),
  }),
  requireKey: flag({
    description: 'Send away devices over UDP that have no key here.',
    fallback: false,
    needsRestart: true,
  }),
  keepalive: duration({
    description: 'A device that says nothing for three and a half times as long is gone.',
    fallback: 1000,
    minMs: 200,
    maxMs: 60_000,
    needsRestart: true,
  }),
  grace: duration({
    description: 'How long the session of a device that vanished waits for its return.',
    fallback: 5000,
    minMs: 0,
    maxMs: 86_400_000,
    needsRestart: true,
  }),
  cache: optional(
    text({
      description: 'Folder for what devices say of themselves, so that known ones start faster.',
      fallback: '',
      needsRestart: true,
    }),
  ),
})
