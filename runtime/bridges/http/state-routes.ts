import type { IncomingHttpHeaders } from 'node:http'
import { addressProblem } from '../../../firmware-protocol/wire/address.ts'
import type { SnapshotParam, Ttl, U64 } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { HttpError } from './http-error.ts'
import type { Condition, HttpService } from './http-service.ts'
import { type Answer, type Call, json, type Route } from './route.ts'
import { jsonObject, readJson, ValueForm } from './value-form.ts'

const MAX_TTL_S = 2 ** 31 - 1

/** What the body of a write says. */
export interface Write {
  readonly value: Value
  readonly ttl?: Ttl
  /** The revision that it is meant to follow. */
  readonly revision?: U64
}

/** Routes of single params and events, as CLASP has them. Source: bridges.md §11.3. */
export function stateRoutes(service: HttpService): Route[] {
  const get = (call: Call) => readState(service, checkedAddress(call.rest), call)
  const put = (call: Call) => writeState(service, checkedAddress(call.rest), call)
  const remove = async (call: Call): Promise<Answer> => {
    await service.remove(checkedAddress(call.rest), call.scopes, conditionOf(call.headers))
    return json(204, '')
  }
  const emit = (call: Call) => emitEvent(service, checkedAddress(call.rest), call)
  const state = (path: string): Route[] => [
    {
      method: 'GET',
      path,
      summary: 'The param at an address',
      parameters: ['time', 'bytes', 'ifNoneMatch'],
      answers: { 200: 'Param', 304: 'none' },
      handle: get,
    },
    {
      method: 'PUT',
      path,
      summary: 'Set a param',
      parameters: ['bytes', 'ifMatch', 'ifNoneMatch'],
      body: 'Write',
      answers: { 200: 'Written' },
      handle: put,
    },
    {
      method: 'DELETE',
      path,
      summary: 'Remove a param: subscribers see null',
      parameters: ['ifMatch'],
      answers: { 204: 'none' },
      handle: remove,
    },
  ]
  const event = (path: string): Route => ({
    method: 'POST',
    path,
    summary: 'Emit an event',
    body: 'Emit',
    answers: { 200: 'Emitted' },
    handle: emit,
  })
  return [
    ...state('/v1/state/{address}'),
    event('/v1/emit/{address}'),
    ...state('/api/state/{address}'),
    event('/api/event/{address}'),
    {
      method: 'GET',
      path: '/api/get',
      summary: 'The param at an address',
      parameters: ['address', 'time', 'bytes', 'ifNoneMatch'],
      answers: { 200: 'Param', 304: 'none' },
      handle: (call) => readState(service, checkedAddress(call.query.get('address') ?? ''), call),
    },
    {
      method: 'POST',
      path: '/api/set',
      summary: 'Set a param',
      parameters: ['bytes'],
      body: 'AddressedWrite',
      answers: { 200: 'Written' },
      handle: async (call) => {
        const { address, write } = readAddressed(await call.body())
        const revision = await service.set(address, write.value, call.scopes, {
          ttl: write.ttl,
          condition: expectedIn(write),
        })
        return written(address, write.value, revision, call)
      },
    },
    {
      method: 'POST',
      path: '/api/emit',
      summary: 'Emit an event',
      body: 'AddressedWrite',
      answers: { 200: 'Emitted' },
      handle: async (call) => {
        const { address, write } = readAddressed(await call.body())
        await service.emit(address, write.value, call.scopes)
        return emitted(address)
      },
    },
  ]
}

export async function readState(service: HttpService, address: string, call: Call): Promise<Answer> {
  const form = new ValueForm(call.query)
  const param = await service.get(address, call.scopes)
  const headers = { ETag: `"${param.revision}"` }
  const known = tagsOf(call.headers['if-none-match'])
  if (known === '*' || known?.includes(String(param.revision))) return json(304, '', headers)
  return json(200, paramText(param, form), headers)
}

async function writeState(service: HttpService, address: string, call: Call): Promise<Answer> {
  const write = readWrite(await call.body())
  const condition = conditionOf(call.headers) ?? expectedIn(write)
  const revision = await service.set(address, write.value, call.scopes, { ttl: write.ttl, condition })
  return written(address, write.value, revision, call)
}

async function emitEvent(service: HttpService, address: string, call: Call): Promise<Answer> {
  await service.emit(address, readPayload(await call.body()), call.scopes)
  return emitted(address)
}

function written(address: string, value: Value, revision: U64 | undefined, call: Call): Answer {
  const text = jsonObject({
    address: JSON.stringify(address),
    value: new ValueForm(call.query).value(value),
    revision: String(revision ?? 0),
  })
  return json(200, text, { ETag: `"${revision ?? 0}"` })
}

function emitted(address: string): Answer {
  return json(200, jsonObject({ address: JSON.stringify(address), status: '"emitted"' }))
}

export function paramText({ address, value, revision, writer, timestamp }: SnapshotParam, form: ValueForm): string {
  return jsonObject({
    address: JSON.stringify(address),
    value: form.value(value),
    revision: String(revision),
    writer: writer === undefined ? undefined : JSON.stringify(writer),
    timestamp: timestamp === undefined ? undefined : form.time(timestamp),
  })
}

/** Throws an HttpError for what is no address. */
export function checkedAddress(address: string): string {
  const problem = addressProblem(address)
  if (problem !== undefined) throw new HttpError('bad_request', `${problem}: expected for example /lights/1`, address)
  return address
}

/** `{value, ttl?, revision?}`, or the bare value. Throws an HttpError. */
export function readWrite(text: string): Write {
  const bare = readJson(text)
  if (bare.type !== 'map') return { value: bare }
  const members = new Map(bare.value)
  const value = members.get('value')
  if (value === undefined) return { value: bare }
  return { value, ...detailsOf(members) }
}

/** Nothing at all is null. */
export function readPayload(text: string): Value {
  return text.trim() === '' ? { type: 'null' } : readWrite(text).value
}

function readAddressed(text: string): { address: string; write: Write } {
  const body = readJson(text)
  const members = new Map(body.type === 'map' ? body.value : [])
  const address = members.get('address') ?? members.get('path')
  if (address?.type !== 'string')
    throw new HttpError('bad_request', 'the body has no address: expected {"address": "/lights/1", "value": 0.5}')
  const value = members.get('value') ?? members.get('payload') ?? { type: 'null' }
  return { address: checkedAddress(address.value), write: { value, ...detailsOf(members) } }
}

function detailsOf(members: ReadonlyMap<string, Value>): Pick<Write, 'ttl' | 'revision'> {
  const [ttl, revision] = [members.get('ttl'), members.get('revision')]
  if (revision !== undefined && (revision.type !== 'i64' || revision.value < 0))
    throw new HttpError('bad_request', 'revision: expected a whole number from 0')
  return { ttl: ttl && readTtl(ttl), revision: revision?.value }
}

/** Seconds since the last write, 0 = never; or `{mode, seconds}`. */
function readTtl(ttl: Value): Ttl {
  const members = ttl.type === 'map' ? new Map(ttl.value) : new Map([['seconds', ttl]])
  const mode = members.get('mode') ?? { type: 'string', value: 'sliding' }
  const seconds = members.get('seconds')
  if (mode.type === 'string' && mode.value === 'never') return { mode: 'never' }
  const isMode = mode.type === 'string' && (mode.value === 'sliding' || mode.value === 'absolute')
  if (!isMode || seconds?.type !== 'i64' || seconds.value < 0 || seconds.value > MAX_TTL_S)
    throw new HttpError(
      'bad_request',
      'ttl: expected whole seconds, or {"mode": "sliding" | "absolute", "seconds": 60}',
    )
  if (seconds.value === 0) return { mode: 'never' }
  return { mode: mode.value === 'absolute' ? 'absolute' : 'sliding', seconds: Number(seconds.value) }
}

/** Of If-Match and If-None-Match (RFC 9110 §13.1) for a write. */
function conditionOf(headers: IncomingHttpHeaders): Condition | undefined {
  const wanted = tagsOf(headers['if-match'])
  if (wanted !== undefined) return { revisions: wanted }
  return headers['if-none-match']?.trim() === '*' ? { isAbsent: true } : undefined
}

function expectedIn({ revision }: Write): Condition | undefined {
  return revision === undefined ? undefined : { revisions: [String(revision)] }
}

/** Entity tags are revisions in quotes. */
function tagsOf(header: string | undefined): readonly string[] | '*' | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return '*'
  return header.split(',').map((tag) => tag.trim().replace(/^(?:W\/)?"(.*)"$/, '$1'))
}
