import { checkedText, flag, list, object, text, type ValueOf, whole } from '../../config/fields.ts'
import { defineBridge } from '../bridge.ts'
import { tokenOptions, tokenProblem } from '../scope-options.ts'
import { webPlaceOptions } from '../web-place.ts'

const options = object('REST, Server-Sent Events and their OpenAPI description, below /v1 and /api.', {
  ...webPlaceOptions,
  origins: list({
    description:
      'Origins of web pages that may ask from elsewhere, such as https://example.org; "*" = all. Pages of this port always may.',
    of: checkedText({
      description: 'An origin.',
      fallback: '',
      expected: 'an origin such as https://example.org, or *',
      check: (value) =>
        value === '*' || value === 'null' || /^https?:\/\/[^/\s]+$/.test(value)
          ? undefined
          : 'an origin is scheme, host and port, without a path',
    }),
  }),
  ...tokenOptions('Authorization: Bearer, X-API-Key, or ?token= of events'),
  requestsPerSecond: whole({
    description: 'Of one client; more are refused (429).',
    fallback: 50,
    min: 1,
    max: 100_000,
  }),
  burst: whole({ description: 'Requests of one client at once.', fallback: 100, min: 1, max: 100_000 }),
  maxBody: whole({
    description: 'Longer bodies are refused (413).',
    unit: 'bytes',
    fallback: 262_144,
    min: 1024,
    max: 16_777_216,
  }),
  maxStreams: whole({ description: 'Event streams at a time.', fallback: 256, min: 1, max: 10_000 }),
  requiredBridges: list({
    description: 'Bridges without which /v1/health answers 503.',
    of: text({ description: 'The id of a bridge.', fallback: '' }),
  }),
  legacyNamespace: flag({
    description:
      'PUT, POST and DELETE at /api/<path> put the namespace in front, as the reference implementation does.',
    fallback: false,
  }),
})

export type HttpOptions = ValueOf<typeof options>

export const http = defineBridge<HttpOptions>({
  kind: 'http',
  description: 'REST and Server-Sent Events.',
  namespace: '/http',
  options,
  check: (given) => tokenProblem(given),
  takesRules: () => false,
  load: () => import('./http-bridge.ts').then(({ openHttp }) => openHttp),
})
