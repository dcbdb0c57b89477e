import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Ack, ErrorMessage, Message, Publish, Welcome } from '../../firmware-protocol/wire/message.ts'
import { utf8Length } from '../../firmware-protocol/wire/utf8.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { NarrowCounters } from './narrow-counters.ts'
import type { NarrowOptions } from './narrow-options.ts'
import { arduinoValue, embeddedValue } from './narrow-values.ts'

/** Size of the Arduino library's buffer without the length prefix (firmware reference §3.1). */
const ARDUINO_FRAME_BYTES = 252
/** Longer ones fill the embedded client's cache for ever (firmware reference §2.6, F-07). */
const EMBEDDED_ADDRESS_BYTES = 64
/** For texts that only people read. */
const TEXT_BYTES = 64
/** Elements of one array or map that are sent one by one. */
const MAX_ITEMS = 64

/**
 * Frames as one class of device reads them: a header of four bytes, one message, values of the types that it knows.
 * Every method returns undefined, and counts why, when the device cannot have the message. Firmware reference §5.2, §5.3.
 */
export class NarrowEncoder {
  readonly profile: 'arduino' | 'embedded'
  private readonly options: NarrowOptions
  private readonly maxFrameBytes: number
  private readonly counters: NarrowCounters
  private readonly onBadAddress: (address: string) => void

  constructor(
    profile: 'arduino' | 'embedded',
    carrierFrameBytes: number,
    options: NarrowOptions,
    counters: NarrowCounters,
    onBadAddress: (address: string) => void,
  ) {
    this.profile = profile
    this.options = options
    const classBytes = profile === 'arduino' ? ARDUINO_FRAME_BYTES : options.maxFrameBytes
    this.maxFrameBytes = Math.min(carrierFrameBytes, classBytes)
    this.counters = counters
    this.onBadAddress = onBadAddress
  }

  /** The whole of a SET, or of each element of a list: gives `emit` an address and a frame for each. */
  sets(address: string, value: Value, emit: (address: string, frame: Uint8Array) => void): void {
    const isList = value.type === 'array' || value.type === 'map'
    if (isList && this.profile === 'embedded' && this.options.listsAsItems) {
      const items = value.type === 'array' ? value.value.map((item, i) => [`${i}`, item] as const) : value.value
      if (items.length > MAX_ITEMS) this.counters.unreadable += items.length - MAX_ITEMS
      for (const [key, item] of items.slice(0, MAX_ITEMS)) this.sets(`${address}/${key}`, item, emit)
      return
    }
    const frame = this.set(address, value)
    if (frame !== undefined) emit(address, frame)
  }

  publish(message: Publish): Uint8Array | undefined {
    const { address, signal, phase } = message
    if (signal === 'timeline') return this.leaveOut()
    const given = message.samples === undefined ? (message.value ?? message.payload) : lastOf(message.samples)
    if (this.profile === 'embedded') {
      if (this.options.eventsAsSet) return this.set(address, given ?? { type: 'null' })
      // It reads the address and nothing behind it.
      return this.fitting(address, { type: 'PUBLISH', address, signal, phase })
    }
    const value = given === undefined ? undefined : this.converted(given)
    if (given !== undefined && value === undefined) return this.leaveOut()
    return this.fitting(address, { type: 'PUBLISH', address, signal, phase, value })
  }

  welcome({ version, features, time, session, name }: Welcome): Uint8Array | undefined {
    return this.fitting('', { type: 'WELCOME', version, features, time, session, name: shortened(name) })
  }

  error({ code, message }: ErrorMessage): Uint8Array | undefined {
    return this.fitting('', { type: 'ERROR', code, message: shortened(message) })
  }

  ack(message: Ack): Uint8Array | undefined {
    return this.fitting('', message)
  }

  /** A SET without anything behind the value, as the device itself would have to see it; undefined and uncounted if it cannot. */
  echo(address: string, value: Value): Uint8Array | undefined {
    const narrow = this.narrowValue(value)
    return narrow === undefined ? undefined : encodeFrame({ type: 'SET', address, value: narrow }, { qos: 0 })
  }

  private set(address: string, value: Value): Uint8Array | undefined {
    const narrow = this.converted(value)
    if (narrow === undefined) return this.leaveOut()
    return this.fitting(address, { type: 'SET', address, value: narrow })
  }

  private converted(value: Value): Value | undefined {
    const narrow = this.narrowValue(value)
    if (narrow !== undefined && narrow.type !== value.type) this.counters.converted++
    return narrow
  }

  private narrowValue(value: Value): Value | undefined {
    return this.profile === 'arduino' ? arduinoValue(value, this.options) : embeddedValue(value, this.options)
  }

  private fitting(address: string, message: Message): Uint8Array | undefined {
    if (this.profile === 'embedded' && !isPlainAddress(address)) {
      this.counters.badAddresses++
      this.onBadAddress(address)
      return undefined
    }
    const frame = encodeFrame(message, { qos: 0 })
    if (frame.length <= this.maxFrameBytes) return frame
    this.counters.tooLarge++
    return undefined
  }

  private leaveOut(): undefined {
    this.counters.unreadable++
    return undefined
  }
}

function isPlainAddress(address: string): boolean {
  return address.length <= EMBEDDED_ADDRESS_BYTES && !/[^ -~]/.test(address)
}

function lastOf(samples: readonly number[]): Value | undefined {
  const last = samples.at(-1)
  return last === undefined ? undefined : { type: 'f64', value: last }
}

/** The beginning of a text, in whole characters. */
function shortened(text: string): string {
  let bytes = 0
  let short = ''
  for (const character of text) {
    bytes += utf8Length(character)
    if (bytes > TEXT_BYTES) return short
    short += character
  }
  return short
}
