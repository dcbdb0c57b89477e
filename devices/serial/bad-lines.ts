import type { DeviceContext } from '../device.ts'

const TELL_EVERY_MS = 60_000
const SHOWN_CHARACTERS = 60

/** Counts what could not be read, and tells it once a minute: with a wrong baud rate every line is bad. */
export class BadLines {
  private readonly context: Pick<DeviceContext, 'name' | 'clock' | 'problem'>
  private count = 0
  private toldAt = Number.NEGATIVE_INFINITY

  constructor(context: Pick<DeviceContext, 'name' | 'clock' | 'problem'>) {
    this.context = context
  }

  /** `reason` says what is wrong with the line, and what to do. */
  add(line: string, reason: string): void {
    const { name, clock, problem } = this.context
    this.count++
    const now = clock.now()
    if (now - this.toldAt < TELL_EVERY_MS) return
    this.toldAt = now
    const lines = this.count === 1 ? 'a line' : `${this.count} lines`
    this.count = 0
    problem('line', `${name}: ${lines} could not be read; the last one is ${shown(line)}: ${reason}`)
  }
}

/** As JSON text, so that control characters show. */
function shown(line: string): string {
  const text = line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line
  return JSON.stringify(text)
}
