import type { ParameterName, Route } from './route.ts'
import { type SchemaName, schemas } from './schemas.ts'

interface Parameter {
  readonly name: string
  readonly in: 'query' | 'header'
  readonly description: string
  readonly required?: boolean
  readonly explode?: boolean
  readonly schema: unknown
}

const pattern: Parameter = {
  name: 'pattern',
  in: 'query',
  description: 'Address pattern: * is one level, ** any number of them.',
  schema: { type: 'string', examples: ['/lights/**'] },
}
const PARAMETERS: Record<ParameterName, Parameter> = {
  pattern,
  patterns: {
    ...pattern,
    description: 'Address patterns, up to 16: the parameter may be repeated.',
    explode: true,
    schema: { type: 'array', items: { type: 'string' }, maxItems: 16 },
  },
  address: {
    name: 'address',
    in: 'query',
    required: true,
    description: 'CLASP address.',
    schema: { type: 'string', examples: ['/lights/1/level'] },
  },
  types: {
    name: 'types',
    in: 'query',
    description: 'Some of param, event, stream, gesture, with commas between. Default: all.',
    schema: { type: 'string', examples: ['param,event'] },
  },
  snapshot: {
    name: 'snapshot',
    in: 'query',
    description: '1: the values that there are come first.',
    schema: { enum: ['0', '1'] },
  },
  maxRate: {
    name: 'max_rate',
    in: 'query',
    description: 'Updates a second of one address at most.',
    schema: { type: 'integer', minimum: 1, maximum: 1000 },
  },
  token: {
    name: 'token',
    in: 'query',
    description: 'Instead of a header, which browsers cannot send here.',
    schema: { type: 'string' },
  },
  time: {
    name: 'time',
    in: 'query',
    description: 'iso: times as ISO 8601 instead of microseconds since 1970.',
    schema: { enum: ['us', 'iso'] },
  },
  bytes: {
    name: 'bytes',
    in: 'query',
    description: 'base64: bytes as {"$bytes": "<base64>"} instead of a list of numbers.',
    schema: { enum: ['array', 'base64'] },
  },
  ifMatch: {
    name: 'If-Match',
    in: 'header',
    description: 'The revision that must be there, in quotes, or *.',
    schema: { type: 'string', examples: ['"7"'] },
  },
  ifNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    description: 'Reading: the revision that is known. Writing: * = nothing may be there.',
    schema: { type: 'string' },
  },
  lastEventId: {
    name: 'Last-Event-ID',
    in: 'header',
    description: 'The id of the last event that arrived: those behind it come first.',
    schema: { type: 'string' },
  },
}

/** What every route may answer instead. */
const FAILURES: Readonly<Record<number, string>> = {
  400: 'Not understood: an address, a pattern, a parameter or the body is wrong.',
  401: 'No token, or an unknown one.',
  403: 'Not allowed with this token, or for this web page.',
  421: 'The node is not known by the name in Host.',
  429: 'Too many requests; Retry-After says when to come back.',
}
const FAILURES_OF_BODIES: Readonly<Record<number, string>> = {
  409: 'Another revision is there, or somebody has locked the param.',
  413: 'The body is too long.',
  415: 'The body is not JSON by its type.',
}

/** An OpenAPI 3.1 description of these routes, as JSON. */
export function openApi(routes: readonly Route[], version: string): string {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const operations = paths[route.path] ?? {}
    operations[route.method.toLowerCase()] = operation(route)
    paths[route.path] = operations
  }
  return JSON.stringify({
    openapi: '3.1.0',
    info: {
      title: 'CLASP over HTTP',
      version: version === '' ? '0' : version,
      description:
        'Addresses in paths have no slash in front, and may have more than one level: the variable part takes the rest of the path, percent-encoded level by level.',
    },
    servers: [{ url: '/' }],
    security: [{}, { bearer: [] }, { key: [] }, { basic: [] }],
    paths,
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        basic: { type: 'http', scheme: 'basic', description: 'Any name, the token as password.' },
        key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
    },
  })
}

function operation(route: Route): unknown {
  const { method, path, summary, parameters = [], body, answers, types = ['application/json'] } = route
  const failure = content(route.hasPlainErrors ? 'PlainError' : 'Error', ['application/json'])
  const variable = /\{(\w+)\}$/.exec(path)?.[1]
  const failures = { ...FAILURES, ...(method === 'GET' ? {} : FAILURES_OF_BODIES) }
  if (variable !== undefined || parameters.includes('address')) failures[404] = 'There is nothing at this address.'
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+/g, '_')}`,
    summary,
    tags: [path.startsWith('/v1') ? 'v1' : 'aliases'],
    parameters: [
      ...(variable === undefined ? [] : [pathParameter(variable)]),
      ...parameters.map((name) => PARAMETERS[name]),
    ],
    ...(body === undefined
      ? {}
      : { requestBody: { required: body !== 'Emit', content: content(body, ['application/json']) } }),
    responses: Object.fromEntries([
      ...Object.entries(answers).map(([status, schema]) => [
        status,
        schema === 'none'
          ? { description: status === '304' ? 'Not changed.' : 'Done.' }
          : { description: summary, content: content(schema, types) },
      ]),
      ...Object.entries(failures).map(([status, description]) => [status, { description, content: failure }]),
    ]),
  }
}

function content(schema: SchemaName, types: readonly string[]): unknown {
  return Object.fromEntries(types.map((type) => [type, { schema: { $ref: `#/components/schemas/${schema}` } }]))
}

function pathParameter(name: string): unknown {
  const description =
    name === 'pattern' ? 'Address pattern without the slash in front.' : 'CLASP address without the slash in front.'
  return { name, in: 'path', required: true, description, schema: { type: 'string' } }
}
