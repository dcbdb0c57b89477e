import { CHANNELS } from './midi-status.ts'

const NOTES = 128

/** Notes that sound, of 16 channels. */
export class SoundingNotes {
  private readonly velocities = new Uint8Array(CHANNELS * NOTES)
  /** Channels that ever had a note. */
  private readonly used = new Set<number>()

  get channels(): ReadonlySet<number> {
    return this.used
  }

  /** Velocity 0: it ends. */
  set(channel: number, note: number, velocity: number): void {
    if (velocity > 0) this.used.add(channel)
    this.velocities[channel * NOTES + note] = velocity
  }

  /** All that sound, in one channel or in all; they do not any more. */
  end(onEnd: (channel: number, note: number) => void, only?: number): void {
    for (const channel of this.used) {
      if (only !== undefined && channel !== only) continue
      for (let note = 0; note < NOTES; note++) {
        if (this.velocities[channel * NOTES + note] === 0) continue
        this.velocities[channel * NOTES + note] = 0
        onEnd(channel, note)
      }
    }
  }
}
