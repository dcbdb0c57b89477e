import type { Message, SnapshotParam } from '../../firmware-protocol/wire/message.ts'
import type { FrameKind } from './upstream-record.ts'

/** How a hub misbehaves beyond its everyday defects. Everything may be changed at any time; nothing is set at first. */
export class UpstreamFaults {
  /** Received frames of these kinds are recorded and neither carried out nor answered. */
  readonly ignores = new Set<FrameKind>()
  /** Frames of these kinds are not sent, although what they report has happened. */
  readonly withholds = new Set<FrameKind>()
  /** The connection is cut instead of carrying out a frame of these kinds. */
  readonly cutsOn = new Set<FrameKind>()
  /** The connection is cut instead of sending a frame of these kinds. */
  readonly cutsBefore = new Set<FrameKind>()
  /** ms by which everything that the hub sends comes late. */
  delayMs = 0
  /** Instead of the revision in ACKs. */
  ackRevision: ((address: string | undefined, revision: number) => number) | undefined
  /** Instead of the revision in broadcasts. */
  echoRevision: ((address: string, revision: number) => number) | undefined
  /** Instead of the bytes of a frame, for example fewer of them. */
  mangle: ((frame: Uint8Array, message: Message) => Uint8Array) | undefined
  /** REQUEST_SYNC is answered with SNAPSHOTs of these params, turn after turn, until the connection ends. */
  endlessSnapshot: SnapshotParam[] | undefined
  private broadcastsToDrop = 0
  private dropsFor: string | undefined

  /** The next broadcasts, to one session or to all, find no room. */
  dropBroadcasts(count: number, session?: { id: string }): void {
    this.broadcastsToDrop = count
    this.dropsFor = session?.id
  }

  /** Whether the broadcast that is about to go to the session is one of those to be dropped. */
  takeDrop(sessionId: string): boolean {
    if (this.broadcastsToDrop === 0 || (this.dropsFor ?? sessionId) !== sessionId) return false
    this.broadcastsToDrop--
    return true
  }
}
