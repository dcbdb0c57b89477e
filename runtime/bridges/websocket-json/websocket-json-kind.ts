import { checkedText, list, object, oneOf, optional, type ValueOf } from '../../config/fields.ts'
import { secret } from '../../config/secret.ts'
import { defineBridge } from '../bridge.ts'
import { isWebClient, webClientOptions, webClientProblem } from '../web-client-options.ts'

const HOW = '?token=, Authorization: Bearer, or auth'

const options = object('WebSockets that speak JSON or MessagePack instead of CLASP.', {
  ...webClientOptions(HOW),
  path: checkedText({
    description: 'Of a server: where it answers.',
    fallback: '/json',
    expected: 'a path such as /json',
    check: (value) => (value.startsWith('/') ? undefined : 'a path starts with a slash'),
  }),
  token: optional(secret({ description: `Of a server: what clients have to give (${HOW}); it allows everything.` })),
  url: optional(
    checkedText({
      description: 'Of a client: the server.',
      fallback: '',
      expected: 'a URL such as wss://example.org/json',
      check: (value) => (/^wss?:\/\/\S+$/.test(value) ? undefined : 'it starts with ws:// or wss://'),
    }),
  ),
  headers: list({
    description: 'Of a client: headers of its request.',
    of: checkedText({
      description: 'A header.',
      fallback: '',
      expected: 'a header such as "X-Room: 5"',
      check: (value) => (/^[\w-]+:\s?[^\r\n]*$/.test(value) ? undefined : 'it has no colon'),
    }),
  }),
  format: oneOf({
    description: 'Of a client: what it speaks. Clients of a server choose by their sub-protocol.',
    fallback: 'json',
    values: ['json', 'msgpack'],
  }),
})

export type WebsocketJsonOptions = ValueOf<typeof options>

export const websocketJson = defineBridge<WebsocketJsonOptions>({
  kind: 'websocket-json',
  description: 'WebSockets that speak JSON or MessagePack, for web pages that do not speak CLASP.',
  namespace: '/ws',
  options,
  check: webClientProblem,
  takesRules: isWebClient,
  load: () => import('./websocket-json-bridge.ts').then(({ openWebsocketJson }) => openWebsocketJson),
})
