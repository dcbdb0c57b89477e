import type { Message } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { NULL } from '../json-value.ts'

/** What a peer asks for. `id` comes back in the answer. Source: bridges.md §12. */
export type JsonRequest =
  | {
      readonly type: 'set'
      readonly id?: Value
      readonly address: string
      readonly value: Value
      readonly wantsAck: boolean
    }
  | {
      readonly type: 'emit'
      readonly id?: Value
      readonly address: string
      readonly value: Value
      readonly wantsAck: boolean
    }
  | { readonly type: 'get'; readonly id?: Value; readonly address: string }
  | { readonly type: 'subscribe' | 'unsubscribe'; readonly id?: Value; readonly pattern: string }
  | { readonly type: 'snapshot'; readonly id?: Value; readonly pattern: string }
  | {
      readonly type: 'batch'
      readonly id?: Value
      readonly operations: readonly Operation[]
      readonly wantsAck: boolean
    }
  | { readonly type: 'auth'; readonly id?: Value; readonly token: string }
  | { readonly type: 'ping'; readonly id?: Value }
  /** An object without a type, or something else altogether: a value for an address. */
  | { readonly type: 'plain'; readonly address: string | undefined; readonly value: Value }

/** Of a batch. */
export type Operation = Extract<JsonRequest, { type: 'set' | 'emit' }>

/** What is wrong with a message, for its sender. */
export interface Misunderstood {
  readonly type: 'misunderstood'
  readonly id?: Value
  readonly request: string
  readonly reason: string
}

const MAX_OPERATIONS = 1000
const TYPES = 'set, emit, get, subscribe, unsubscribe, snapshot, batch, auth and ping'

/** Reads one message. Never throws. */
export function readRequest(message: Value, depth = 0): JsonRequest | Misunderstood {
  const members = membersOf(message)
  const type = textOf(members?.get('type'))
  if (members === undefined || type === undefined) return plain(message, members)
  const id = members.get('id')
  const wrong = (reason: string): Misunderstood => ({ type: 'misunderstood', id, request: type, reason })
  const address = textOf(members.get('address')) ?? textOf(members.get('path'))
  const value = members.get('value') ?? members.get('payload') ?? members.get('data')
  const ack = members.get('ack')
  const wantsAck = ack?.type === 'bool' && ack.value
  switch (type) {
    case 'set':
      if (address === undefined || value === undefined) return wrong('set needs address and value')
      return { type, id, address, value, wantsAck }
    case 'emit':
      return address === undefined
        ? wrong('emit needs an address')
        : { type, id, address, value: value ?? NULL, wantsAck }
    case 'get':
      return address === undefined ? wrong('get needs an address') : { type, id, address }
    case 'subscribe':
    case 'unsubscribe': {
      const pattern = textOf(members.get('pattern')) ?? address
      return pattern === undefined ? wrong(`${type} needs a pattern such as /stage/**`) : { type, id, pattern }
    }
    case 'snapshot': {
      const prefix = textOf(members.get('prefix'))
      const pattern =
        textOf(members.get('pattern')) ?? (prefix === undefined ? '/**' : `${prefix.replace(/\/+$/, '')}/**`)
      return { type, id, pattern }
    }
    case 'batch':
      return readBatch(members, { id, wantsAck, wrong }, depth)
    case 'auth': {
      const token = textOf(members.get('token'))
      return token === undefined ? wrong('auth needs a token') : { type, id, token }
    }
    case 'ping':
      return { type, id }
    default:
      return wrong(`there is no request ${type}: there are ${TYPES}`)
  }
}

function readBatch(
  members: ReadonlyMap<string, Value>,
  { id, wantsAck, wrong }: { id?: Value; wantsAck: boolean; wrong(reason: string): Misunderstood },
  depth: number,
): JsonRequest | Misunderstood {
  const list = members.get('operations') ?? members.get('messages')
  if (list?.type !== 'array' || depth > 0)
    return wrong('batch needs a list of operations, which are no batches themselves')
  if (list.value.length > MAX_OPERATIONS) return wrong(`a batch has at most ${MAX_OPERATIONS} operations`)
  const operations: Operation[] = []
  for (const [at, item] of list.value.entries()) {
    const operation = readRequest(item, depth + 1)
    if (operation.type === 'misunderstood') return wrong(`operation ${at + 1}: ${operation.reason}`)
    if (operation.type !== 'set' && operation.type !== 'emit')
      return wrong(`operation ${at + 1} is neither set nor emit`)
    operations.push(operation)
  }
  return { type: 'batch', id, operations, wantsAck }
}

/** As the router knows it. */
export function messageOf({ type, address, value }: Operation): Message {
  if (type === 'set') return { type: 'SET', address, value }
  return { type: 'PUBLISH', address, signal: 'event', payload: value }
}

/** As the older bridges took it: `value`, else `data`, else all of it. */
function plain(message: Value, members: ReadonlyMap<string, Value> | undefined): JsonRequest {
  const address = textOf(members?.get('address'))
  return { type: 'plain', address, value: members?.get('value') ?? members?.get('data') ?? message }
}

function membersOf(message: Value): ReadonlyMap<string, Value> | undefined {
  return message.type === 'map' ? new Map(message.value) : undefined
}

function textOf(value: Value | undefined): string | undefined {
  return value?.type === 'string' ? value.value : undefined
}
