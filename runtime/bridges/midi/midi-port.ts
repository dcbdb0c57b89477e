/** A MIDI cable in both directions, or in one of them, while it is open. */
export interface MidiPort {
  /** Bytes that it was given and that have not left the process; more than some kilobytes means: wait. */
  readonly backlogBytes: number
  /** Whole messages, or parts of SysEx in order. Copies. Ignored when the port is gone or closed. */
  write(bytes: Uint8Array): void
  /** What was written leaves first, as far as that takes no longer than a second. Never rejects. */
  close(): Promise<void>
}

export interface MidiPortEvents {
  /** In any portions. The bytes belong to the callee only during the call. */
  onBytes(bytes: Uint8Array): void
  /** It is closed: unplugged or failed. Comes once, and not after `close`. */
  onGone(reason: string): void
}

/** A port that can be opened now. */
export interface FoundPort {
  /** Tells it from others as long as it is there. */
  readonly key: string
  /** As the operator knows it. */
  readonly name: string
  /** Bytes/s that it carries; undefined: as many as it takes, and so for SysEx. */
  readonly bytesPerS: number | undefined
  readonly sysExBytesPerS: number | undefined
  /** Rejects with an error for the operator. */
  open(events: MidiPortEvents): Promise<MidiPort>
}
