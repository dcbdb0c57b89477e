import { decode, encode } from '@msgpack/msgpack'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { jsFromValue, jsonFromValue, valueFromJs, valueFromJson } from '../json-value.ts'

/** What is sent: members in order; a `Value` is written in its own JSON form. */
export type Outgoing = readonly (readonly [key: string, value: Value | string | number | boolean | undefined])[]

/** How messages look on the socket. */
export interface MessageCodec {
  readonly isBinary: boolean
  encode(message: Outgoing): string | Uint8Array
  /** Undefined: the text or the bytes are nothing of the kind. */
  decode(data: string | Uint8Array): Value | undefined
}

export const jsonCodec: MessageCodec = {
  isBinary: false,
  encode: (message) => {
    const members = message.flatMap(([key, value]) => {
      if (value === undefined) return []
      return `${JSON.stringify(key)}:${typeof value === 'object' ? jsonFromValue(value) : JSON.stringify(value)}`
    })
    return `{${members.join(',')}}`
  },
  decode: (data) => (typeof data === 'string' ? valueFromJson(data) : undefined),
}

/** The same objects in MessagePack; bytes are bytes there. */
export const messagePackCodec: MessageCodec = {
  isBinary: true,
  encode: (message) => {
    const entries = message.filter(([, value]) => value !== undefined)
    return encode(
      Object.fromEntries(entries.map(([key, value]) => [key, typeof value === 'object' ? jsFromValue(value) : value])),
    )
  },
  decode(data) {
    if (typeof data === 'string') return undefined
    try {
      return valueFromJs(decode(data, { useBigInt64: true }))
    } catch {
      return undefined
    }
  },
}
