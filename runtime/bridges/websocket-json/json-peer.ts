import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Client } from '../../client/client.ts'
import { ClientError } from '../../client/client-error.ts'
import type { Delivery } from '../../client/subscription.ts'
import { OwnWrites } from '../../routes/own-writes.ts'
import { NULL } from '../json-value.ts'
import { LastValues } from '../last-values.ts'
import type { MirrorGuard } from '../mirror-guard.ts'
import type { Scopes, ScopeTable } from '../scopes.ts'
import type { MessageCodec, Outgoing } from './json-codec.ts'
import { type JsonRequest, messageOf, type Operation, readRequest } from './json-request.ts'
import { scopeProblem } from './scope-problem.ts'

const MAX_SUBSCRIPTIONS = 256
const SNAPSHOT_PARAMS = 500

export interface PeerParts {
  readonly client: Client
  readonly namespace: string
  readonly codec: MessageCodec
  readonly access: ScopeTable
  /** The token of the request that opened the WebSocket. */
  readonly shown: string | undefined
  readonly mirrors: MirrorGuard
  send(message: string | Uint8Array, key?: string): void
  /** Resolves when an answer would not have to wait behind others. */
  room(): Promise<void>
  close(code: number, reason: string): void
  onReceived(): void
  onSent(): void
  onLoop(address: string): void
  /** It asked for something that cannot be, or was not understood. */
  onRefused(): void
}

/** One client of the bridge: its requests become those of a router client of its own. Source: bridges.md §12.3. */
export class JsonPeer {
  private readonly parts: PeerParts
  private readonly own = new OwnWrites<true>()
  /** Of one that is told everything. */
  private readonly last = new LastValues()
  private readonly patterns = new Map<string, { unsubscribe(): void }>()
  private everything: { unsubscribe(): void } | null = null
  /** Undefined: it has to show a token first. */
  private scopes: Scopes | undefined
  /** It has subscribed once, and gets what it asked for and nothing else. */
  private isChoosy = false

  constructor(parts: PeerParts) {
    this.parts = parts
    // With a wrong token as without one: it may show another.
    this.scopes = parts.access.find(parts.shown) ?? parts.access.find(undefined)
  }

  /** Whether it has shown a token, where that has to be. */
  get isWelcome(): boolean {
    return this.scopes !== undefined
  }

  /** Until it subscribes to something, it gets all below the namespace in the plain form. */
  async begin(): Promise<void> {
    if (this.scopes === undefined || this.isChoosy) return
    const pattern = `${this.parts.namespace}/**`
    const subscription = await this.parts.client.subscribe([pattern], (delivery) => {
      const mayHear = !this.isChoosy && this.scopes?.canRead(delivery.address)
      if (mayHear && !this.isOwn(delivery) && this.isNews(delivery))
        this.tell(
          [
            ['address', delivery.address],
            ['value', delivery.value ?? NULL],
          ],
          delivery,
        )
    })
    if (this.isChoosy) subscription.unsubscribe()
    else this.everything = subscription
  }

  /** What arrived on the socket. */
  async receive(data: string | Uint8Array): Promise<void> {
    const { codec, namespace } = this.parts
    this.parts.onReceived()
    const message = codec.decode(data)
    if (message !== undefined) {
      const request = readRequest(message)
      if (request.type === 'misunderstood') {
        this.refuse(request.id, request.request, request.reason, 400)
        return
      }
      await this.guarded(request)
    } else if (typeof data === 'string') {
      await this.guarded({ type: 'plain', address: `${namespace}/text`, value: { type: 'string', value: data } })
    } else {
      await this.guarded({ type: 'plain', address: `${namespace}/binary`, value: { type: 'bytes', value: data } })
    }
  }

  private async guarded(request: JsonRequest): Promise<void> {
    const id = 'id' in request ? request.id : undefined
    if (this.scopes === undefined && request.type !== 'auth') {
      this.refuse(id, request.type, 'say who you are first: {"type":"auth","token":"…"}', 401)
      return
    }
    const problem = this.scopes && scopeProblem(request, this.scopes, this.parts.namespace)
    if (problem !== undefined) {
      this.refuse(id, request.type, problem, 403)
      return
    }
    try {
      await this.serve(request)
    } catch (error) {
      const code = error instanceof ClientError ? error.code : undefined
      this.refuse(id, request.type, (error as Error).message, code ?? 400)
    }
  }

  private async serve(request: JsonRequest): Promise<void> {
    const { client, namespace } = this.parts
    switch (request.type) {
      case 'plain':
        await this.set(request.address ?? `${namespace}/message`, request.value)
        return
      case 'set': {
        const ack = await this.set(request.address, request.value)
        if (request.wantsAck || request.id !== undefined)
          this.answer('ack', request.id, [['revision', Number(ack.revision ?? 0)]])
        return
      }
      case 'emit':
        await client.publish({ address: request.address, signal: 'event', payload: request.value })
        if (request.wantsAck || request.id !== undefined) this.answer('ack', request.id, [])
        return
      case 'get': {
        const { id, address } = request
        const param = await client.get(address)
        if (param === undefined) this.refuse(id, 'get', `there is nothing at ${address}`, 404)
        else
          this.answer('value', id, [
            ['address', address],
            ['value', param.value],
            ['revision', Number(param.revision ?? 0)],
          ])
        return
      }
      case 'subscribe':
        await this.subscribe(request.pattern, request.id)
        return
      case 'unsubscribe':
        this.patterns.get(request.pattern)?.unsubscribe()
        this.patterns.delete(request.pattern)
        if (request.id !== undefined) this.answer('ack', request.id, [])
        return
      case 'snapshot':
        await this.snapshot(request.pattern, request.id)
        return
      case 'batch': {
        await this.bundle(request.operations)
        if (request.wantsAck || request.id !== undefined)
          this.answer('ack', request.id, [['applied', request.operations.length]])
        return
      }
      case 'auth':
        await this.authenticate(request.token, request.id)
        return
      case 'ping':
        this.answer('pong', request.id, [])
        return
    }
  }

  private async set(address: string, value: Value) {
    const { mirrors, onLoop } = this.parts
    if (!mirrors.allows('server', address, value, () => onLoop(address)))
      throw new Error(`values go round in circles at ${address}: it rests for 5 s`)
    this.own.expect(address, value, true)
    try {
      return await this.parts.client.set(address, value)
    } finally {
      this.own.answered(address)
    }
  }

  private async bundle(operations: readonly Operation[]): Promise<void> {
    const messages = operations.map(messageOf)
    const sets = messages.filter((message) => message.type === 'SET')
    for (const { address, value } of sets) this.own.expect(address, value, true)
    try {
      await this.parts.client.bundle(messages)
    } finally {
      for (const { address } of sets) this.own.answered(address)
    }
  }

  private async subscribe(pattern: string, id: Value | undefined): Promise<void> {
    if (this.patterns.size >= MAX_SUBSCRIPTIONS)
      throw new Error(`there are ${MAX_SUBSCRIPTIONS} subscriptions already: unsubscribe from some`)
    if (this.patterns.has(pattern)) {
      if (id !== undefined) this.answer('ack', id, [])
      return
    }
    this.isChoosy = true
    this.everything?.unsubscribe()
    this.everything = null
    const placeholder = { unsubscribe() {} }
    this.patterns.set(pattern, placeholder)
    try {
      const subscription = await this.parts.client.subscribe([pattern], (delivery) => this.deliver(delivery))
      // It may have been ended meanwhile.
      if (this.patterns.get(pattern) === placeholder) this.patterns.set(pattern, subscription)
      else subscription.unsubscribe()
    } catch (error) {
      this.patterns.delete(pattern)
      throw error
    }
    if (id !== undefined) this.answer('ack', id, [])
  }

  private async snapshot(pattern: string, id: Value | undefined): Promise<void> {
    const found = await this.parts.client.snapshot(pattern)
    const params = found.filter(({ address }) => this.scopes?.canRead(address))
    for (let at = 0; at === 0 || at < params.length; at += SNAPSHOT_PARAMS) {
      await this.parts.room()
      const some = params.slice(at, at + SNAPSHOT_PARAMS).map(({ address, value }) => [address, value] as const)
      const isFinal = at + SNAPSHOT_PARAMS >= params.length
      this.answer('snapshot', id, [
        ['state', { type: 'map', value: some }],
        ['final', isFinal],
      ])
    }
  }

  private async authenticate(token: string, id: Value | undefined): Promise<void> {
    const scopes = this.parts.access.find(token)
    if (scopes === undefined) {
      this.parts.onRefused()
      this.parts.close(1008, 'this is not the token')
      return
    }
    const isKnown = scopes === this.scopes
    this.scopes = scopes
    this.answer('ack', id, [])
    if (isKnown) return
    // There may be more to tell than before.
    this.everything?.unsubscribe()
    this.everything = null
    await this.begin()
  }

  private deliver(delivery: Delivery): void {
    if (this.isOwn(delivery)) return
    const { signal, address, value = NULL, revision, phase, samples } = delivery
    const type = signal === 'param' ? 'value' : signal
    const list: Value | undefined = samples && {
      type: 'array',
      value: samples.map((sample) => ({ type: 'f64', value: sample })),
    }
    this.tell(
      [
        ['type', type],
        ['address', address],
        ['value', list ?? value],
        ['revision', revision === undefined ? undefined : Number(revision)],
        ['phase', phase],
      ],
      delivery,
    )
  }

  private isOwn({ signal, isInitial, address, value }: Delivery): boolean {
    if (signal !== 'param' || isInitial || value === undefined || this.own.take(address, value) !== true) return false
    if (!this.isChoosy) this.last.note(address, value)
    return true
  }

  /** One that it knows is not said again, or it would go round between nodes that are clients of each other. */
  private isNews({ signal, address, value = NULL }: Delivery): boolean {
    return signal !== 'param' || this.last.isNews(address, value)
  }

  private tell(message: Outgoing, { signal, address, value = NULL, isInitial }: Delivery): void {
    const isState = signal === 'param' || signal === 'stream'
    if (signal === 'param' && !isInitial) this.parts.mirrors.told('server', address, value)
    this.parts.onSent()
    this.parts.send(this.parts.codec.encode(message), isState ? address : undefined)
  }

  private answer(type: string, id: Value | undefined, members: Outgoing): void {
    this.parts.send(this.parts.codec.encode([['type', type], ['id', id], ...members]))
  }

  private refuse(id: Value | undefined, request: string, message: string, code: number): void {
    this.parts.onRefused()
    this.answer('error', id, [
      ['message', message],
      ['code', code],
      ['request_type', request],
    ])
  }
}
