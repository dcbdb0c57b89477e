import { DEFAULT_PORT } from '../../firmware-protocol/wire/constants.ts'
import { ClientError } from './client-error.ts'

export const DEFAULT_URL = `ws://127.0.0.1:${DEFAULT_PORT}/clasp`

const SCHEMES = ['ws:', 'wss:', 'tcp:', 'tls:']

/**
 * Where a router is: `ws://host:port/path`, `wss://…`, `tcp://host:port`, `tls://host:port` (CLASP over TLS), or just
 * `host` or `host:port` for WebSocket. Throws a ClientError for anything else.
 */
export function parseRouterUrl(text: string): URL {
  const remedy = 'expected for example ws://192.168.1.20:7330, wss://host/clasp, tcp://host:7330, or just host:port'
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  let url: URL
  try {
    url = new URL(hasScheme ? text : `ws://${text}`)
  } catch {
    throw new ClientError('url', `"${text}" is not an address of a router`, remedy)
  }
  if (!SCHEMES.includes(url.protocol) || url.hostname === '') {
    throw new ClientError('url', `"${text}" is not an address of a router`, remedy)
  }
  const isStream = url.protocol === 'tcp:' || url.protocol === 'tls:'
  // An explicit ws: or wss: keeps the ports of the web, where proxies answer.
  if (url.port === '' && (isStream || (!hasScheme && !text.endsWith(':80')))) url.port = String(DEFAULT_PORT)
  if (!isStream && (url.pathname === '' || url.pathname === '/')) url.pathname = '/clasp'
  return url
}
