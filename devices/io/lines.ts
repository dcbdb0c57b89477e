/** GPIO lines as drivers use them: the kernel's by a process that holds them (`line-holder.ts`), or made up. */
export interface Lines {
  /** All lines of the machine. Rejects with a LineError where there are none. */
  list(): Promise<LineInfo[]>
  /** Rejects with a LineError. */
  input(request: InputRequest): Promise<InputLine>
  /** Rejects with a LineError. The line has its initial level from the very start. */
  output(request: OutputRequest): Promise<OutputLine>
  /** A file that gets `safe` written when this process ends or hangs, as an output would. Rejects with a LineError. */
  guard(request: GuardRequest): Promise<Guard>
}

export interface LineInfo {
  chip: string
  /** As the driver of the chip calls it. */
  label: string
  offset: number
  /** As the device tree calls it; '' where it has no name. */
  name: string
  /** Who has it; '' = it is free. */
  consumer: string
}

export interface LineRequest {
  /** `GPIO17`, `gpiochip0:17` or `pin 11`. */
  line: string
  /** What the kernel shows as its user, at most 31 bytes. */
  consumer: string
  /** A low level means on. */
  activeLow: boolean
  /** Pull resistor; `asis` leaves it as the boot loader set it. */
  bias: 'asis' | 'up' | 'down' | 'none'
  /** The process that holds the lines has ended. */
  onLost(error: LineError): void
}

export interface Edge {
  isOn: boolean
  /** When the kernel saw it, on the clock of the runtime (`DeviceClock.now`). */
  atMs: number
  /**
   * Edges of the line so far; a gap means that the kernel's queue was full. The same again: this is no edge but the level,
   * after some were lost on the way.
   */
  sequence: number
}

export interface InputRequest extends LineRequest {
  /** The kernel ignores what is shorter; 0 = nothing. */
  debounceMs: number
  onEdge(edge: Edge): void
}

export interface InputLine {
  /** The level when it was opened. */
  readonly isOn: boolean
  /** The level now. */
  read(): Promise<boolean>
  close(): Promise<void>
}

/** What an output is to be when nobody is in charge: `release` makes it an input, which is high impedance. */
export type SafeState = 'off' | 'on' | 'hold' | 'release'

/** Who changed an output: it was on for too long, the runtime did not answer, or another one of its interlock went on. */
export type ForcedReason = 'maxOn' | 'watchdog' | 'interlock'

export interface OutputRequest extends LineRequest {
  drive: 'push-pull' | 'open-drain' | 'open-source'
  isOn: boolean
  /** High impedance at first instead, until it is set. */
  isReleased?: boolean
  /** What it is at first instead; off when it is no output yet. */
  isKept?: boolean
  safe: SafeState
  /** Off after so long; 0 = no limit. */
  maxOnMs: number
  /** Outputs with the same one are never on together. */
  interlock?: Interlock
  /** Somebody else than `set` changed it. */
  onForced(isOn: boolean, reason: ForcedReason): void
}

export interface Interlock {
  name: string
  /** What happens to one that is to go on while another is: that one goes off first, or this one stays off. */
  mode: 'exclusive' | 'reject'
  /** Between the one going off and the other going on. */
  deadTimeMs: number
}

export interface OutputLine {
  /** What it was when it was opened. */
  readonly isOn: boolean
  set(isOn: boolean): void
  /** High impedance, until it is set. */
  release(): void
  /** On for so many microseconds, 1…1000, exactly. */
  strobe(us: number): void
  /**
   * `count` pulses, one each `periodUs` (≥ 200); replaces what is still to come, and with 0 ends it. `onDone` is told once how
   * many were made: fewer when they were replaced, or the output was set or made safe.
   */
  pulses(count: number, periodUs: number, onDone: (made: number) => void): void
  /** The level now. */
  read(): Promise<boolean>
  /** Safe, then free. */
  close(): Promise<void>
}

export interface GuardedFile {
  path: string
  /** At most 31 bytes. */
  safe: string
}

export interface GuardRequest extends GuardedFile {
  /** Gets its text before the other one does; that never changes. */
  before?: GuardedFile
  /** It was written. */
  onForced(reason: ForcedReason): void
  /** Nobody guards it any more. */
  onLost(error: LineError): void
}

export interface Guard {
  /** What is to be written from now on. */
  change(safe: string): void
  /** Writes what is safe and lets go of the file. */
  close(): Promise<void>
}

export type LineProblem = 'unknown' | 'busy' | 'denied' | 'missing' | 'unsupported' | 'lost' | 'failed'

/** A line that cannot be had. The text says what happened and what to do. */
export class LineError extends Error {
  readonly code: LineProblem

  constructor(code: LineProblem, message: string) {
    super(message)
    this.name = 'LineError'
    this.code = code
  }
}
