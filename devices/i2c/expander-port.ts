/** An I/O expander, whatever its registers are. Bit n of levels and masks is its pin n; a set bit is a high level. */
export interface ExpanderPort {
  /** Pins that are outputs from before, and their levels, for those that are to be held. */
  latched(): Promise<{ outputs: number; levels: number }>
  /** Tells the chip everything. Outputs have these levels from the moment on at which they are outputs. */
  setUp(levels: number): Promise<void>
  write(levels: number): Promise<void>
  /** Levels of all pins. */
  read(): Promise<number>
  /** False: the chip has forgotten what it was told, as after a loss of its supply. */
  isIntact(levels: number): Promise<boolean>
  /** What brings a chip that was set up to these levels, for the guard. */
  writesFor(levels: number): readonly Uint8Array[]
}

/** Masks of a port: what the pins are for. */
export interface PortLayout {
  readonly outputs: number
  readonly inputs: number
  readonly pullUps: number
  /** The chip is to tell of changes of its inputs by its interrupt output. */
  readonly hasInterrupt: boolean
}
