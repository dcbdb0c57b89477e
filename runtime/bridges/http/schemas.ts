/** JSON Schemas (2020-12) of bodies and answers, for the OpenAPI description. */

const address = { type: 'string', description: 'CLASP address.', examples: ['/lights/1/level'] }
const value = {
  description: 'Any JSON value. Numbers without a fraction are integers; bytes are {"$bytes": "<base64>"}.',
}
const revision = { type: 'integer', minimum: 0, description: 'Counts the writes of a param.' }
const ttl = {
  description: 'Seconds since the last write after which the param is forgotten, 0 = never; or with a mode.',
  oneOf: [
    { type: 'integer', minimum: 0 },
    {
      type: 'object',
      properties: { mode: { enum: ['sliding', 'absolute', 'never'] }, seconds: { type: 'integer', minimum: 0 } },
    },
  ],
}

function object(properties: Record<string, unknown>, required: readonly string[] = Object.keys(properties)) {
  return { type: 'object', properties, required }
}

function list(items: unknown) {
  return { type: 'array', items }
}

const valued = object({ address, value })
const param = object({ address, value, revision })

export const schemas = {
  Param: object(
    {
      address,
      value,
      revision,
      writer: { type: 'string', description: 'Session that wrote it.' },
      timestamp: {
        type: ['integer', 'string'],
        description: 'Microseconds since 1970, or ISO 8601 with ?time=iso.',
      },
    },
    ['address', 'value', 'revision'],
  ),
  Params: list(param),
  Valued: valued,
  Write: {
    description: 'The value in an object, or bare.',
    anyOf: [object({ value, ttl, revision }, ['value']), value],
  },
  Written: param,
  AddressedWrite: object({ address, value, ttl, revision }, ['address']),
  Emit: { description: 'The value in an object, or bare; nothing is null.', anyOf: [object({ value }), value] },
  Emitted: object({ address, status: { const: 'emitted' } }),
  Done: object({ address, value, status: { enum: ['set', 'published', 'deleted'] } }, ['address', 'status']),
  Bundle: object(
    {
      operations: list({
        oneOf: ['set', 'emit'].map((name) =>
          object({ [name]: { type: 'array', prefixItems: [address, value], minItems: 1, maxItems: 2 } }),
        ),
      }),
      timestamp: { type: 'integer', description: "Not before this time of the router's clock, in microseconds." },
    },
    ['operations'],
  ),
  Applied: object({ applied: { type: 'integer', minimum: 0 } }),
  Snapshot: { type: 'object', description: 'Values by address.', additionalProperties: value },
  SignalList: object({ signals: list(valued), count: { type: 'integer', minimum: 0 } }),
  Signals: list(
    object(
      {
        address,
        type: { enum: ['param', 'event', 'stream', 'gesture', 'timeline'] },
        datatype: { type: 'string' },
        access: { type: 'string', examples: ['r', 'w', 'rw'] },
        unit: { type: 'string' },
        range: { type: 'array', items: { type: 'number' }, minItems: 2, maxItems: 2 },
        default: value,
        description: { type: 'string' },
      },
      ['address', 'type'],
    ),
  ),
  Health: object(
    {
      status: { enum: ['ok', 'degraded', 'unavailable'] },
      node: { type: 'string' },
      version: { type: 'string' },
      uptime_s: { type: 'integer', minimum: 0 },
      bridges: { type: 'object', additionalProperties: { type: 'string' }, description: 'State by id.' },
    },
    ['status', 'node', 'version', 'bridges'],
  ),
  UpstreamHealth: object({
    status: { const: 'ok' },
    protocol: { const: 'CLASP' },
    version: { type: 'string' },
  }),
  Document: { type: 'object', description: 'This description.' },
  Page: { type: 'string', description: 'A page for people.' },
  EventStream: {
    type: 'string',
    description:
      'Server-Sent Events. snapshot: {"state": {address: value}, "final"}; value, event, stream, gesture, removed: {"address", "value", "revision"?, "t"}; error: {"code", "message"}.',
  },
  Error: object({
    error: object({ code: { type: 'string' }, message: { type: 'string' }, address }, ['code', 'message']),
  }),
  PlainError: object({ error: { type: 'string' }, address }, ['error']),
} as const

export type SchemaName = keyof typeof schemas
