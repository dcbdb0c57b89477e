import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message, Publish } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Clock } from '../router/clock.ts'
import type { NarrowCounters } from './narrow-counters.ts'
import type { NarrowEncoder } from './narrow-encoder.ts'
import type { NarrowInterest } from './narrow-interest.ts'
import type { NarrowOptions } from './narrow-options.ts'
import type { NarrowQueue } from './narrow-queue.ts'

export interface NarrowDeliveryParts {
  clock: Clock
  options: NarrowOptions
  counters: NarrowCounters
  encoder: NarrowEncoder
  queue: NarrowQueue
  interest: NarrowInterest
  /** Lets out what may go now. */
  release(): void
  /** Class E: the device was sent more addresses than it keeps. */
  onTooManyAddresses(limit: number): void
}

/** What the embedded client's cache holds (firmware reference §2.1). */
const EMBEDDED_CACHE_ENTRIES = 32
/** The device's own SETs of one turn that are remembered. */
const MAX_OWN = 64

const PING = encodeFrame({ type: 'PING' })
const PONG = encodeFrame({ type: 'PONG' })
const EMPTY_SNAPSHOT = encodeFrame({ type: 'SNAPSHOT', params: [] })

/** Turns the router's messages into frames for one device and puts them into its queue, each where it belongs. */
export class NarrowDelivery {
  private readonly parts: NarrowDeliveryParts
  /** What the device set in this turn, as SETs of which the echo need not go out. */
  private readonly own: Uint8Array[] = []
  /** Class E: what the device was sent, up to one more than it can keep. */
  private readonly addresses = new Set<string>()

  constructor(parts: NarrowDeliveryParts) {
    this.parts = parts
  }

  deliver(message: Message): void {
    const { encoder, interest, counters } = this.parts
    switch (message.type) {
      case 'SET':
        this.value(message.address, message.value, false)
        return
      case 'PUBLISH':
        this.publish(message)
        return
      case 'SNAPSHOT':
        for (const { address, value } of message.params) if (interest.wants(address)) this.value(address, value, true)
        return
      case 'BUNDLE':
        for (const inner of message.messages) this.deliver(inner)
        return
      case 'WELCOME':
        this.addLasting(encoder.welcome(message))
        this.addLasting(EMPTY_SNAPSHOT)
        return
      case 'ERROR':
        this.addLasting(encoder.error(message))
        return
      case 'ACK':
        if (this.parts.options.suppressAck) counters.acks++
        else this.addLasting(encoder.ack(message))
        return
      case 'PING':
        this.ping()
        return
      case 'PONG':
        this.addLasting(PONG)
        return
      default:
        counters.unreadable++
    }
  }

  ping(): void {
    this.addLasting(PING)
  }

  /** The device has sent this SET: if it comes back as it is before the turn ends, the device need not hear of it. */
  expectEcho(address: string, value: Value): void {
    if (!this.parts.options.suppressEcho || this.own.length >= MAX_OWN) return
    const echo = this.parts.encoder.echo(address, value)
    if (echo !== undefined) this.own.push(echo)
  }

  endTurn(): void {
    this.own.length = 0
  }

  private value(address: string, value: Value, isInitial: boolean): void {
    const { clock, counters, encoder, queue } = this.parts
    const now = clock.now()
    encoder.sets(address, value, (itemAddress, frame) => {
      const key = `=${itemAddress}`
      if (!isInitial && this.isEcho(key, frame, now)) {
        counters.echoes++
        return
      }
      this.note(itemAddress)
      if (isInitial) queue.addInitial(key, frame, now)
      else this.addValue(key, frame, now)
    })
  }

  private publish(message: Publish): void {
    const { clock, encoder, queue } = this.parts
    const { address, signal, phase, id = 0 } = message
    const frame = encoder.publish(message)
    if (frame === undefined) return
    this.note(address)
    const move = `>${id} ${address}`
    if (signal === 'stream') this.addValue(`~${address}`, frame, clock.now())
    else if (signal !== 'gesture') queue.addLasting(frame)
    else if (phase === 'move') this.addValue(move, frame, clock.now())
    else queue.addLasting(frame, move)
  }

  private addValue(key: string, frame: Uint8Array, now: number): void {
    const { options, queue } = this.parts
    // Where the rate is not limited, a value is given up only when the carrier is full.
    if (options.updatesPerSecond === 0 && queue.isReady(key)) this.parts.release()
    queue.addValue(key, frame, now)
  }

  private addLasting(frame: Uint8Array | undefined): void {
    if (frame !== undefined) this.parts.queue.addLasting(frame)
  }

  /** Not an echo when something else of that address is on its way: the device may take that for the newer value. */
  private isEcho(key: string, frame: Uint8Array, now: number): boolean {
    const at = this.own.findIndex((own) => areEqual(own, frame))
    if (at < 0) return false
    this.own.splice(at, 1)
    return !this.parts.queue.isInFlight(key, now)
  }

  private note(address: string): void {
    if (this.parts.encoder.profile !== 'embedded' || this.addresses.size > EMBEDDED_CACHE_ENTRIES) return
    this.addresses.add(address)
    if (this.addresses.size > EMBEDDED_CACHE_ENTRIES) this.parts.onTooManyAddresses(EMBEDDED_CACHE_ENTRIES)
  }
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
