import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as SecureAgent } from 'node:https'
import type { Clock } from '../../router/clock.ts'
import { checkTarget, guardedLookup } from './guarded-address.ts'

const MAX_SOCKETS_PER_HOST = 8
const MAX_SOCKETS = 64
const IDLE_MS = 4000

export interface WebRequest {
  readonly method: string
  readonly url: string
  /** `Name: value`. */
  readonly headers: readonly string[]
  readonly body?: string
  readonly timeoutMs: number
}

export interface WebAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** '' when it was not asked for. */
  readonly text: string
}

export interface WebClientOptions {
  readonly clock: Clock
  readonly allowLocal: boolean
  readonly maxAnswerBytes: number
}

/** Sends requests over connections that are kept. Redirects are not followed: they could lead anywhere. */
export class WebClient {
  private readonly options: WebClientOptions
  private readonly agents: { readonly http: Agent; readonly https: SecureAgent }
  private readonly pending = new Set<ClientRequest>()

  constructor(options: WebClientOptions) {
    this.options = options
    const settings = {
      keepAlive: true,
      maxSockets: MAX_SOCKETS_PER_HOST,
      maxTotalSockets: MAX_SOCKETS,
      timeout: IDLE_MS,
    }
    this.agents = { http: new Agent(settings), https: new SecureAgent(settings) }
  }

  /** Rejects when there is no whole answer in time, or none can be asked for. */
  send({ method, url, headers, body, timeoutMs }: WebRequest): Promise<WebAnswer> {
    return new Promise((resolve, reject) => {
      const target = new URL(url)
      const { allowLocal, maxAnswerBytes, clock } = this.options
      if (!allowLocal) checkTarget(target)
      const isSecure = target.protocol === 'https:'
      const settings: RequestOptions = {
        method,
        agent: isSecure ? this.agents.https : this.agents.http,
        headers: { 'User-Agent': 'clasp-edge', ...headersOf(headers, body) },
        lookup: allowLocal ? undefined : guardedLookup,
      }
      const request = (isSecure ? requestHttps : requestHttp)(target, settings)
      // Not as the reason of `destroy`, which would reach the socket, where nobody listens.
      const giveUp = (reason: string) => {
        reject(new Error(reason))
        request.destroy()
      }
      const deadline = clock.timer(timeoutMs, () => giveUp(`no answer within ${timeoutMs / 1000} s`))
      this.pending.add(request)
      request.once('close', () => {
        deadline.cancel()
        this.pending.delete(request)
        reject(new Error('the connection ended before the answer'))
      })
      request.on('error', reject)
      request.once('response', (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size <= maxAnswerBytes) chunks.push(chunk)
          else giveUp(`the answer is longer than ${maxAnswerBytes} bytes (maxAnswer)`)
        })
        response.on('error', reject)
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        })
      })
      request.end(body)
    })
  }

  /** Ends all requests. */
  stop(): void {
    for (const request of this.pending) request.destroy()
    this.agents.http.destroy()
    this.agents.https.destroy()
  }
}

function headersOf(lines: readonly string[], body: string | undefined): Record<string, string | number> {
  const given = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  if (body === undefined) return Object.fromEntries(given)
  return {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...Object.fromEntries(given),
  }
}
