import type { BridgeKind } from './bridge.ts'
import { socketIo } from './socket-io/socket-io-kind.ts'
import { websocketJson } from './websocket-json/websocket-json-kind.ts'

/** The protocols: one line each. Their code and libraries are loaded when a bridge of the kind is opened, not here. */
export const bridgeKinds: readonly BridgeKind[] = [websocketJson, socketIo]
