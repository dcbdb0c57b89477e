import { artNet } from './artnet/artnet-kind.ts'
import type { BridgeKind } from './bridge.ts'
import { dmx } from './dmx/dmx-kind.ts'
import { http } from './http/http-kind.ts'
import { httpClient } from './http-client/http-client-kind.ts'
import { midi } from './midi/midi-kind.ts'
import { mqttBroker } from './mqtt-broker/mqtt-broker-kind.ts'
import { mqttClient } from './mqtt-client/mqtt-client-kind.ts'
import { osc } from './osc/osc-kind.ts'
import { sacn } from './sacn/sacn-kind.ts'
import { socketIo } from './socket-io/socket-io-kind.ts'
import { websocketJson } from './websocket-json/websocket-json-kind.ts'

/** The protocols: one line each. Their code and libraries are loaded when a bridge of the kind is opened, not here. */
export const bridgeKinds: readonly BridgeKind[] = [
  osc,
  midi,
  dmx,
  mqttClient,
  mqttBroker,
  websocketJson,
  socketIo,
  http,
  httpClient,
  artNet,
  sacn,
]
