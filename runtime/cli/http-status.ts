import type { IncomingMessage } from 'node:http'
import { get as getHttp } from 'node:http'
import { parseRouterUrl } from '../client/router-url.ts'
import type { StatusReport } from '../observability/status.ts'

const MAX_BODY_BYTES = 16_777_216

/** What a router of this kind says of itself at `/status`; undefined when there is no such page. Never rejects. */
export async function fetchStatus(routerUrl: string, timeoutMs: number): Promise<StatusReport | undefined> {
  const { protocol, hostname, port } = parseRouterUrl(routerUrl)
  const isSecure = protocol === 'wss:' || protocol === 'tls:'
  const get = isSecure ? (await import('node:https')).get : getHttp
  const url = `${isSecure ? 'https' : 'http'}://${hostname}:${port || (isSecure ? 443 : 80)}/status`
  return new Promise((resolve) => {
    const request = get(url, { timeout: timeoutMs, agent: false }, (response) => {
      readReport(response).then(resolve, () => resolve(undefined))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined))
  })
}

async function readReport(response: IncomingMessage): Promise<StatusReport | undefined> {
  let body = ''
  response.setEncoding('utf8')
  for await (const chunk of response) {
    body += chunk
    if (body.length > MAX_BODY_BYTES) return undefined
  }
  if (response.statusCode !== 200) return undefined
  const report: unknown = JSON.parse(body)
  return isReport(report) ? report : undefined
}

function isReport(report: unknown): report is StatusReport {
  if (typeof report !== 'object' || report === null) return false
  return ['name', 'router', 'sessions', 'process', 'rates', 'queues'].every((key) => key in report)
}
