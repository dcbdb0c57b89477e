import type {
  Message,
  Phase,
  Publish,
  Signal,
  SnapshotParam,
  Timeline,
  U64,
} from '../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { ClientError } from './client-error.ts'

/** One signal that arrived. */
export interface Delivery {
  address: string
  signal: Signal
  /** Absent when the sender gave none. */
  value?: Value
  /** Of a param. */
  revision?: U64
  /** Session id of the last writer; of initial values only. */
  writer?: string
  /** Microseconds since the Unix epoch, by the sender's or the router's clock. */
  timestamp?: U64
  phase?: Phase
  /** Of a gesture. */
  id?: number
  samples?: number[]
  /** Samples per second. */
  rate?: number
  timeline?: Timeline
  /** The state when the subscription began, not a change. */
  isInitial: boolean
}

/** What a subscription has to know to pick its messages from those of the connection. */
export class SubscriptionFilter {
  private readonly patterns: Pattern[]
  private readonly types: readonly Signal[]
  private readonly handler: (delivery: Delivery) => void
  /** Revisions of the initial values so far; overlapping patterns bring a param several times. */
  private initial: Map<string, U64> | undefined = new Map()

  constructor(patterns: readonly string[], types: readonly Signal[], handler: (delivery: Delivery) => void) {
    this.patterns = patterns.map(parsePattern)
    this.types = types
    this.handler = handler
  }

  endInitial(): void {
    this.initial = undefined
  }

  onMessage(message: Message): void {
    switch (message.type) {
      case 'SET': {
        if (!this.wants(message.address, 'param')) return
        const { address, value, revision } = message
        if (this.initial !== undefined && revision !== undefined) this.initial.set(address, revision)
        this.handler({ address, signal: 'param', value, revision, isInitial: false })
        return
      }
      case 'PUBLISH':
        // Only a legacy peer can leave the kind of signal out; then it is for everybody.
        if (this.matches(message.address) && (message.signal === undefined || this.hasType(message.signal)))
          this.handler(published(message))
        return
      case 'SNAPSHOT':
        for (const param of message.params) this.onInitial(param)
    }
  }

  private onInitial(param: SnapshotParam): void {
    if (this.initial === undefined || this.initial.has(param.address) || !this.wants(param.address, 'param')) return
    this.initial.set(param.address, param.revision)
    this.handler({ ...param, signal: 'param', isInitial: true })
  }

  private wants(address: string, signal: Signal): boolean {
    return this.hasType(signal) && this.matches(address)
  }

  private hasType(signal: Signal): boolean {
    return this.types.length === 0 || this.types.includes(signal)
  }

  private matches(address: string): boolean {
    return this.patterns.some((pattern) => pattern.matches(address))
  }
}

/** Throws a ClientError for what is not a pattern. */
export function parsePattern(text: string): Pattern {
  const pattern = Pattern.parse(text)
  if (typeof pattern !== 'string') return pattern
  throw new ClientError(
    'rejected',
    `"${text}" is not an address pattern (${pattern})`,
    'expected for example /lights/**',
  )
}

function published(message: Publish): Delivery {
  const { address, signal = 'event', value, payload, phase, id, timestamp, samples, rate, timeline } = message
  const isGesture = signal === 'gesture'
  return {
    address,
    signal,
    value: value ?? payload,
    timestamp,
    phase: isGesture ? phase : undefined,
    id: isGesture ? id : undefined,
    samples,
    rate,
    timeline,
    isInitial: false,
  }
}
