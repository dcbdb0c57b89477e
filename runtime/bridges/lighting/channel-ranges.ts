import { SLOTS } from './slot-address.ts'

/** Channels 1…512 as a text: `1-24,100`. Undefined when it is no such text. */
export function parseChannels(text: string): Set<number> | undefined {
  const channels = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*$/.exec(part)
    if (match === null) return undefined
    const first = Number(match[1])
    const last = match[2] === undefined ? first : Number(match[2])
    if (first < 1 || last > SLOTS || first > last) return undefined
    for (let channel = first; channel <= last; channel++) channels.add(channel)
  }
  return channels
}
