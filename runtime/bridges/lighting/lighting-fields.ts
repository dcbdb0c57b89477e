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
  whole,
} from '../../config/fields.ts'
import { parseChannels } from './channel-ranges.ts'
import { isLook, parseLevels } from './look.ts'
import { SLOTS } from './slot-address.ts'

/** Settings that all bridges of the DMX family have. */

const LOOKS = 'hold, zero, full or scene:<number>'

const look = (description: string, fallback: string, others: readonly string[] = []) =>
  checkedText({
    description,
    fallback,
    expected: [...others, LOOKS].join(', '),
    check: (value) => (isLook(value) || others.includes(value) ? undefined : `"${value}" is no look`),
  })

const merge = () =>
  oneOf({
    description:
      'Of several sources with equal priority: htp = the highest level of each slot, ltp = the level that changed last, latest-frame = whoever sent last, first = whoever came first.',
    fallback: 'htp',
    values: ['htp', 'ltp', 'latest-frame', 'first'] as const,
  })

const lossHold = () =>
  duration({
    description: 'So long the levels stay before onLoss takes effect.',
    fallback: 0,
    minMs: 0,
    maxMs: 3_600_000,
  })

export const channelsField = () =>
  checkedText({
    description: 'Channels that become params, such as 1-24,100.',
    fallback: `1-${SLOTS}`,
    expected: 'channels such as 1-24,100',
    check: (value) => (parseChannels(value) === undefined ? `"${value}" names no channels` : undefined),
  })

/** Members of one universe that goes out. */
export const outputFields = {
  priority: whole({
    description: 'Of the values from the router, when sources are merged.',
    fallback: 100,
    min: 0,
    max: 200,
  }),
  merge: merge(),
  onStart: look('lazy = nothing is sent before a channel has a value; else what is shown at once.', 'lazy', ['lazy']),
  onLoss: look('What is shown when no channel has a value any more.', 'hold'),
  lossHold: lossHold(),
  onStop: look('What is sent last; hold = nothing more is sent.', 'hold'),
}

/** Members of one universe that comes in. */
export const inputFields = {
  channels: channelsField(),
  mode: oneOf({
    description: 'channel = a param for each channel, universe = a stream of whole frames.',
    fallback: 'channel',
    values: ['channel', 'universe', 'both'] as const,
  }),
  initial: oneOf({
    description: 'What of the first frame is told: levels above zero, or all.',
    fallback: 'changed',
    values: ['changed', 'all'] as const,
  }),
  merge: merge(),
  onLoss: look('What is told when all sources have gone.', 'hold'),
  lossHold: lossHold(),
}

/** Members of the bridge itself. */
export const lightingFields = {
  scale: oneOf({
    description:
      'How numbers become levels: auto = whole ones are 0 to 255, fractions up to 1 a share of full; raw = all are 0 to 255; normalized = all are 0 to 1.',
    fallback: 'auto',
    values: ['auto', 'raw', 'normalized'] as const,
  }),
  normalize: flag({ description: 'Levels that come in are fractions 0 to 1 instead of 0 to 255.', fallback: false }),
  inRate: decimal({
    description: 'At most so many updates of a channel that comes in.',
    unit: 'Hz',
    fallback: 30,
    min: 0.1,
    max: 44,
  }),
  scenes: list({
    description: 'Looks that outputs and inputs can name as scene:<number>.',
    of: object('One look.', {
      scene: required(whole({ description: 'Its number.', fallback: 1, min: 0, max: 99_999 })),
      universe: optional(whole({ description: 'For this universe; none = all.', fallback: 0, min: 0, max: 63_999 })),
      levels: required(
        checkedText({
          description: 'Channels and levels, such as 1-4@255,10@50%; all others are 0.',
          fallback: '',
          expected: 'channels and levels such as 1-4@255,10@50%',
          check: (value) => (parseLevels(value) === undefined ? `"${value}" is no look` : undefined),
        }),
      ),
    }),
  }),
}
