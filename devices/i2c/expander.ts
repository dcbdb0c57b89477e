import type { DeviceClock } from '../device.ts'
import { ChipUpkeep } from './chip-upkeep.ts'
import type { ExpanderInputs } from './expander-inputs.ts'
import type { ExpanderPort } from './expander-port.ts'

/** How often the chip is asked whether it still knows what it was told. */
export const CHECK_MS = 2000

export interface ExpanderParts {
  readonly port: ExpanderPort
  readonly inputs: ExpanderInputs
  readonly clock: DeviceClock
  /** Time between looks at the inputs, ms. */
  readonly pollMs: number
  /** Outputs that are on at a low level, as a mask. */
  readonly activeLow: number
  /** Outputs that are to be on now, as a mask. */
  on(): number
  /** The chip has forgotten everything. What `on` tells next is what it is set up with. */
  onReset(): void
  /** The chip cannot be talked to. */
  onFailure(error: Error): void
}

/** What goes on between an expander and its driver. */
export class Expander {
  private readonly parts: ExpanderParts
  private readonly upkeep: ChipUpkeep
  /** Outputs that are on; undefined: nobody knows. */
  private written: number | undefined
  private checkAt: number

  constructor(parts: ExpanderParts) {
    const { clock, onFailure } = parts
    this.parts = parts
    this.checkAt = clock.now() + CHECK_MS
    this.upkeep = new ChipUpkeep({ clock, onFailure, write: () => this.writeOut(), look: () => this.lookIn() })
  }

  /** Sets the chip up and tells its inputs. Rejects with an I2cError. */
  async start(): Promise<void> {
    await this.setUp()
    this.upkeep.lookIn(await this.lookIn())
  }

  /** `on` has changed. */
  write(): void {
    this.upkeep.write()
  }

  /** The chip is to have what `on` tells, whatever it was thought to have. */
  rewrite(): void {
    this.written = undefined
    this.upkeep.write()
  }

  /** The inputs have changed. */
  look(): void {
    this.upkeep.look()
  }

  settled(): Promise<void> {
    return this.upkeep.settled()
  }

  stop(): Promise<void> {
    return this.upkeep.stop()
  }

  private levels(on: number): number {
    return on ^ this.parts.activeLow
  }

  private async setUp(): Promise<void> {
    const on = this.parts.on()
    await this.parts.port.setUp(this.levels(on))
    this.written = on
  }

  private async writeOut(): Promise<void> {
    const wanted = this.parts.on()
    // Of two outputs that change places the one goes off before the other goes on.
    if (this.written !== undefined) await this.put(wanted & this.written)
    // What was made safe meanwhile does not go on; what is new has its turn with the next write.
    await this.put(wanted & this.parts.on())
  }

  private async put(on: number): Promise<void> {
    if (on === this.written) return
    await this.parts.port.write(this.levels(on))
    this.written = on
  }

  private async lookIn(): Promise<number> {
    const { port, inputs, clock, pollMs } = this.parts
    if (clock.now() >= this.checkAt) await this.check()
    return Math.min(pollMs, inputs.see(await port.read()))
  }

  private async check(): Promise<void> {
    this.checkAt = this.parts.clock.now() + CHECK_MS
    if (this.written === undefined || (await this.parts.port.isIntact(this.levels(this.written)))) return
    this.parts.onReset()
    await this.setUp()
  }
}
