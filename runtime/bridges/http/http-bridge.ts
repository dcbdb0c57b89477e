import type { OpenBridge } from '../bridge.ts'
import { ScopeTable } from '../scopes.ts'
import { openWebPlace } from '../web-place.ts'
import { collectionRoutes } from './collection-routes.ts'
import { Cors } from './cors.ts'
import { documentRoutes } from './document-routes.ts'
import { EventFeeds } from './event-feeds.ts'
import { eventRoutes } from './event-routes.ts'
import { healthRoute } from './health-route.ts'
import type { HttpOptions } from './http-kind.ts'
import { HttpService } from './http-service.ts'
import { LastingClient } from './lasting-client.ts'
import { RemovedParams } from './removed-params.ts'
import { RequestHandler } from './request-handler.ts'
import { RequestRate } from './request-rate.ts'
import { RouteTable } from './route.ts'
import { stateRoutes } from './state-routes.ts'
import { upstreamRoutes } from './upstream-routes.ts'

const PATHS = ['/v1', '/v1/', '/api/']

/** REST and Server-Sent Events. Rejects with an error that names port or path when somebody has it. Source: bridges.md §11. */
export const openHttp: OpenBridge<HttpOptions> = async (context) => {
  const { options, clock, counters } = context
  const client = new LastingClient(() => context.openClient(context.id))
  const service = new HttpService({
    client,
    removed: new RemovedParams(),
    counters,
    clock,
    announced: (pattern) => context.announced(pattern),
  })
  const feeds = new EventFeeds({
    service,
    clock,
    counters,
    maxStreams: options.maxStreams,
    openClient: () => context.openClient(`${context.id} events`),
    setPeers: (count) => context.setPeers(count),
  })
  const handler = new RequestHandler({
    table: new RouteTable(
      documentRoutes(service, [
        healthRoute(service, options.requiredBridges),
        ...stateRoutes(service),
        ...collectionRoutes(service),
        ...eventRoutes(service, feeds),
        ...upstreamRoutes(service, { namespace: options.legacyNamespace ? context.namespace : '' }),
      ]),
    ),
    cors: new Cors(options.origins),
    hosts: options.hosts,
    rate: new RequestRate(clock, options.requestsPerSecond, options.burst),
    scopes: new ScopeTable(options),
    maxBody: options.maxBody,
    counters,
    onFault: (error) => {
      context.problem('fault', error.message)
      context.log.error(`bridge ${context.id}: a request failed`, { error: error.message, stack: error.stack })
    },
  })
  const place = await openWebPlace(context, options)
  const claims: (() => void)[] = []
  const stop = async () => {
    for (const giveUp of claims) giveUp()
    await feeds.stop()
    await client.close()
    await place.stop()
  }
  try {
    // At a port of its own it also says where all else is not.
    for (const path of place.port === 0 ? PATHS : [...PATHS, '/'])
      claims.push(
        place.surface.route(path, (request, response, keepOpen) => void handler.handle(request, response, keepOpen)),
      )
  } catch (error) {
    await stop()
    throw new Error(`${(error as Error).message}, or a port of its own (listen)`)
  }
  return { stop }
}
