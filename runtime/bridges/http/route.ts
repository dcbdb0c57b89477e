import type { IncomingHttpHeaders } from 'node:http'
import type { Scopes } from '../scopes.ts'
import type { SchemaName } from './schemas.ts'

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** One request on its way through a route. */
export interface Call {
  /** What the path has in the place of `{address}` or `{pattern}`, with a slash in front; '' when there is none. */
  readonly rest: string
  readonly query: URLSearchParams
  /** Scheme, host and port that were asked for; any text. */
  readonly origin: string
  readonly headers: IncomingHttpHeaders
  readonly scopes: Scopes
  /** Rejects with an HttpError when the body is too long or of another type. */
  body(): Promise<string>
  /** Takes the response over, for an answer that goes on. */
  stream(): import('node:http').ServerResponse
}

export interface Answer {
  readonly status: number
  readonly text: string
  /** Default: JSON. */
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

export type ParameterName =
  | 'pattern'
  | 'patterns'
  | 'address'
  | 'types'
  | 'snapshot'
  | 'maxRate'
  | 'token'
  | 'time'
  | 'bytes'
  | 'ifMatch'
  | 'ifNoneMatch'
  | 'lastEventId'

/** A method at a path: what it does, and what is said of it in the OpenAPI description. */
export interface Route {
  readonly method: Method
  /** Ends with `{address}` or `{pattern}` when there may be more, slashes included. */
  readonly path: string
  readonly summary: string
  readonly parameters?: readonly ParameterName[]
  readonly body?: SchemaName
  /** By status: of the answer when all is well. */
  readonly answers: Readonly<Record<number, SchemaName | 'none'>>
  /** Type of these answers. Default: JSON. */
  readonly types?: readonly string[]
  /** As the reference implementation: `{"error": "<text>", "address": …}`. */
  readonly hasPlainErrors?: boolean
  /** Undefined: the response was taken over. */
  handle(call: Call): Promise<Answer | undefined> | Answer
}

export function json(status: number, text: string, headers?: Readonly<Record<string, string>>): Answer {
  return { status, text, headers }
}

interface Place {
  /** Up to the variable part, or whole. */
  readonly prefix: string
  readonly hasRest: boolean
  readonly routes: Map<Method, Route>
}

/** Finds routes: the longest path that fits counts, a whole one before one with a variable part. */
export class RouteTable {
  readonly routes: readonly Route[]
  private readonly places: readonly Place[]

  constructor(routes: readonly Route[]) {
    this.routes = routes
    const places = new Map<string, Place>()
    for (const route of routes) {
      const at = route.path.indexOf('{')
      const prefix = at < 0 ? route.path : route.path.slice(0, at)
      const place = places.get(route.path) ?? { prefix, hasRest: at >= 0, routes: new Map<Method, Route>() }
      place.routes.set(route.method, route)
      places.set(route.path, place)
    }
    this.places = [...places.values()].sort((a, b) => b.prefix.length - a.prefix.length)
  }

  /** By the path as it was sent; `rest` is still encoded, and has no slash in front. */
  find(path: string): { routes: ReadonlyMap<Method, Route>; rest: string | undefined } | undefined {
    const whole = this.places.find(({ prefix, hasRest }) => !hasRest && prefix === path)
    if (whole !== undefined) return { routes: whole.routes, rest: undefined }
    const place = this.places.find(({ prefix, hasRest }) => hasRest && path.startsWith(prefix))
    return place && { routes: place.routes, rest: path.slice(place.prefix.length) }
  }
}
