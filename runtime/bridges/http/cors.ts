import type { IncomingMessage, ServerResponse } from 'node:http'

const ALLOWED_HEADERS = 'Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, X-API-Key'
const EXPOSED_HEADERS = 'ETag, Retry-After'
const PREFLIGHT_SECONDS = '600'

/** Which web pages may ask (Fetch standard, CORS protocol). There are no cookies, so credentials are never allowed. */
export class Cors {
  private readonly origins: readonly string[]

  constructor(origins: readonly string[]) {
    this.origins = origins
  }

  /** Whether all pages may ask, or the one that the request comes from is named. */
  lists({ headers: { origin } }: IncomingMessage): boolean {
    return this.origins.includes('*') || (origin !== undefined && this.origins.includes(origin))
  }

  /** Whether the request comes from a page that may see the answer, or from no page at all. */
  allows(request: IncomingMessage): boolean {
    const { origin, host } = request.headers
    if (origin === undefined || this.lists(request)) return true
    // As the page's own port; an opaque origin has none.
    return host !== undefined && origin.slice(origin.indexOf('//') + 2).toLowerCase() === host.toLowerCase()
  }

  /** Tells the browser, for any kind of request. */
  tell(request: IncomingMessage, response: ServerResponse): void {
    const { origin } = request.headers
    const isForAll = this.origins.includes('*')
    if (!isForAll) response.setHeader('Vary', 'Origin')
    if (origin === undefined || !this.allows(request)) return
    response.setHeader('Access-Control-Allow-Origin', isForAll ? '*' : origin)
    response.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS)
  }

  /** Answers a preflight: the question of a browser whether it may send what the page wants. */
  preflight(request: IncomingMessage, response: ServerResponse, methods: readonly string[]): void {
    if (!this.allows(request) || request.headers.origin === undefined) return
    response.setHeader('Access-Control-Allow-Methods', methods.join(', '))
    response.setHeader('Access-Control-Allow-Headers', ALLOWED_HEADERS)
    response.setHeader('Access-Control-Max-Age', PREFLIGHT_SECONDS)
    // Pages of public sites that ask devices in a private network (Private Network Access, W3C draft).
    if (request.headers['access-control-request-private-network'] === 'true')
      response.setHeader('Access-Control-Allow-Private-Network', 'true')
  }
}
