import { MessageCode, PhaseCode, PublishFlag, SignalCode } from '../../firmware-protocol/wire/constants.ts'
import { decodeUtf8 } from '../../firmware-protocol/wire/utf8.ts'
import { readU16, readU32 } from './bytes.ts'
import type { QueueOptions } from './options.ts'

/** Order of sacrifice under pressure: streams and moves go first, params only ever lose to a newer value. */
const Kind = { replaceable: 0, param: 1, lasting: 2 } as const
type Kind = (typeof Kind)[keyof typeof Kind]

interface Waiting {
  kind: Kind
  frame: Uint8Array
}

/**
 * What waits for a session whose link does not keep up, as bare frames in delivery order. A newer SET replaces an older
 * one of its address and a newer stream value or gesture move the older one, each at the end of the queue, so that the
 * order between addresses stays true. Events, gesture starts and ends, timelines and replies are kept.
 */
export class SendQueue {
  private readonly options: QueueOptions
  private readonly waiting = new Map<string, Waiting>()
  /** Keys of what goes first, oldest first. */
  private readonly replaceable = new Set<string>()
  private serial = 0
  bytes = 0

  constructor(options: QueueOptions) {
    this.options = options
  }

  get length(): number {
    return this.waiting.size
  }

  /** Queues a copy of one frame. Returns how many messages were given up for it, or -1 when nothing can give way any more. */
  push(frame: Uint8Array, start: number, end: number): number {
    let dropped = 0
    const kind = kindOf(frame, start)
    const key = kind === Kind.lasting ? `${this.serial++}` : keyOf(frame, start, kind)
    const older = this.waiting.get(key)
    if (older !== undefined) {
      this.remove(key, older)
      dropped++
    }
    const size = end - start
    while (this.bytes + size > this.options.maxBytes || this.waiting.size >= this.options.maxMessages) {
      const [oldest] = this.replaceable
      if (oldest === undefined) return kind === Kind.replaceable ? dropped + 1 : -1
      this.remove(oldest, this.waiting.get(oldest) as Waiting)
      dropped++
    }
    this.waiting.set(key, { kind, frame: frame.slice(start, end) })
    this.bytes += size
    if (kind === Kind.replaceable) this.replaceable.add(key)
    return dropped
  }

  /** The next frame to send, undefined when there is none. */
  shift(): Uint8Array | undefined {
    for (const [key, next] of this.waiting) {
      this.remove(key, next)
      return next.frame
    }
    return undefined
  }

  private remove(key: string, { frame }: Waiting): void {
    this.waiting.delete(key)
    this.replaceable.delete(key)
    this.bytes -= frame.length
  }
}

function kindOf(frame: Uint8Array, start: number): Kind {
  const code = frame[start + 4]
  if (code === MessageCode.set) return Kind.param
  if (code !== MessageCode.publish) return Kind.lasting
  const flags = frame[start + 5]
  const signal = flags >>> 5
  if (signal === SignalCode.stream) return Kind.replaceable
  const isMove = signal === SignalCode.gesture && (flags & PublishFlag.phaseMask) === PhaseCode.move
  return isMove ? Kind.replaceable : Kind.lasting
}

/** SET and PUBLISH: type, flags, address. Gesture moves are told apart by their id as well, which is the last field. */
function keyOf(frame: Uint8Array, start: number, kind: Kind): string {
  const addressEnd = start + 8 + readU16(frame, start + 6)
  const address = decodeUtf8(frame, start + 8, addressEnd)
  if (kind === Kind.param) return `=${address}`
  const flags = frame[start + 5]
  if (flags >>> 5 === SignalCode.stream) return `~${address}`
  const end = start + 4 + readU16(frame, start + 2)
  const id = (flags & PublishFlag.id) !== 0 ? readU32(frame, end - 4) : 0
  return `${id}>${address}`
}
