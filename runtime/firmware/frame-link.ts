import { frameLength } from '../../firmware-protocol/wire/frame.ts'
import {
  bareFraming,
  type CloseCode,
  type Link,
  type LinkAcceptor,
  type LinkHandler,
  type LinkLimits,
} from '../router/link.ts'
import { OutputBuffer } from '../router/output.ts'
import { helloFrame } from '../transports/datagram-frame.ts'
import { slipEncode } from '../transports/slip.ts'
import type { OpenPort } from './serial-line.ts'

/** Frames larger than this do not go to microcontrollers. */
const MAX_FRAME_BYTES = 1024

export interface FrameLinkOwner {
  /** The router has closed the session. */
  onEnd(): void
  /** One frame leaves. */
  onSend(bytes: Uint8Array, start: number, end: number): void
}

/** A peer that speaks plain CLASP frames on a serial line, bare or in SLIP, as upstream firmware does. */
export class FrameLink implements Link {
  readonly transport = 'serial'
  readonly remote: string
  readonly framing = bareFraming
  readonly limits: LinkLimits = { maxFrameBytes: MAX_FRAME_BYTES, idleTimeoutMs: 0, isReliable: false }
  readonly output = new OutputBuffer(512)
  private readonly port: OpenPort
  private readonly mode: 'raw' | 'slip'
  private readonly owner: FrameLinkOwner
  private readonly escaped = new OutputBuffer(512)
  private handler: LinkHandler | null = null

  constructor(port: OpenPort, remote: string, mode: 'raw' | 'slip', owner: FrameLinkOwner) {
    this.port = port
    this.remote = remote
    this.mode = mode
    this.owner = owner
  }

  get backlogBytes(): number {
    return this.port.backlogBytes
  }

  /** Attaches it to the router; with a name, HELLO is said for a peer that has not said it. */
  open(acceptor: LinkAcceptor, implicitName: string | null): void {
    this.handler = acceptor.attach(this)
    if (implicitName === null) return
    const hello = helloFrame(implicitName)
    this.handler.onFrame(hello, 0, hello.length)
  }

  receive(bytes: Uint8Array, start: number, end: number): void {
    this.handler?.onFrame(bytes, start, end)
  }

  onDrain(): void {
    this.handler?.onDrain()
  }

  flush(): void {
    const { output, escaped } = this
    if (output.length === 0) return
    for (let at = 0; at < output.length; ) {
      const end = at + frameLength(output.bytes, at, output.length)
      this.owner.onSend(output.bytes, at, end)
      if (this.mode === 'slip') slipEncode(output.bytes, at, end, escaped)
      at = end
    }
    const wire = this.mode === 'slip' ? escaped : output
    this.port.write(wire.bytes.subarray(0, wire.length))
    escaped.length = 0
    output.length = 0
  }

  /** The router closes the session. The port stays open: the next HELLO starts another one. */
  close(_code: CloseCode, reason: string): void {
    this.flush()
    this.owner.onEnd()
    this.end(reason)
  }

  end(reason: string): void {
    const { handler } = this
    this.handler = null
    handler?.onClose(reason)
  }
}
