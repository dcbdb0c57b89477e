import type { Message, SignalDefinition, SnapshotParam, Ttl, U64 } from '../../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Client } from '../../client/client.ts'
import type { Clock } from '../../router/clock.ts'
import type { BridgeCounters } from '../bridge.ts'
import { type Scopes, scopeRefusal } from '../scopes.ts'
import { HttpError } from './http-error.ts'
import type { LastingClient } from './lasting-client.ts'
import type { RemovedParams } from './removed-params.ts'

export interface ServiceParts {
  readonly client: LastingClient
  readonly removed: RemovedParams
  readonly counters: BridgeCounters
  readonly clock: Clock
  announced(pattern: Pattern): readonly SignalDefinition[]
}

/** What has to hold for a write: nothing is there, or something with one of these revisions, or any ('*'). */
export type Condition = { readonly isAbsent: true } | { readonly revisions: readonly string[] | '*' }

/** What requests do at the router, within the scopes of whoever asks. */
export class HttpService {
  private readonly parts: ServiceParts

  constructor(parts: ServiceParts) {
    this.parts = parts
  }

  client(): Promise<Client> {
    return this.parts.client.get()
  }

  /** Of the router's software; '' when it does not say. */
  async version(): Promise<string> {
    const param = await (await this.client()).get('/_clasp/version')
    return param?.value.type === 'string' ? param.value.value : ''
  }

  /** Rejects with an HttpError when there is none. */
  async get(address: string, scopes: Scopes): Promise<SnapshotParam> {
    if (!scopes.canRead(address)) throw forbidden('read', address)
    const param = await (await this.client()).get(address)
    if (param === undefined || this.isRemoved(param))
      throw new HttpError('not_found', `there is nothing at ${address}`, address)
    this.parts.counters.out++
    return param
  }

  /** Resolves with the new revision. */
  async set(
    address: string,
    value: Value,
    scopes: Scopes,
    { ttl, condition }: { ttl?: Ttl; condition?: Condition } = {},
  ): Promise<U64 | undefined> {
    this.enter(address, scopes)
    const revision = condition && (await this.expected(address, condition))
    const ack = await (await this.client()).set(address, value, { ttl, revision })
    this.parts.removed.forget(address)
    return ack.revision
  }

  /** Rejects with an HttpError when there is nothing. */
  async remove(address: string, scopes: Scopes, condition?: Condition): Promise<void> {
    this.enter(address, scopes)
    const { removed } = this.parts
    const client = await this.client()
    const param = await client.get(address)
    if (param === undefined || this.isRemoved(param))
      throw new HttpError('not_found', `there is nothing at ${address}`, address)
    const revision = condition && (await this.expected(address, condition))
    removed.begin(address)
    try {
      const ack = await client.set(address, { type: 'null' }, { revision })
      removed.end(address, ack.revision)
    } catch (error) {
      removed.forget(address)
      throw error
    }
  }

  async emit(address: string, payload: Value, scopes: Scopes): Promise<void> {
    this.enter(address, scopes)
    const timestamp = this.parts.clock.wallUs()
    await (await this.client()).publish({ address, signal: 'event', payload, timestamp })
  }

  /** All or nothing; `timestamp` in microseconds of the router's clock: not before that time. */
  async bundle(messages: readonly Message[], scopes: Scopes, timestamp?: U64): Promise<void> {
    for (const message of messages) if ('address' in message) this.enter(message.address ?? '', scopes)
    await (await this.client()).bundle([...messages], timestamp)
  }

  /** Those that match and may be read. Without a pattern that is all that may be read. */
  async params(text: string | undefined, scopes: Scopes): Promise<SnapshotParam[]> {
    const pattern = this.pattern(text, scopes)
    const params = await (await this.client()).snapshot(pattern)
    const readable = params.filter((param) => scopes.canRead(param.address) && !this.isRemoved(param))
    this.parts.counters.out += readable.length
    return readable
  }

  definitions(text: string | undefined, scopes: Scopes): SignalDefinition[] {
    const pattern = Pattern.parse(this.pattern(text, scopes))
    if (typeof pattern === 'string') return []
    return this.parts.announced(pattern).filter(({ address }) => scopes.canRead(address))
  }

  /** Throws an HttpError for what is no pattern, or reaches beyond the scopes. */
  pattern(text: string | undefined, scopes: Scopes): string {
    if (text === undefined) return '/**'
    const pattern = Pattern.parse(text)
    if (typeof pattern === 'string')
      throw new HttpError('bad_request', `"${text}" is no pattern (${pattern}): expected for example /lights/**`, text)
    if (!scopes.canReadAll(text)) throw forbidden('read', text)
    return text
  }

  isRemoved({ address, value, revision }: Pick<SnapshotParam, 'address' | 'value' | 'revision'>): boolean {
    return value.type === 'null' && this.parts.removed.has(address, revision)
  }

  private enter(address: string, scopes: Scopes): void {
    if (!scopes.canWrite(address)) throw forbidden('write', address)
    this.parts.counters.in++
  }

  /** The revision that a SET has to name so that the condition holds, for the router to check once more. */
  private async expected(address: string, condition: Condition): Promise<U64 | undefined> {
    const param = await (await this.client()).get(address)
    const found = param === undefined || this.isRemoved(param) ? undefined : param.revision
    if ('isAbsent' in condition) {
      if (found === undefined) return undefined
      throw new HttpError('conflict', `there is a value at ${address} already, with revision ${found}`, address)
    }
    const { revisions } = condition
    if (found !== undefined && revisions === '*') return undefined
    if (found !== undefined && revisions.includes(String(found))) return found
    const actual = found === undefined ? 'there is nothing' : `its revision is ${found}`
    throw new HttpError('conflict', `not what was expected at ${address}: ${actual}`, address)
  }
}

function forbidden(what: 'read' | 'write', address: string): HttpError {
  return new HttpError('forbidden', scopeRefusal(what, address), address)
}
