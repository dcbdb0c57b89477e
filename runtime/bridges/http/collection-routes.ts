import type { Message, SignalDefinition } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { HttpError } from './http-error.ts'
import type { HttpService } from './http-service.ts'
import { type Answer, type Call, json, type Route } from './route.ts'
import { checkedAddress } from './state-routes.ts'
import { jsonObject, readJson, ValueForm } from './value-form.ts'

const MAX_OPERATIONS = 1000
const NDJSON = 'application/x-ndjson'

/** Routes of many params at once, and of what was announced. Source: bridges.md §11.3. */
export function collectionRoutes(service: HttpService): Route[] {
  const bundle = (path: string): Route => ({
    method: 'POST',
    path,
    summary: 'Set and emit all, or nothing',
    body: 'Bundle',
    answers: { 200: 'Applied' },
    handle: async (call) => {
      const { messages, timestamp } = readBundle(await call.body())
      if (messages.length > 0) await service.bundle(messages, call.scopes, timestamp)
      return json(200, `{"applied":${messages.length}}`)
    },
  })
  const snapshot = (path: string): Route => ({
    method: 'GET',
    path,
    summary: 'Values by address; one line each with Accept: application/x-ndjson',
    parameters: ['pattern', 'bytes'],
    answers: { 200: 'Snapshot' },
    types: ['application/json', NDJSON],
    handle: (call) => readSnapshot(service, call),
  })
  const query = (path: string): Route => ({
    method: 'GET',
    path,
    summary: 'Params that match a pattern',
    parameters: path.includes('{') ? ['bytes'] : ['pattern', 'bytes'],
    answers: { 200: 'Params' },
    handle: async (call) => {
      const pattern = call.rest === '' ? call.query.get('pattern') : call.rest
      const form = new ValueForm(call.query)
      const params = await service.params(pattern ?? undefined, call.scopes)
      const items = params.map(({ address, value, revision }) =>
        jsonObject({ address: JSON.stringify(address), value: form.value(value), revision: String(revision) }),
      )
      return json(200, `[${items.join(',')}]`)
    },
  })
  return [
    bundle('/v1/bundle'),
    snapshot('/v1/snapshot'),
    snapshot('/v1/snapshot/{address}'),
    query('/v1/query'),
    {
      method: 'GET',
      path: '/v1/signals',
      summary: 'Signals that were announced',
      parameters: ['pattern'],
      answers: { 200: 'Signals' },
      handle: (call) => {
        const signals = service.definitions(call.query.get('pattern') ?? undefined, call.scopes)
        return json(200, `[${signals.map(definitionText).join(',')}]`)
      },
    },
    bundle('/api/bundle'),
    query('/api/query'),
    query('/api/list/{pattern}'),
  ]
}

async function readSnapshot(service: HttpService, call: Call): Promise<Answer> {
  const form = new ValueForm(call.query)
  const pattern = call.query.get('pattern')
  if (pattern !== null && call.rest !== '')
    throw new HttpError('bad_request', 'a prefix and a pattern at once: leave one of them out')
  const below = call.rest === '' ? undefined : `${checkedAddress(call.rest).replace(/\/$/, '')}/**`
  const params = await service.params(pattern ?? below, call.scopes)
  if ((call.headers.accept ?? '').includes(NDJSON)) {
    const lines = params.map(
      ({ address, value, revision }) =>
        `${jsonObject({ address: JSON.stringify(address), value: form.value(value), revision: String(revision) })}\n`,
    )
    return { status: 200, text: lines.join(''), type: NDJSON, headers: { Vary: 'Accept' } }
  }
  const members = params.map(({ address, value }) => `${JSON.stringify(address)}:${form.value(value)}`)
  return json(200, `{${members.join(',')}}`, { Vary: 'Accept' })
}

function definitionText({ address, type, datatype, access, meta = {} }: SignalDefinition): string {
  const { unit, range, default: fallback, description } = meta
  return jsonObject({
    address: JSON.stringify(address),
    type: JSON.stringify(type),
    datatype: JSON.stringify(datatype),
    access: JSON.stringify(access),
    unit: JSON.stringify(unit),
    range: JSON.stringify(range),
    default: fallback && new ValueForm(new URLSearchParams()).value(fallback),
    description: JSON.stringify(description),
  })
}

/** `{operations: [{set: [address, value]} | {emit: [address, value]}], timestamp?}`, or the operations alone. */
function readBundle(text: string): { messages: Message[]; timestamp: number | bigint | undefined } {
  const body = readJson(text)
  const members = new Map(body.type === 'map' ? body.value : [])
  const operations = body.type === 'array' ? body : (members.get('operations') ?? members.get('messages'))
  if (operations?.type !== 'array')
    throw new HttpError('bad_request', 'operations are missing: expected {"operations": [{"set": ["/a", 1]}]}')
  if (operations.value.length > MAX_OPERATIONS)
    throw new HttpError('bad_request', `${operations.value.length} operations, at most ${MAX_OPERATIONS}`)
  const timestamp = members.get('timestamp')
  if (timestamp !== undefined && (timestamp.type !== 'i64' || timestamp.value < 0))
    throw new HttpError('bad_request', 'timestamp: expected microseconds since 1970')
  return { messages: operations.value.map(messageOf), timestamp: timestamp?.value }
}

function messageOf(operation: Value, at: number): Message {
  const members = new Map(operation.type === 'map' ? operation.value : [])
  const type = members.get('type')
  // As other bridges have them: {"type": "set", "address": …, "value": …}.
  const name = type?.type === 'string' ? type.value : [...members.keys()].find((key) => key === 'set' || key === 'emit')
  const pair = members.get(name ?? '')
  const [address, value] =
    pair?.type === 'array' ? pair.value : [members.get('address'), members.get('value') ?? members.get('payload')]
  if ((name !== 'set' && name !== 'emit') || address?.type !== 'string')
    throw new HttpError('bad_request', `operation ${at}: expected {"set": ["/a", 1]} or {"emit": ["/a", 1]}`)
  const wanted = checkedAddress(address.value)
  const given = value ?? { type: 'null' }
  if (name === 'set') return { type: 'SET', address: wanted, value: given }
  return { type: 'PUBLISH', address: wanted, signal: 'event', payload: given }
}
