import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PartReports } from '../router/part-report.ts'
import type { RouterStats, SessionStats } from '../router/stats.ts'
import { prometheusText, type TransportCounters } from './metrics.ts'
import type { Sampler } from './sampler.ts'
import { statusReport } from './status.ts'

export type ObservabilityRoute = (request: IncomingMessage, response: ServerResponse) => void

/** Where the pages take their figures from; asked anew for every request. */
export interface ObservedRuntime {
  version: string
  sampler: Sampler
  stats(): RouterStats
  sessions(): Iterable<SessionStats>
  transports(): Readonly<Record<string, TransportCounters>>
  parts(): PartReports
  /** URLs to connect to. */
  addresses(): readonly string[]
  /** All listeners are open, and no stop is under way. */
  isReady(): boolean
}

/** `/metrics`, `/status`, `/healthz`, `/readyz` by exact path. Bodies of the last two: router reference §19.2. */
export function observabilityRoutes(runtime: ObservedRuntime): Map<string, ObservabilityRoute> {
  return new Map([
    [
      '/metrics',
      page('text/plain; version=0.0.4; charset=utf-8', () => {
        const { version, sampler } = runtime
        const extra = {
          version,
          sessions: [...runtime.sessions()],
          transports: runtime.transports(),
          parts: runtime.parts(),
        }
        return [200, prometheusText(runtime.stats(), { ...extra, sample: sampler.last })]
      }),
    ],
    [
      '/status',
      page('application/json; charset=utf-8', () => {
        const report = statusReport({
          version: runtime.version,
          isReady: runtime.isReady(),
          addresses: runtime.addresses(),
          stats: runtime.stats(),
          sessions: [...runtime.sessions()],
          transports: runtime.transports(),
          parts: runtime.parts(),
          sample: runtime.sampler.last,
        })
        return [200, `${JSON.stringify(report)}\n`]
      }),
    ],
    ['/healthz', page('text/plain; charset=utf-8', () => [200, 'ok\n'])],
    ['/readyz', page('text/plain; charset=utf-8', () => (runtime.isReady() ? [200, 'ready\n'] : [503, 'not ready\n']))],
  ])
}

function page(contentType: string, render: () => [status: number, body: string]): ObservabilityRoute {
  return (request, response) => {
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const [status, body] = isRead ? render() : [405, 'only GET and HEAD are supported here\n']
    if (!isRead) response.setHeader('Allow', 'GET, HEAD')
    response.writeHead(status, {
      'Content-Type': isRead ? contentType : 'text/plain; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
}
