import { list, oneOf, text, whole } from '../config/fields.ts'
import { placeProblem, type WebPlaceOptions, webPlaceOptions } from './web-place.ts'

/** Options of bridges that serve web pages at a WebSocket, or are the client of such a server. */
export const webClientOptions = {
  mode: oneOf({
    description: 'Waits for clients, or connects to a server.',
    fallback: 'server',
    values: ['server', 'client'],
  }),
  ...webPlaceOptions,
  origins: list({
    description: 'Of a server: origins of web pages that may connect, such as https://example.org; none = all.',
    of: text({ description: 'An origin.', fallback: '' }),
  }),
  maxClients: whole({ description: 'Of a server: clients at a time.', fallback: 256, min: 1, max: 10_000 }),
  maxMessage: whole({
    description: 'Longer messages end a connection.',
    unit: 'bytes',
    fallback: 262_144,
    min: 1024,
    max: 16_777_216,
  }),
}

interface Given extends Pick<WebPlaceOptions, 'listen'> {
  readonly mode: 'server' | 'client'
  readonly path: string
  readonly url: string | undefined
}

/** What does not fit together in the options, for the operator; undefined: nothing. */
export function webClientProblem(given: Given): string | undefined {
  if (given.mode === 'server') return placeProblem(given, given.path)
  return given.url === undefined ? 'mode: client needs a url' : undefined
}

/** Clients of a server name addresses themselves. */
export function isWebClient({ mode }: Pick<Given, 'mode'>): boolean {
  return mode === 'client'
}
