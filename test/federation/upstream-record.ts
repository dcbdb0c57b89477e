import type { Message, SetParam } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'

/** The type of a message; the four kinds of FEDERATION_SYNC by their own names. */
export type FrameKind =
  | Exclude<Message['type'], 'FEDERATION_SYNC'>
  | 'DECLARE_NAMESPACES'
  | 'REQUEST_SYNC'
  | 'REVISION_VECTOR'
  | 'SYNC_COMPLETE'

/**
 * What became of a frame. Received: `handled`, `limited` (429), `ignored` (by order of the test). Sent: `sent`, `dropped`
 * (a broadcast that found no room), `withheld` (by order of the test), `lost` (too large for a frame).
 */
export type Fate = 'handled' | 'limited' | 'ignored' | 'sent' | 'dropped' | 'withheld' | 'lost'

export interface RecordedFrame {
  /** ms of the hub's clock. */
  atMs: number
  /** Counts the connections of the hub from 1. */
  connection: number
  direction: 'in' | 'out'
  kind: FrameKind
  fate: Fate
  message: Message
}

export function kindOf(message: Message): FrameKind {
  if (message.type !== 'FEDERATION_SYNC') return message.type
  return message.op.toUpperCase() as FrameKind
}

/** What peers sent to the hub and what was handled; of one session, or of all since the hub was made. */
export class SeenFrames {
  /** Frames that came, of every fate. */
  total = 0
  /** Refused with ERROR 429. */
  limited = 0
  /** They did not decode. */
  undecodable = 0
  /** Every SET that was handled, those in BUNDLEs included, in the order in which they came. */
  readonly sets: SetParam[] = []
  /** SETs with the value that the same address was set to just before. */
  identicalSets = 0
  private readonly kinds = new Map<FrameKind, number>()
  private readonly latest = new Map<string, string>()

  /** Frames of a kind that came, of every fate. */
  count(kind: FrameKind): number {
    return this.kinds.get(kind) ?? 0
  }

  /** The values that an address was set to, in order. */
  valuesOf(address: string): Value[] {
    return this.sets.filter((set) => set.address === address).map(({ value }) => value)
  }

  /** Undefined = it did not decode. */
  note(message: Message | undefined, fate: Fate): void {
    this.total++
    if (fate === 'limited') this.limited++
    if (message === undefined) {
      this.undecodable++
      return
    }
    const kind = kindOf(message)
    this.kinds.set(kind, this.count(kind) + 1)
    if (fate === 'handled') this.noteSets(message)
  }

  private noteSets(message: Message): void {
    if (message.type === 'BUNDLE') for (const inner of message.messages) this.noteSets(inner)
    if (message.type !== 'SET') return
    this.sets.push(message)
    const value = textOf(message.value)
    if (this.latest.get(message.address) === value) this.identicalSets++
    this.latest.set(message.address, value)
  }
}

function textOf(value: Value): string {
  return JSON.stringify(value, (_key, member) => {
    if (typeof member === 'bigint') return `${member}n`
    return typeof member === 'number' && !Number.isFinite(member) ? `${member}` : member
  })
}
