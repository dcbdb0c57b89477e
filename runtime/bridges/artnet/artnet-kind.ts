import { isIPv4 } from 'node:net'
import {
  checkedText,
  decimal,
  duration,
  flag,
  list,
  object,
  oneOf,
  optional,
  required,
  text,
  type ValueOf,
  whole,
} from '../../config/fields.ts'
import { defineBridge } from '../bridge.ts'
import { inputFields, lightingFields, outputFields } from '../lighting/lighting-fields.ts'
import { universesProblem } from '../lighting/lighting-settings.ts'

const portAddress = (description: string) =>
  whole({
    description: `${description} Port-Address: Net × 256 + SubNet × 16 + Universe.`,
    fallback: 0,
    min: 0,
    max: 32_767,
  })

const ipv4 = (description: string, fallback: string) =>
  checkedText({
    description,
    fallback,
    expected: 'an IPv4 address',
    check: (value) => (isIPv4(value) ? undefined : `"${value}" is no IPv4 address`),
  })

const options = object('Art-Net 4.', {
  bind: ipv4('Address that receives; 0.0.0.0 = all of this machine.', '0.0.0.0'),
  port: whole({ description: 'UDP port, here and of the others.', fallback: 6454, min: 1, max: 65_535 }),
  interface: optional(
    text({ description: 'Name or IPv4 address of the network that is polled and sent to; none = all.', fallback: '' }),
  ),
  role: oneOf({
    description: 'node = consoles find it, controller = it finds nodes.',
    fallback: 'both',
    values: ['node', 'controller', 'both'] as const,
  }),
  shortName: checkedText({
    description: 'Name that consoles show.',
    fallback: 'clasp-edge',
    expected: 'at most 17 characters',
    check: (value) => (value.length <= 17 ? undefined : 'it is too long'),
  }),
  longName: checkedText({
    description: 'The same in more words.',
    fallback: 'clasp-edge Art-Net bridge',
    expected: 'at most 63 characters',
    check: (value) => (value.length <= 63 ? undefined : 'it is too long'),
  }),
  oem: whole({ description: 'OEM code.', fallback: 0x00ff, min: 0, max: 0xffff }),
  esta: whole({ description: 'ESTA manufacturer code.', fallback: 0x7ff0, min: 0, max: 0xffff }),
  allowRemoteConfig: flag({
    description:
      'ArtAddress and ArtInput may change names, Port-Addresses, merging, looks and which outputs send; kept.',
    fallback: false,
  }),
  inputs: list({
    description: 'Universes that come in; none = none.',
    of: object('One universe.', {
      universe: required(portAddress('Which.')),
      priority: whole({ description: 'Of its sources where it is relayed.', fallback: 100, min: 0, max: 200 }),
      ...inputFields,
    }),
  }),
  outputs: list({
    description: 'Universes that go out.',
    of: object('One universe.', {
      universe: required(portAddress('Which.')),
      targets: list({
        description: 'IPv4 addresses, auto (nodes that say they put it out) or broadcast; none = auto.',
        of: checkedText({
          description: 'A target.',
          fallback: 'auto',
          expected: 'auto, broadcast or an IPv4 address',
          check: (value) =>
            value === 'auto' || value === 'broadcast' || isIPv4(value) ? undefined : `"${value}" is no target`,
        }),
      }),
      relay: optional(portAddress('An input that is merged into it.')),
      ...outputFields,
    }),
  }),
  sync: flag({ description: 'ArtSync after the universes of a frame.', fallback: false }),
  rate: decimal({ description: 'At most so many frames of a universe.', unit: 'Hz', fallback: 44, min: 1, max: 44 }),
  keepAlive: duration({
    description: 'Between frames without a change.',
    fallback: 900,
    minMs: 100,
    maxMs: 4000,
  }),
  loss: duration({
    description: 'A universe without a frame for so long is lost.',
    fallback: 3000,
    minMs: 100,
    maxMs: 60_000,
  }),
  leave: duration({
    description: 'A source that is silent for so long is merged no longer.',
    fallback: 10_000,
    minMs: 100,
    maxMs: 60_000,
  }),
  ...lightingFields,
})

export type ArtNetOptions = ValueOf<typeof options>

export const artNet = defineBridge<ArtNetOptions>({
  kind: 'artnet',
  description: 'Art-Net 4, as node and as controller.',
  namespace: '/artnet',
  options,
  check: universesProblem,
  load: () => import('./artnet-bridge.ts').then(({ openArtNet }) => openArtNet),
})
