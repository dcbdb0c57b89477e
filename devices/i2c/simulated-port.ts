import type { ExpanderPort, PortLayout } from './expander-port.ts'

/** An expander that exists in software: outputs are as they were written, inputs as they are played. */
export class SimulatedPort implements ExpanderPort {
  private readonly layout: PortLayout
  private latch = 0
  private played: number

  constructor(layout: PortLayout, inputLevels: number) {
    this.layout = layout
    this.played = inputLevels
  }

  play(bit: number, isHigh: boolean): void {
    this.played = isHigh ? this.played | bit : this.played & ~bit
  }

  async latched(): Promise<{ outputs: number; levels: number }> {
    return { outputs: 0, levels: 0 }
  }

  async setUp(levels: number): Promise<void> {
    this.latch = levels
  }

  write(levels: number): Promise<void> {
    return this.setUp(levels)
  }

  async read(): Promise<number> {
    const { inputs, outputs } = this.layout
    return (this.played & inputs) | (this.latch & outputs)
  }

  async isIntact(): Promise<boolean> {
    return true
  }

  writesFor(): readonly Uint8Array[] {
    return []
  }
}
