import { FEATURES } from '../../../firmware-protocol/wire/codes.ts'
import { PROTOCOL_VERSION } from '../../../firmware-protocol/wire/constants.ts'
import { DecodeError, EncodeError } from '../../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame, frameLength } from '../../../firmware-protocol/wire/frame.ts'
import { hasHubBit } from '../../../firmware-protocol/wire/hub-bit.ts'
import type { Message, Welcome } from '../../../firmware-protocol/wire/message.ts'
import type { Channel, ChannelHandler } from '../../client/channel.ts'
import { openChannel } from '../../client/open-channel.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import { hubAuthorities } from './hub-authorities.ts'
import type { HubSessionOptions, LinkProblem } from './hub-session.ts'
import { closedByHub, closedHere, dialProblem, gibberish, helloProblem, silentHub, tokenProblem } from './link-words.ts'

/** A connection on which the hub has said WELCOME. */
export interface GreetedHub {
  channel: Channel
  welcome: Welcome
  isFederatingHub: boolean
  /** Who hears the channel from now on, beginning in a turn of its own; what has come by then is kept. */
  takeOver(handler: ChannelHandler): void
  /** Ends the connection at once. */
  cut(): void
}

/**
 * Dials a hub and says HELLO. Never rejects. The connection and WELCOME may take `connectTimeoutMs` each; the signal ends
 * the attempt and, later, the connection. Source: federation.md §4, §13.2.
 */
export async function greetHub(
  url: URL,
  options: HubSessionOptions,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<GreetedHub | LinkProblem> {
  if (signal.aborted) return closedHere(url)
  const isTls = url.protocol === 'wss:' || url.protocol === 'tls:'
  const authorities = isTls && options.ca !== undefined ? await hubAuthorities(options.ca) : undefined
  if (signal.aborted) return closedHere(url)
  if (authorities !== undefined && 'kind' in authorities) return authorities
  const hello = helloFrame(options)
  if (!(hello instanceof Uint8Array)) return hello
  return new Promise((resolve) => {
    const greeting = new Greeting(url, options, clock, signal, resolve)
    greeting.dial(hello, authorities)
  })
}

function helloFrame({ isPeer, name, token }: HubSessionOptions): Uint8Array | LinkProblem {
  const features = FEATURES.filter((feature) => isPeer || feature !== 'federation')
  try {
    return encodeFrame({ type: 'HELLO', version: PROTOCOL_VERSION, features, name, token })
  } catch (error) {
    if (!(error instanceof EncodeError)) throw error
    return tokenProblem(error.message)
  }
}

class Greeting implements ChannelHandler {
  private readonly url: URL
  private readonly options: HubSessionOptions
  private readonly clock: Clock
  private readonly resolve: (outcome: GreetedHub | LinkProblem) => void
  private readonly aborter = new AbortController()
  private readonly signal: AbortSignal
  private timer: Timer | undefined
  private channel: Channel | undefined
  private isSettled = false
  private next: ChannelHandler | undefined
  /** What came after WELCOME and before `next` hears it. */
  private readonly held: Uint8Array[] = []
  private close: { reason: string; isViolation: boolean } | undefined

  constructor(
    url: URL,
    options: HubSessionOptions,
    clock: Clock,
    signal: AbortSignal,
    resolve: (outcome: GreetedHub | LinkProblem) => void,
  ) {
    this.url = url
    this.options = options
    this.clock = clock
    this.signal = signal
    this.resolve = resolve
    signal.addEventListener('abort', this.onAbort, { once: true })
  }

  async dial(hello: Uint8Array, ca: string[] | undefined): Promise<void> {
    this.limit('connection')
    try {
      this.channel = await openChannel(this.url, this, this.aborter.signal, { ca })
    } catch (error) {
      this.fail(dialProblem(error, this.url))
      return
    }
    this.limit('welcome')
    this.channel.send(hello)
  }

  onAlive(): void {
    this.next?.onAlive?.()
  }

  onFrames(bytes: Uint8Array): void {
    if (this.next !== undefined) {
      this.next.onFrames(bytes)
      return
    }
    for (let at = 0; at < bytes.length; ) {
      if (this.isSettled) {
        this.held.push(bytes.slice(at))
        return
      }
      const frame = decodeFrame(bytes, at)
      if (frame instanceof DecodeError) {
        this.fail(gibberish(frame.reason, false, this.url))
        return
      }
      const length = frameLength(bytes, at, bytes.length)
      this.receive(frame.message, bytes, at + length - frame.payloadLength)
      at += length
    }
  }

  onClose(reason: string, isViolation: boolean): void {
    this.signal.removeEventListener('abort', this.onAbort)
    this.close = { reason, isViolation }
    if (this.next !== undefined) this.next.onClose(reason, isViolation)
    else this.fail(isViolation ? gibberish(reason, false, this.url) : closedByHub(reason, false, this.url))
  }

  private receive(message: Message, bytes: Uint8Array, payloadAt: number): void {
    switch (message.type) {
      case 'WELCOME': {
        this.welcome(message, hasHubBit(bytes, payloadAt) || message.features.includes('federation'))
        return
      }
      case 'ERROR':
        this.fail(helloProblem(message, this.options.token !== undefined, this.url))
    }
  }

  private welcome(welcome: Welcome, isFederatingHub: boolean): void {
    this.timer?.cancel()
    this.isSettled = true
    this.resolve({
      channel: this.channel as Channel,
      welcome,
      isFederatingHub,
      takeOver: (handler) => this.clock.afterTurn(() => this.handOver(handler)),
      cut: () => this.aborter.abort(),
    })
  }

  private handOver(handler: ChannelHandler): void {
    this.next = handler
    for (const bytes of this.held.splice(0)) handler.onFrames(bytes)
    if (this.close !== undefined) handler.onClose(this.close.reason, this.close.isViolation)
  }

  private fail(problem: LinkProblem): void {
    if (this.isSettled) return
    this.isSettled = true
    this.timer?.cancel()
    this.signal.removeEventListener('abort', this.onAbort)
    this.aborter.abort()
    this.resolve(problem)
  }

  private limit(stage: 'connection' | 'welcome'): void {
    this.timer?.cancel()
    const { connectTimeoutMs } = this.options
    this.timer = this.clock.timer(connectTimeoutMs, () => this.fail(silentHub(stage, connectTimeoutMs, this.url)))
  }

  private readonly onAbort = (): void => {
    this.fail(closedHere(this.url))
    this.aborter.abort()
  }
}
