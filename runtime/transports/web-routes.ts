import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { HttpRoute } from './http-surface.ts'

export type UpgradeRoute = (request: IncomingMessage, socket: Socket, head: Buffer) => void

/** What the port's HTTP answers, by path. A path that ends with a slash stands for all below it; the longest one counts. */
export class WebRoutes {
  private readonly routes = new Map<string, HttpRoute>()
  private readonly upgrades = new Map<string, UpgradeRoute>()

  constructor(routes: Iterable<readonly [string, HttpRoute]> = []) {
    for (const [path, route] of routes) this.routes.set(path, route)
  }

  /** Throws when somebody has the path already. Returns a function that gives it up. */
  route(path: string, handler: HttpRoute): () => void {
    return claim(this.routes, path, handler)
  }

  /** A WebSocket at this path is not CLASP. Throws and returns as `route`. */
  upgrade(path: string, handler: UpgradeRoute): () => void {
    return claim(this.upgrades, path, handler)
  }

  find(path: string): HttpRoute | undefined {
    return lookUp(this.routes, path)
  }

  findUpgrade(path: string): UpgradeRoute | undefined {
    return lookUp(this.upgrades, path)
  }
}

function claim<T>(map: Map<string, T>, path: string, handler: T): () => void {
  if (map.has(path)) throw new Error(`the path ${path} is taken already: give one of the two another path`)
  map.set(path, handler)
  return () => {
    if (map.get(path) === handler) map.delete(path)
  }
}

function lookUp<T>(map: ReadonlyMap<string, T>, path: string): T | undefined {
  const exact = map.get(path)
  if (exact !== undefined) return exact
  for (let at = path.lastIndexOf('/'); at >= 0; at = at === 0 ? -1 : path.lastIndexOf('/', at - 1)) {
    const found = map.get(path.slice(0, at + 1))
    if (found !== undefined) return found
  }
  return undefined
}
