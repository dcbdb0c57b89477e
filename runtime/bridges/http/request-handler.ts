import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BridgeCounters } from '../bridge.ts'
import { hostProblem } from '../page-trust.ts'
import type { Scopes, ScopeTable } from '../scopes.ts'
import type { Cors } from './cors.ts'
import { HttpError, httpErrorOf } from './http-error.ts'
import type { RequestRate } from './request-rate.ts'
import type { Answer, Call, Method, Route, RouteTable } from './route.ts'
import { admittedScopes, shownToken } from './shown-token.ts'
import { jsonObject } from './value-form.ts'

/** curl names the form type unless it is told otherwise. */
const BODY_TYPES =
  /^(?:$|application\/(?:[\w.-]+\+)?json\b|text\/(?:json|plain)\b|application\/x-www-form-urlencoded\b)/i
/** Who neither sends nor reads for so long is cut off. */
const IDLE_MS = 30_000
const EVENT_PATHS = /^\/v1\/events$|^\/api\/subscribe\//

export interface HandlerParts {
  readonly table: RouteTable
  readonly cors: Cors
  /** Names of this node. */
  readonly hosts: readonly string[]
  readonly rate: RequestRate
  readonly scopes: ScopeTable
  readonly maxBody: number
  readonly counters: BridgeCounters
  /** A bug; the request was answered with 500. */
  onFault(error: Error): void
}

/** Answers requests: who may ask, what there is, and how refusals look. */
export class RequestHandler {
  private readonly parts: HandlerParts

  constructor(parts: HandlerParts) {
    this.parts = parts
  }

  async handle(request: IncomingMessage, response: ServerResponse, keepOpen: () => void): Promise<void> {
    const { cors, counters, table } = this.parts
    request.socket.setTimeout(IDLE_MS)
    cors.tell(request, response)
    const [path, search = ''] = split(request.url ?? '')
    const found = table.find(path)
    const route = found?.routes.get(methodOf(request) as Method)
    let isTaken = false
    let rest = ''
    try {
      const query = new URLSearchParams(search)
      const scopes = this.admit(request, path, query)
      if (scopes?.owner === undefined) this.checkHost(request)
      if (found === undefined)
        throw new HttpError('not_found', `there is nothing at ${path.slice(0, 200)}: see /v1/ for what there is`)
      const methods = methodsOf(found.routes)
      if (request.method === 'OPTIONS') {
        cors.preflight(request, response, methods)
        answer(request, response, { status: 204, text: '', headers: { Allow: methods.join(', ') } })
        return
      }
      if (route === undefined) throw notAllowed(request, methods)
      if (route.method !== 'GET' && !cors.allows(request))
        throw new HttpError('forbidden', `web pages of ${request.headers.origin} may not write: list it in origins`)
      rest = found.rest === undefined ? '' : `/${decodeRest(found.rest)}`
      const call: Call = {
        rest,
        query,
        origin: originOf(request),
        headers: request.headers,
        scopes: scopes ?? admittedScopes(this.parts.scopes, tokenOf(request, path, query)),
        body: () => readBody(request, this.parts.maxBody),
        stream: () => {
          isTaken = true
          request.socket.setTimeout(0)
          keepOpen()
          return response
        },
      }
      if (request.method === 'HEAD' && route.types?.includes('text/event-stream')) {
        answer(request, response, { status: 200, text: '', type: 'text/event-stream' })
        return
      }
      const result = await route.handle(call)
      if (result !== undefined) answer(request, response, result)
    } catch (error) {
      counters.inDropped++
      if (isTaken) {
        response.destroy()
        return
      }
      const known = httpErrorOf(error, rest === '' ? undefined : rest)
      if (known === undefined) this.parts.onFault(error as Error)
      const shown = known ?? new HttpError('internal', 'the bridge has failed at this request')
      answer(request, response, errorAnswer(shown, route?.hasPlainErrors ?? false))
    }
  }

  /** Throws an HttpError for a name that may be a stranger's. Reading too: pages of one origin ask without saying so. */
  private checkHost(request: IncomingMessage): void {
    const { cors, hosts } = this.parts
    const problem = cors.lists(request) ? undefined : hostProblem(request, hosts)
    if (problem !== undefined) throw new HttpError('misdirected', problem)
  }

  /** Counts the request for its client. Throws an HttpError when there were too many; preflights are not counted. */
  private admit(request: IncomingMessage, path: string, query: URLSearchParams): Scopes | undefined {
    if (request.method === 'OPTIONS') return undefined
    const { rate, scopes } = this.parts
    // Guesses count for the address that they come from.
    const known = scopes.find(tokenOf(request, path, query))
    const seconds = rate.take(known?.owner ?? request.socket.remoteAddress ?? '')
    if (seconds > 0)
      throw new HttpError('rate_limit', `too many requests: wait ${seconds} s`, undefined, {
        'Retry-After': String(seconds),
      })
    return known
  }
}

function split(url: string): [string, string] {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

function originOf({ socket, headers }: IncomingMessage): string {
  return `${'encrypted' in socket ? 'https' : 'http'}://${headers.host ?? 'localhost'}`
}

function methodOf({ method }: IncomingMessage): string {
  return method === 'HEAD' ? 'GET' : (method ?? '')
}

function methodsOf(routes: ReadonlyMap<Method, Route>): string[] {
  const methods: string[] = [...routes.keys()]
  return [...methods, ...(routes.has('GET') ? ['HEAD'] : []), 'OPTIONS']
}

function notAllowed({ method }: IncomingMessage, methods: readonly string[]): HttpError {
  const allowed = methods.join(', ')
  return new HttpError('method_not_allowed', `${method} is not possible here: expected ${allowed}`, undefined, {
    Allow: allowed,
  })
}

function tokenOf(request: IncomingMessage, path: string, query: URLSearchParams): string | undefined {
  return shownToken(request.headers) ?? (EVENT_PATHS.test(path) ? (query.get('token') ?? undefined) : undefined)
}

function decodeRest(rest: string): string {
  try {
    return decodeURIComponent(rest)
  } catch {
    throw new HttpError('bad_request', 'the path is not percent-encoded UTF-8: a % itself is written %25')
  }
}

/** Rejects with an HttpError when it is of another type or too long, or ends early. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const { 'content-type': type = '', 'content-length': length, 'content-encoding': encoding } = request.headers
  if (!BODY_TYPES.test(type.trim()) || (encoding !== undefined && encoding !== 'identity'))
    throw new HttpError('unsupported_type', 'a body of this type is not read here: expected application/json')
  const tooLong = new HttpError('too_large', `the body is longer than ${maxBytes} bytes`, undefined, {
    Connection: 'close',
  })
  if (Number(length) > maxBytes) throw tooLong
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxBytes) {
        chunks.push(chunk)
        return
      }
      chunks.length = 0
      reject(tooLong)
    })
    request.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    request.once('close', () => reject(new HttpError('bad_request', 'the body ended early')))
  })
}

function errorAnswer({ status, word, message, address, headers }: HttpError, isPlain: boolean): Answer {
  const where = address === undefined ? undefined : JSON.stringify(address)
  const text = isPlain
    ? jsonObject({ error: JSON.stringify(status === 404 ? 'Signal not found' : message), address: where })
    : jsonObject({
        error: jsonObject({ code: JSON.stringify(word), message: JSON.stringify(message), address: where }),
      })
  return { status, text, headers }
}

function answer(request: IncomingMessage, response: ServerResponse, { status, text, type, headers }: Answer): void {
  const hasBody = status !== 204 && status !== 304
  response.writeHead(status, {
    ...(hasBody ? { 'Content-Type': type ?? 'application/json', 'Content-Length': Buffer.byteLength(text) } : {}),
    'Cache-Control': 'no-cache',
    'X-Content-Type-Options': 'nosniff',
    ...mergedVary(response, headers),
  })
  response.end(text)
  // What is left of the body is of no use to anybody.
  request.resume()
}

/** `writeHead` would replace what CORS has said already. */
function mergedVary(response: ServerResponse, headers: Answer['headers'] = {}): Record<string, string> {
  const before = response.getHeader('Vary')
  return headers.Vary === undefined || before === undefined
    ? { ...headers }
    : { ...headers, Vary: `${before}, ${headers.Vary}` }
}
