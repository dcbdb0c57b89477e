import { addressProblem } from '../../../firmware-protocol/wire/address.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Timer } from '../../router/clock.ts'
import { JsonPath } from '../../routes/json-path.ts'
import type { BridgeContext } from '../bridge.ts'
import { jsonFromValue, valueFromJson } from '../json-value.ts'
import type { HttpClientOptions, PollOptions } from './http-client-kind.ts'
import type { WebClient } from './web-client.ts'

/** Signals of one answer that are taken; the rest is counted. */
const MAX_SIGNALS = 4096

export interface PollParts {
  readonly context: BridgeContext<HttpClientOptions>
  readonly client: WebClient
  /** What is wrong at the moment, '' when all is well. */
  tell(reason: string): void
}

/** Asks one URL again and again, and sets what has changed in the answers. Source: bridges.md §11.1 (client), §11.4. */
export class Poll {
  private readonly options: PollOptions
  private readonly parts: PollParts
  private readonly path: JsonPath
  /** JSON by address, of what was set last. */
  private readonly last = new Map<string, string>()
  private tag: string | undefined
  private timer: Timer | null = null
  private isStopped = false

  constructor(options: PollOptions, parts: PollParts) {
    this.options = options
    this.parts = parts
    const path = JsonPath.parse(options.select)
    // The configuration has checked it.
    if (typeof path === 'string') throw new RangeError(`${options.select}: ${path}`)
    this.path = path
  }

  start(): void {
    void this.ask()
  }

  stop(): void {
    this.isStopped = true
    this.timer?.cancel()
  }

  private async ask(): Promise<void> {
    const { url, headers, timeout, every } = this.options
    const { client, context, tell } = this.parts
    const condition = this.tag === undefined ? [] : [`If-None-Match: ${this.tag}`]
    let reason = ''
    try {
      const accept = 'Accept: application/json'
      const request = { method: 'GET', url, headers: [accept, ...condition, ...headers], timeoutMs: timeout }
      const { status, headers: told, text } = await client.send(request)
      if (this.isStopped) return
      if (status >= 200 && status < 300) {
        // What could not be used is asked for again.
        this.tag = undefined
        this.take(text)
        this.tag = told.etag
      } else if (status !== 304) {
        reason = `it answers ${status}`
      }
    } catch (error) {
      if (this.isStopped) return
      reason = (error as Error).message
    }
    if (reason !== '') {
      reason = `${new URL(url).host}: ${reason}: check url and server`
      context.counters.inDropped++
      context.problem('poll', reason)
    }
    tell(reason)
    this.timer = context.clock.timer(every, () => void this.ask())
  }

  /** Throws when the answer is not what was expected. */
  private take(text: string): void {
    const { address } = this.options
    const whole = valueFromJson(text)
    if (whole === undefined) throw new Error('the answer is not JSON')
    const found = this.path.select(whole)
    if (found.length === 0 && this.path.isSingular) throw new Error(`the answer has nothing at ${this.options.select}`)
    const value: Value = this.path.isSingular ? found[0] : { type: 'array', value: found }
    if (address !== undefined) this.set(address, value)
    else this.takeSignals(value)
  }

  private takeSignals(value: Value): void {
    const { namespace, counters } = this.parts.context
    const list = member(value, 'signals')
    const signals = list?.type === 'array' ? list.value : [value]
    counters.inDropped += Math.max(0, signals.length - MAX_SIGNALS)
    let taken = 0
    for (const signal of signals.slice(0, MAX_SIGNALS)) {
      const [address, inner] = [member(signal, 'address'), member(signal, 'value')]
      if (address?.type !== 'string' || inner === undefined || addressProblem(address.value) !== undefined) {
        counters.inDropped++
        continue
      }
      taken++
      this.set(`${namespace}${address.value}`, inner)
    }
    if (taken === 0 && signals.length > 0)
      throw new Error('the answer has neither {"address", "value"} nor {"signals": […]}: name an address')
  }

  private set(address: string, value: Value): void {
    const text = jsonFromValue(value)
    if (this.last.get(address) === text) return
    if (this.last.size >= MAX_SIGNALS && !this.last.has(address)) this.last.clear()
    this.last.set(address, text)
    this.parts.context.router.set(address, value)
  }
}

function member(value: Value, name: string): Value | undefined {
  return value.type === 'map' ? value.value.findLast(([key]) => key === name)?.[1] : undefined
}
