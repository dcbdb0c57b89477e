import { type MessageReader, ProgramMessage } from '../process/program-messages.ts'
import { FromHolder, MAX_LINES, ToHolder } from './holder-messages.ts'
import { explainOpenFailure } from './line-failure.ts'
import { type ForcedReason, LineError, type LineInfo, type LineRequest } from './lines.ts'

const FORCED: readonly (ForcedReason | undefined)[] = [undefined, 'maxOn', 'watchdog', 'interlock']

export type HeldRequest = Pick<LineRequest, 'line' | 'consumer' | 'onLost'>

/** That of a file has its path instead of a chip, and the offset -1. */
export type HeldPlace = Pick<LineInfo, 'chip' | 'offset' | 'consumer'>

/** A line, or a guarded file, that the process has or was asked for. */
export interface Held {
  /** As the configuration calls it. */
  line: string
  place: string
  onOpened(isOn: boolean): void
  onFailed(errno: number): void
  onEdge?(isOn: boolean, ns: number, sequence: number): void
  onForced?(isOn: boolean, reason: ForcedReason): void
  onLost(error: LineError): void
  /** By train of pulses that is not through, in order. */
  readonly trains: ((made: number) => void)[]
  /** Those who asked for the level. */
  readonly readers: { resolve(isOn: boolean): void; reject(error: LineError): void }[]
  onClosed?(): void
  isOpen: boolean
  /** Of its last edge. */
  sequence: number
}

/** What clasp-io has for this process, by handle, and what it tells of each. */
export class HeldLines {
  private readonly send: (message: ProgramMessage) => void
  private readonly held: (Held | undefined)[] = []
  private readonly places = new Map<string, string>()

  constructor(send: (message: ProgramMessage) => void) {
    this.send = send
  }

  /** Something was asked about one of them, and not answered yet. */
  get isAnswerDue(): boolean {
    return this.held.some((one) => one !== undefined && (!one.isOpen || one.readers.length > 0))
  }

  /** Open lines that tell their edges. */
  get inputs(): (readonly [handle: number, held: Held])[] {
    return this.held.flatMap((held, handle) =>
      held?.onEdge !== undefined && held.isOpen ? [[handle, held] as const] : [],
    )
  }

  /** Takes a handle; `opened` settles with the answer to the message that is sent next. */
  hold(
    { line, consumer, onLost }: HeldRequest,
    info: HeldPlace,
  ): { held: Held; handle: number; opened: Promise<boolean> } {
    let handle = this.held.indexOf(undefined)
    if (handle < 0) handle = this.held.length
    if (handle >= MAX_LINES) throw new LineError('failed', `more than ${MAX_LINES} lines: use fewer devices`)
    const place = placeOf(info)
    const user = this.places.get(place)
    if (user !== undefined) {
      throw new LineError('busy', `${line} is used by ${user} already: give ${consumer} another line`)
    }
    let held: Held | undefined
    const opened = new Promise<boolean>((resolve, reject) => {
      held = {
        line,
        place,
        isOpen: false,
        sequence: 0,
        readers: [],
        trains: [],
        onOpened: resolve,
        onFailed: (errno) => {
          this.release(handle)
          explainOpenFailure(line, info, errno).then(reject)
        },
        onLost: (error) => {
          reject(error)
          onLost(error)
        },
      }
      this.held[handle] = held
    })
    this.places.set(place, consumer)
    return { held: held as unknown as Held, handle, opened }
  }

  /** A message about one of them. */
  receive(type: number, body: MessageReader): void {
    const handle = body.u16()
    const held = this.held[handle]
    if (held !== undefined) this.receiveFor(held, handle, type, body)
  }

  /** The process has ended: all are lost. */
  ended(error: LineError): void {
    for (const [handle, held] of this.held.entries()) {
      if (held === undefined) continue
      const isWanted = held.onClosed === undefined
      this.release(handle)
      for (const { reject } of held.readers.splice(0)) reject(error)
      held.onClosed?.()
      if (isWanted) held.onLost(error)
    }
  }

  private release(handle: number): void {
    const held = this.held[handle]
    if (held === undefined) return
    this.places.delete(held.place)
    held.isOpen = false
    this.held[handle] = undefined
  }

  private receiveFor(held: Held, handle: number, type: number, body: MessageReader): void {
    if (type === FromHolder.edge) {
      const isOn = body.u8() !== 0
      const ms = body.ms()
      held.sequence = body.u32()
      held.onEdge?.(isOn, ms, held.sequence)
    } else if (type === FromHolder.level) {
      held.readers.shift()?.resolve(body.u8() !== 0)
    } else if (type === FromHolder.forced) {
      const isOn = body.u8() !== 0
      const reason = FORCED[body.u8()]
      // It keeps outputs safe until it hears that this is known here.
      if (reason === 'watchdog') this.send(new ProgramMessage(ToHolder.resume))
      if (reason !== undefined) held.onForced?.(isOn, reason)
    } else if (type === FromHolder.done) {
      held.trains.shift()?.(body.u32())
    } else if (type === FromHolder.opened) {
      held.isOpen = true
      held.onOpened(body.u8() !== 0)
    } else if (type === FromHolder.closed) {
      this.release(handle)
      held.onClosed?.()
    } else if (type === FromHolder.failed) {
      this.onFailed(held, handle, body.u32())
    }
  }

  private onFailed(held: Held, handle: number, errno: number): void {
    if (!held.isOpen && held.onClosed === undefined) {
      held.onFailed(errno)
      return
    }
    const error = new LineError('lost', `${held.line} does not work any more (error ${errno}): is it still there?`)
    for (const { reject } of held.readers.splice(0)) reject(error)
    if (held.onClosed !== undefined) return
    this.send(new ProgramMessage(ToHolder.close).u16(handle))
    held.isOpen = false
    held.onClosed = () => {}
    held.onLost(error)
  }
}

function placeOf({ chip, offset }: { chip: string; offset: number }): string {
  return offset < 0 ? chip : `${chip}:${offset}`
}
