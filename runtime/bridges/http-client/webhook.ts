import { createHmac } from 'node:crypto'
import { BackOff } from '../../client/back-off.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { BridgeContext, Update } from '../bridge.ts'
import { OutboundQueue } from '../outbound-queue.ts'
import { LocalTargetError } from './guarded-address.ts'
import type { HttpClientOptions, WebhookOptions } from './http-client-kind.ts'
import { fillBody, fillUrl } from './request-template.ts'
import type { WebClient, WebRequest } from './web-client.ts'

const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 30_000
/** A server that asks for more patience than this is not obeyed. */
const MAX_RETRY_AFTER_S = 60

export interface WebhookParts {
  readonly context: BridgeContext<HttpClientOptions>
  readonly client: WebClient
  /** What is wrong at the moment, '' when all is well. */
  tell(reason: string): void
}

/** Sends what one webhook is for. A slow server is waited for by a queue in which params stand with their last value. */
export class Webhook {
  private readonly options: WebhookOptions
  private readonly parts: WebhookParts
  private readonly queue: OutboundQueue
  private readonly clock: Clock
  private readonly retries = new Set<{ timer: Timer; give: (isWanted: boolean) => void }>()
  private running = 0
  private isStopped = false

  constructor(options: WebhookOptions, parts: WebhookParts) {
    this.options = options
    this.parts = parts
    this.clock = parts.context.clock
    this.queue = new OutboundQueue(() => parts.context.counters.outDropped++)
  }

  push(update: Update): void {
    this.queue.push(update)
    this.next()
  }

  stop(): void {
    this.isStopped = true
    this.queue.clear()
    for (const { timer, give } of this.retries) {
      timer.cancel()
      give(false)
    }
  }

  private next(): void {
    while (this.running < this.options.concurrency && !this.isStopped) {
      const update = this.queue.shift()
      if (update === undefined) return
      this.running++
      void this.deliver(update).then(() => {
        this.running--
        this.next()
      })
    }
  }

  private async deliver(update: Update): Promise<void> {
    const { context, tell } = this.parts
    const { random, counters } = context
    const request = this.requestOf(update)
    const host = new URL(request.url).host
    const backOff = new BackOff({ baseMs: FIRST_RETRY_MS, capMs: LAST_RETRY_MS, random })
    for (let left = this.options.retries; ; left--) {
      const outcome = await this.attempt(request)
      if (this.isStopped) return
      if (outcome.reason === '') {
        tell('')
        return
      }
      if (left === 0 || !outcome.mayHelp) {
        counters.outDropped++
        const reason = `${host} did not take ${update.address} (${outcome.reason}): check url and server`
        context.problem('webhook', reason)
        tell(reason)
        return
      }
      if (!(await this.pause(outcome.waitMs ?? backOff.next()))) return
    }
  }

  private async attempt(request: WebRequest): Promise<{ reason: string; mayHelp: boolean; waitMs?: number }> {
    try {
      const { status, headers } = await this.parts.client.send(request)
      if (status >= 200 && status < 300) return { reason: '', mayHelp: false }
      const seconds = Number(headers['retry-after'])
      const isPatient = seconds > 0 && seconds <= MAX_RETRY_AFTER_S
      return {
        reason: status < 400 ? `${status}, redirects are not followed` : String(status),
        // RFC 9110: the others of 4xx will be refused again.
        mayHelp: status === 408 || status === 429 || status >= 500,
        waitMs: isPatient ? seconds * 1000 : undefined,
      }
    } catch (error) {
      return { reason: (error as Error).message, mayHelp: !(error instanceof LocalTargetError) }
    }
  }

  private requestOf({ address, value }: Update): WebRequest {
    const { method, url, headers, body, timeout, secret } = this.options
    const source = { address, value, timeUs: this.clock.wallUs() }
    const hasBody = method !== 'GET' && method !== 'DELETE'
    const text = hasBody ? fillBody(body, source) : undefined
    const signature = secret === undefined ? [] : [signatureHeader(secret, text ?? '')]
    return { method, url: fillUrl(url, source), headers: [...headers, ...signature], body: text, timeoutMs: timeout }
  }

  /** False: it was stopped meanwhile. */
  private pause(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const entry = {
        timer: this.clock.timer(ms, () => {
          this.retries.delete(entry)
          resolve(true)
        }),
        give: resolve,
      }
      this.retries.add(entry)
    })
  }
}

/** As GitHub signs its webhooks, for which many servers have the check ready. */
function signatureHeader(secret: string, body: string): string {
  return `X-Hub-Signature-256: sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}
