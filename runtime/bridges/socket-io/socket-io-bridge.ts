import type { OpenBridge } from '../bridge.ts'
import { connectSocketIo } from './socket-io-connection.ts'
import type { SocketIoOptions } from './socket-io-kind.ts'
import { serveSocketIo } from './socket-io-server.ts'

/** The bridge of Socket.IO, in either role. Source: bridges.md §13. */
export const openSocketIo: OpenBridge<SocketIoOptions> = (context) =>
  context.options.mode === 'server' ? serveSocketIo(context) : connectSocketIo(context)
