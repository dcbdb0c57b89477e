import { isIP } from 'node:net'
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

const NAME_BYTES = 63

const universe = (description: string) => whole({ description, fallback: 1, min: 1, max: 63_999 })

const options = object('sACN (ANSI E1.31).', {
  interface: optional(text({ description: 'Name or address of the network; none = all.', fallback: '' })),
  ip: oneOf({
    description: 'v4 = groups 239.255.x.y, v6 = groups ff18::83:0:x:y, or both.',
    fallback: 'v4',
    values: ['v4', 'v6', 'both'] as const,
  }),
  port: whole({ description: 'UDP port, here and of the others.', fallback: 5568, min: 1, max: 65_535 }),
  sourceName: checkedText({
    description: 'Name that receivers show.',
    fallback: 'clasp-edge',
    expected: `at most ${NAME_BYTES} bytes of UTF-8`,
    check: (value) => (Buffer.byteLength(value) <= NAME_BYTES ? undefined : 'it is too long'),
  }),
  cid: optional(
    checkedText({
      description: 'Identity; none = made once and kept.',
      fallback: '',
      expected: 'a UUID',
      check: (value) => (/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(value) ? undefined : `"${value}" is no UUID`),
    }),
  ),
  ttl: whole({ description: 'Routers that multicast may pass.', fallback: 8, min: 1, max: 255 }),
  inputs: list({
    description: 'Universes that come in.',
    of: object('One universe.', {
      universe: required(universe('Which.')),
      slotPriorities: flag({ description: 'Heeds priorities of single slots (start code DD).', fallback: false }),
      ...inputFields,
    }),
  }),
  outputs: list({
    description: 'Universes that go out.',
    of: object('One universe.', {
      universe: required(universe('Which.')),
      destinations: list({
        description: 'Addresses, and multicast; none = multicast.',
        of: checkedText({
          description: 'A destination.',
          fallback: 'multicast',
          expected: 'multicast or an IP address',
          check: (value) => (value === 'multicast' || isIP(value) !== 0 ? undefined : `"${value}" is no destination`),
        }),
      }),
      preview: flag({ description: 'Not for live output: visualisers show it.', fallback: false }),
      syncAddress: optional(universe('Universe of the synchronization packets behind its frames.')),
      slotPriorities: flag({
        description: 'Tells priorities of single slots (start code DD): 0 where no channel has a value.',
        fallback: false,
      }),
      relay: optional(universe('An input that is merged into it.')),
      ...outputFields,
    }),
  }),
  preview: flag({ description: 'Frames that are not for live output come in below preview/.', fallback: false }),
  rate: decimal({ description: 'At most so many frames of a universe.', unit: 'Hz', fallback: 44, min: 1, max: 44 }),
  keepAlive: duration({
    description: 'Between frames without a change.',
    fallback: 900,
    minMs: 100,
    maxMs: 2000,
  }),
  loss: duration({
    description: 'A source that is silent for so long has gone.',
    fallback: 2500,
    minMs: 100,
    maxMs: 60_000,
  }),
  ...lightingFields,
})

export type SacnOptions = ValueOf<typeof options>

export const sacn = defineBridge<SacnOptions>({
  kind: 'sacn',
  description: 'sACN (ANSI E1.31), multicast and unicast.',
  namespace: '/sacn',
  options,
  check: (options) => universesProblem(options) ?? familyProblem(options),
  load: () => import('./sacn-bridge.ts').then(({ openSacn }) => openSacn),
})

function familyProblem({ ip, outputs }: SacnOptions): string | undefined {
  if (ip === 'both') return undefined
  const family = ip === 'v4' ? 4 : 6
  const stray = outputs
    .flatMap(({ destinations }) => destinations)
    .find((destination) => destination !== 'multicast' && isIP(destination) !== family)
  return stray === undefined ? undefined : `${stray} is no IPv${family} address: set ip to both`
}
