/** A port that carries DMX512, in one direction, while it is open. */
export interface DmxLine {
  /** What it is, for the operator: ports, numbers, versions. */
  readonly details: Readonly<Record<string, string | number>>
  /** Levels of all 512 slots; on the wire they are repeated until others come. Copies. */
  send(levels: Uint8Array): void
  /** What was sent before has left when it resolves. Never rejects. */
  close(): Promise<void>
}

/** What a line tells. None comes after `close`, nor before it is open. */
export interface LineEvents {
  /** A frame arrived; the slots belong to the callee only during the call. */
  onFrame(startCode: number, slots: Uint8Array): void
  /** How frames went out lately, measured at the port. */
  onPace(pace: LinePace): void
  /** Something went wrong, and it goes on. `code` is a word for machines. */
  onProblem(code: string, message: string): void
  /** It is closed: unplugged, or its program ended. Comes once. */
  onGone(reason: string): void
}

/** From break to break. */
export interface LinePace {
  readonly frames: number
  readonly shortestMs: number
  readonly meanMs: number
  readonly longestMs: number
}
