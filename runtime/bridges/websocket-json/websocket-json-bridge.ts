import type { OpenBridge } from '../bridge.ts'
import { connectJson } from './json-connection.ts'
import { serveJson } from './json-server.ts'
import type { WebsocketJsonOptions } from './websocket-json-kind.ts'

/** The bridge of WebSockets that speak JSON, in either role. Source: bridges.md §12. */
export const openWebsocketJson: OpenBridge<WebsocketJsonOptions> = (context) =>
  context.options.mode === 'server' ? serveJson(context) : connectJson(context)
