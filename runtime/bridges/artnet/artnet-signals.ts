import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { plainMap } from '../plain-map.ts'
import { type ArtTimeCode, type ArtTrigger, timeCodePacket, triggerPacket } from './artnet-packet.ts'

/** Time code and triggers as values: `{ns}/timecode`, a stream, and `{ns}/trigger`, an event. Source: bridges.md §6.4. */

export function timeCodeValue({ stream, hours, minutes, seconds, frames, rate }: ArtTimeCode): Value {
  return plainMap({ hours, minutes, seconds, frames, rate, stream })
}

export function triggerValue({ key, subKey, data }: ArtTrigger): Value {
  const value = plainMap({ key, subKey })
  const end = data.findLastIndex((byte) => byte !== 0) + 1
  if (end === 0 || value.type !== 'map') return value
  return {
    type: 'map',
    value: [...value.value, ['data', { type: 'bytes', value: Uint8Array.from(data.subarray(0, end)) }]],
  }
}

/** Undefined: it is no time. */
export function timeCodeOf(value: Value): Buffer | undefined {
  const members = numbersOf(value, { hours: 23, minutes: 59, seconds: 59, frames: 29, rate: 3, stream: 255 })
  if (members === undefined) return undefined
  const { hours, minutes, seconds, frames, rate, stream } = members
  return timeCodePacket({ hours, minutes, seconds, frames, rate, stream })
}

/** Undefined: it is no trigger. */
export function triggerOf(value: Value): Buffer | undefined {
  const members = numbersOf(value, { key: 255, subKey: 255 })
  if (members === undefined || value.type !== 'map') return undefined
  const data = new Map(value.value).get('data')
  return triggerPacket(members.key, members.subKey, data?.type === 'bytes' ? data.value : new Uint8Array())
}

/** Members from 0 to their limits; those that are missing are 0. */
function numbersOf<K extends string>(value: Value, limits: Readonly<Record<K, number>>): Record<K, number> | undefined {
  if (value.type !== 'map') return undefined
  const given = new Map(value.value)
  const numbers: Record<K, number> = { ...limits }
  for (const key of Object.keys(limits) as K[]) {
    const member = given.get(key)
    const number = member === undefined ? 0 : 'value' in member ? Number(member.value) : Number.NaN
    if (!Number.isInteger(number) || number < 0 || number > limits[key]) return undefined
    numbers[key] = number
  }
  return numbers
}
