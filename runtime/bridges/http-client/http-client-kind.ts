import { addressProblem, patternProblem } from '../../../firmware-protocol/wire/address.ts'
import {
  checkedText,
  duration,
  flag,
  list,
  object,
  oneOf,
  optional,
  required,
  text,
  type ValueOf,
  whole,
} from '../../config/fields.ts'
import { secret } from '../../config/secret.ts'
import { JsonPath } from '../../routes/json-path.ts'
import { defineBridge } from '../bridge.ts'

const HOUR_MS = 3_600_000
/** Whoever chooses addresses must not choose the host. */
const WEBHOOK_URL = /^https?:\/\/[^/?#{}\s]+(?:(?:[/?]|\{address\})\S*)?$/

const headers = list({
  description: 'Headers of the request.',
  of: checkedText({
    description: 'A header.',
    fallback: '',
    expected: 'a header such as "X-Room: 5"',
    check: (value) => (/^[\w-]+:[^\r\n]*$/.test(value) ? undefined : 'it has no colon'),
  }),
})

const timeout = duration({
  description: 'How long an answer may take.',
  fallback: 5000,
  minMs: 100,
  maxMs: 60_000,
})

const webhook = object('Values and events that go to a web server.', {
  match: required(
    checkedText({
      description: 'Addresses, as a pattern.',
      fallback: '',
      expected: 'an address pattern such as /lights/**',
      check: patternProblem,
    }),
  ),
  on: oneOf({
    description: 'Changes of params, events, or both.',
    fallback: 'any',
    values: ['change', 'event', 'any'],
  }),
  method: oneOf({
    description: 'Of the request.',
    fallback: 'POST',
    values: ['POST', 'PUT', 'PATCH', 'DELETE', 'GET'],
  }),
  url: required(
    checkedText({
      description: 'Where it goes; {address}, {value} and {seg1}, {seg2} … stand for the parts of the signal.',
      fallback: '',
      expected: 'a URL such as https://example.org/hook{address}',
      check: (value) =>
        WEBHOOK_URL.test(value) && URL.canParse(value.replace(/\{[^}]*\}/g, '/'))
          ? undefined
          : 'it starts with http:// or https:// and a host without placeholders',
    }),
  ),
  headers,
  body: text({
    description:
      'value = the bare value, wrapped = {"address", "value", "t"}, or a template: {value} is JSON, {text} and {address} go between quotes.',
    fallback: 'wrapped',
  }),
  timeout,
  retries: whole({
    description: 'Tries after the first, later and later, when there is no answer, or 408, 429 or 5xx.',
    fallback: 3,
    min: 0,
    max: 10,
  }),
  concurrency: whole({
    description: 'Requests at a time; with more than one their order is not kept.',
    fallback: 1,
    min: 1,
    max: 16,
  }),
  secret: optional(secret({ description: 'Key of the signature (HMAC-SHA256) in X-Hub-Signature-256.' })),
})

const poll = object('A web server that is asked again and again.', {
  url: required(
    checkedText({
      description: 'What is asked for.',
      fallback: '',
      expected: 'a URL such as http://192.168.1.30/status',
      check: (value) =>
        /^https?:\/\/\S+$/.test(value) && URL.canParse(value) ? undefined : 'it starts with http:// or https://',
    }),
  ),
  every: duration({
    description: 'Time between an answer and the next request.',
    fallback: 10_000,
    minMs: 100,
    maxMs: 24 * HOUR_MS,
  }),
  select: checkedText({
    description:
      'Part of the answer, as a JSONPath without filters: $.emeters[0].power, or a list with *, slices, unions and "..".',
    fallback: '$',
    expected: 'a path such as $.emeters[0].power',
    check: (value) => {
      const path = JsonPath.parse(value)
      return typeof path === 'string' ? path : undefined
    },
  }),
  address: optional(
    checkedText({
      description:
        'Where the value is set. Left out: the answer is {"address", "value"} or {"signals": [ … ]}, below the namespace.',
      fallback: '',
      expected: 'an address such as /meter/power',
      check: addressProblem,
    }),
  ),
  headers,
  timeout,
})

const options = object('Requests to web servers: webhooks out, polling in.', {
  webhooks: list({ description: 'What goes out.', of: webhook }),
  polls: list({ description: 'What comes in.', of: poll }),
  allowLocal: flag({
    description: 'Requests to this machine and to link-local addresses, which are refused otherwise.',
    fallback: false,
  }),
  maxAnswer: whole({
    description: 'Longer answers are not read.',
    unit: 'bytes',
    fallback: 1_048_576,
    min: 1024,
    max: 16_777_216,
  }),
})

export type HttpClientOptions = ValueOf<typeof options>
export type WebhookOptions = ValueOf<typeof webhook>
export type PollOptions = ValueOf<typeof poll>

export const httpClient = defineBridge<HttpClientOptions>({
  kind: 'http-client',
  description: 'Webhooks to web servers, and polling of their JSON.',
  namespace: '/http',
  options,
  check: ({ webhooks, polls }) =>
    webhooks.length + polls.length === 0 ? 'it has neither webhooks nor polls' : undefined,
  load: () => import('./http-client-bridge.ts').then(({ openHttpClient }) => openHttpClient),
})
