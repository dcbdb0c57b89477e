import { checkedText, list, oneOf, whole } from '../config/fields.ts'
import { type TokenOptions, tokenOptions, tokenProblem } from './scope-options.ts'
import { placeProblem, type WebPlaceOptions, webPlaceOptions } from './web-place.ts'

/** Options of bridges that serve web pages at a WebSocket, or are the client of such a server; `how` peers show tokens. */
export const webClientOptions = (how: string) => ({
  mode: oneOf({
    description: 'Waits for clients, or connects to a server.',
    fallback: 'server',
    values: ['server', 'client'],
  }),
  ...webPlaceOptions,
  origins: list({
    description:
      'Of a server: origins of web pages that may connect, such as https://example.org; "*" = all, "null" = files and sandboxes. None = all where a token is needed; elsewhere pages of this node, of private addresses and local names, and of installed programs. Programs without an origin always may.',
    of: checkedText({
      description: 'An origin.',
      fallback: '',
      expected: 'an origin such as https://example.org, null or *',
      check: (value) =>
        /^(?:\*|null|[a-z][a-z\d+.-]*:\/\/[^/\s]*)$/.test(value)
          ? undefined
          : 'an origin is scheme, host and port, without a path',
    }),
  }),
  maxClients: whole({ description: 'Of a server: clients at a time.', fallback: 256, min: 1, max: 10_000 }),
  maxMessage: whole({
    description: 'Longer messages end a connection.',
    unit: 'bytes',
    fallback: 262_144,
    min: 1024,
    max: 16_777_216,
  }),
  ...tokenOptions(`of a server: ${how}`),
})

interface Given extends Pick<WebPlaceOptions, 'listen'>, Pick<TokenOptions, 'tokens'> {
  readonly mode: 'server' | 'client'
  readonly path: string
  readonly token: string | undefined
  readonly url: string | undefined
}

/** What does not fit together in the options, for the operator; undefined: nothing. */
export function webClientProblem(given: Given): string | undefined {
  if (given.mode === 'server') return placeProblem(given, given.path) ?? tokenProblem(given, given.token)
  return given.url === undefined ? 'mode: client needs a url' : undefined
}

/** Clients of a server name addresses themselves. */
export function isWebClient({ mode }: Pick<Given, 'mode'>): boolean {
  return mode === 'client'
}
