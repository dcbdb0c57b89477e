import { checkedText, flag, list, object, oneOf, optional, required, text, type ValueOf } from '../../config/fields.ts'
import { secret } from '../../config/secret.ts'
import { defineBridge } from '../bridge.ts'
import { isWebClient, webClientOptions, webClientProblem } from '../web-client-options.ts'

const signal = { values: ['param', 'event'] as const }

const namespaceName = (description: string, fallback: string) =>
  checkedText({
    description,
    fallback,
    expected: 'a Socket.IO namespace such as /stage',
    check: (value) => (/^\/[^\s?#]*$/.test(value) ? undefined : 'it starts with a slash'),
  })

const options = object('Socket.IO version 4.', {
  ...webClientOptions('auth: {token}'),
  path: checkedText({
    description: 'Path of the protocol itself.',
    fallback: '/socket.io/',
    expected: 'a path such as /socket.io/',
    check: (value) => (/^\/\S*\/$/.test(value) ? undefined : 'it starts and ends with a slash'),
  }),
  token: optional(
    secret({
      description: 'What clients have to give as auth: {token}, which allows everything; of a client: what it gives.',
    }),
  ),
  sioNamespaces: list({
    description: 'Socket.IO namespaces: those of a server, the first one of a client; none = just "/".',
    of: namespaceName('A namespace.', '/'),
  }),
  url: optional(
    checkedText({
      description: 'Of a client: the server.',
      fallback: '',
      expected: 'a URL such as http://example.org:3000',
      check: (value) => (/^(https?|wss?):\/\/\S+$/.test(value) ? undefined : 'it starts with http:// or https://'),
    }),
  ),
  events: list({
    description: 'Of a client: events that come in; none = all.',
    of: text({ description: 'Name of an event.', fallback: '' }),
  }),
  defaultSignal: oneOf({ description: 'What foreign events become.', fallback: 'param', ...signal }),
  signals: list({
    description: 'Events that become something else.',
    of: object('One event.', {
      event: required(text({ description: 'Its name.', fallback: '' })),
      signal: oneOf({ description: 'What it becomes.', fallback: 'event', ...signal }),
    }),
  }),
  acks: flag({
    description: 'Of a client: asks for acknowledgements, which come in below <event>/ack.',
    fallback: false,
  }),
})

export type SocketIoOptions = ValueOf<typeof options>

export const socketIo = defineBridge<SocketIoOptions>({
  kind: 'socket-io',
  description: 'Socket.IO version 4, for web pages that speak it.',
  namespace: '/socketio',
  options,
  check: webClientProblem,
  takesRules: isWebClient,
  load: () => import('./socket-io-bridge.ts').then(({ openSocketIo }) => openSocketIo),
})
