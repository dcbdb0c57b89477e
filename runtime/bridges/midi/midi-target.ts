/** What an address below a device means. Source: bridges.md §4.1, §4.4. */
export interface Target {
  readonly kind: ChannelKind | DeviceKind
  /** 0…15; 0 where it has none. */
  readonly channel: number
  /** Controller, note or parameter; 0 where it has none. */
  readonly number: number
}

/** With the highest number that they have as their last level; -1: they have no such level. */
const CHANNEL_KINDS = {
  note: -1,
  notes: 127,
  cc: 127,
  cc14: 31,
  nrpn: 16_383,
  rpn: 16_383,
  bend: -1,
  program: -1,
  pressure: -1,
  poly: 127,
  mode: -1,
} as const

const DEVICE_KINDS = ['clock', 'transport', 'tempo', 'songpos', 'song', 'tune', 'mtc', 'sysex', 'reset'] as const

export type ChannelKind = keyof typeof CHANNEL_KINDS
export type DeviceKind = (typeof DEVICE_KINDS)[number]

const KIND_NAMES: readonly string[] = [...Object.keys(CHANNEL_KINDS), ...DEVICE_KINDS]
const NUMBER = /^(0|[1-9]\d{0,4})$/

/**
 * The levels of an address below its device: `ch/0/cc/7`, `transport`. Also without `ch`, as programs have it that were
 * made for older bridges; and, where there is a channel to use then, without a channel. Undefined: it means nothing.
 */
export function parseTarget(rest: string, defaultChannel?: number): Target | undefined {
  const levels = rest.split('/')
  if (levels[0] === 'ch') return channelTarget(levels.slice(1))
  if (NUMBER.test(levels[0])) return channelTarget(levels)
  const kind = DEVICE_KINDS.find((known) => known === rest)
  if (kind !== undefined) return { kind, channel: 0, number: 0 }
  return defaultChannel === undefined ? undefined : channelTarget([String(defaultChannel), ...levels])
}

/** A number for each target, below 2^23. */
export function keyOf({ kind, channel, number }: Target): number {
  return (KIND_NAMES.indexOf(kind) << 18) | (channel << 14) | number
}

function channelTarget([channelText, kindText, numberText, ...more]: readonly string[]): Target | undefined {
  const channel = numberOf(channelText, 15)
  if (channel === undefined || more.length > 0 || !Object.hasOwn(CHANNEL_KINDS, kindText ?? '')) return undefined
  const kind = kindText as ChannelKind
  const highest = CHANNEL_KINDS[kind]
  if (highest < 0) return numberText === undefined ? { kind, channel, number: 0 } : undefined
  const number = numberOf(numberText, highest)
  return number === undefined ? undefined : { kind, channel, number }
}

function numberOf(text: string | undefined, highest: number): number | undefined {
  if (text === undefined || !NUMBER.test(text)) return undefined
  const number = Number(text)
  return number <= highest ? number : undefined
}
