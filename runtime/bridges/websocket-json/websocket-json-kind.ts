import { checkedText, list, object, oneOf, optional, text, type ValueOf, whole } from '../../config/fields.ts'
import { secret } from '../../config/secret.ts'
import { defineBridge } from '../bridge.ts'
import { placeProblem, webPlaceOptions } from '../web-place.ts'

const options = object('WebSockets that speak JSON or MessagePack instead of CLASP.', {
  mode: oneOf({
    description: 'Waits for clients, or connects to a server.',
    fallback: 'server',
    values: ['server', 'client'],
  }),
  ...webPlaceOptions,
  path: checkedText({
    description: 'Of a server: where it answers.',
    fallback: '/json',
    expected: 'a path such as /json',
    check: (value) => (value.startsWith('/') ? undefined : 'a path starts with a slash'),
  }),
  origins: list({
    description: 'Of a server: origins of web pages that may connect, such as https://example.org; none = all.',
    of: text({ description: 'An origin.', fallback: '' }),
  }),
  token: optional(
    secret({ description: 'Of a server: what clients have to give (?token=, Authorization: Bearer, or auth).' }),
  ),
  maxClients: whole({ description: 'Of a server: clients at a time.', fallback: 256, min: 1, max: 10_000 }),
  maxMessage: whole({
    description: 'Longer messages end a connection.',
    unit: 'bytes',
    fallback: 262_144,
    min: 1024,
    max: 16_777_216,
  }),
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
  check: (given) => {
    if (given.mode === 'server') return placeProblem(given, given.path)
    return given.url === undefined ? 'mode: client needs a url' : undefined
  },
  takesRules: ({ mode }) => mode === 'client',
  load: () => import('./websocket-json-bridge.ts').then(({ openWebsocketJson }) => openWebsocketJson),
})
