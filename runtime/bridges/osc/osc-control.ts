import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { BridgeContext } from '../bridge.ts'
import type { OscDirectory } from './osc-directory.ts'
import { EXACT } from './osc-encoder.ts'
import type { OscOptions } from './osc-kind.ts'
import { isOscPattern } from './osc-names.ts'
import type { OscOutbound } from './osc-outbound.ts'
import type { OscMessage } from './osc-packet.ts'
import { OscPattern } from './osc-pattern.ts'
import type { OscPeer } from './osc-peer.ts'

const PREFIX = '/clasp/'
/** What bridges answer: were it answered, two of them would go on without end. */
const ANSWERS = ['/clasp/error', '/clasp/pong']

/** Addresses that are no signals but requests. */
export function isControl(oscAddress: string): boolean {
  return oscAddress.startsWith(PREFIX)
}

/**
 * Requests of peers; patterns are OSC addresses or patterns.
 *
 * | request | arguments | answer |
 * |---|---|---|
 * | /clasp/subscribe | pattern, [updates a second] | the values that are there, then every change |
 * | /clasp/unsubscribe | pattern | – |
 * | /clasp/get | pattern | the values |
 * | /clasp/reply | port | answers and values go there from now on |
 * | /clasp/auth | token | /clasp/auth T or F |
 * | /clasp/ping | any | /clasp/pong with the same |
 * | /clasp/challenge | number | /clasp/prove with the same |
 * | /clasp/prove | number of a challenge | what was held back |
 *
 * What is refused is answered with /clasp/error and two texts: the request, and what is wrong. Source: bridges.md §3.4.
 */
export class OscControl {
  private readonly context: BridgeContext<OscOptions>
  private readonly directory: OscDirectory
  private readonly outbound: OscOutbound
  private readonly onSubscribed: () => void

  constructor(
    context: BridgeContext<OscOptions>,
    directory: OscDirectory,
    outbound: OscOutbound,
    onSubscribed: () => void,
  ) {
    this.context = context
    this.directory = directory
    this.outbound = outbound
    this.onSubscribed = onSubscribed
  }

  handle(peer: OscPeer, { address, value }: OscMessage): void {
    const [first, second] = value.type === 'array' ? value.value : [value]
    const text = first?.type === 'string' ? first.value : undefined
    if (ANSWERS.includes(address) || (address === '/clasp/auth' && text === undefined)) return
    const problem = this.answer(peer, address.slice(PREFIX.length), value, text, first, second)
    if (problem === undefined) return
    this.context.counters.inDropped++
    this.outbound.answer(peer, '/clasp/error', texts(address, problem))
  }

  /** What is wrong with the request; undefined: nothing. */
  private answer(
    peer: OscPeer,
    request: string,
    value: Value,
    text: string | undefined,
    first: Value | undefined,
    second: Value | undefined,
  ): string | undefined {
    switch (request) {
      case 'subscribe':
        return text === undefined ? 'expected a pattern' : this.subscribe(peer, text, numberOf(second) ?? 0)
      case 'unsubscribe':
        if (text === undefined || !peer.unsubscribe(text)) return 'there is no such subscription'
        this.onSubscribed()
        return undefined
      case 'get':
        return text === undefined ? 'expected an address or a pattern' : this.get(peer, text)
      case 'reply':
        return this.reply(peer, numberOf(first))
      case 'auth':
        // Who gets here is welcome already.
        this.outbound.answer(peer, '/clasp/auth', { type: 'bool', value: true })
        return undefined
      case 'ping':
        this.outbound.answer(peer, '/clasp/pong', value)
        return undefined
      case 'challenge':
        // No longer than what asked for it.
        if (numberOf(value) !== undefined) this.outbound.answer(peer, '/clasp/prove', value, EXACT)
        return undefined
      case 'prove':
        return this.prove(peer, numberOf(first))
      default:
        return 'expected subscribe, unsubscribe, get, reply, auth, ping or prove'
    }
  }

  private subscribe(peer: OscPeer, text: string, maxRate: number): string | undefined {
    const pattern = text.startsWith('/') ? OscPattern.parse(text) : undefined
    if (pattern === undefined) return `${text} is no pattern`
    if (!(maxRate >= 0 && maxRate <= 1000)) return 'expected 0 to 1000 updates a second'
    if (!peer.subscribe(text, pattern, maxRate)) return 'too many subscriptions'
    this.onSubscribed()
    peer.refresh(this.params(text))
    return undefined
  }

  private get(peer: OscPeer, text: string): string | undefined {
    const addresses = this.params(text)
    if (addresses.length === 0) return `there is no value at ${text}`
    peer.refresh(addresses)
    return undefined
  }

  private reply(peer: OscPeer, port: number | undefined): string | undefined {
    if (port === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return 'expected a port'
    if (!peer.link.setPort?.(port)) return 'only over UDP'
    return undefined
  }

  /** What was held back is told as it is now. */
  private prove(peer: OscPeer, number: number | undefined): string | undefined {
    const { link } = peer
    if (!link.isDoubtful) return undefined
    if (number === undefined || !link.prove?.(number)) return 'expected the number of the last challenge'
    peer.resume()
    peer.refreshAll(this.directory.params())
    for (const pattern of peer.subscribed) peer.refresh(this.params(pattern))
    return undefined
  }

  private params(text: string): string[] {
    const entries = isOscPattern(text) ? this.directory.matching(text) : [this.directory.knownOsc(text)]
    return (entries ?? []).flatMap((entry) => (entry?.value === undefined ? [] : [entry.address]))
  }
}

function numberOf(value: Value | undefined): number | undefined {
  return value !== undefined && (value.type === 'i64' || value.type === 'f64') ? Number(value.value) : undefined
}

function texts(...values: string[]): Value {
  return { type: 'array', value: values.map((value) => ({ type: 'string', value })) }
}
