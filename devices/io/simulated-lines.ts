import type { DeviceClock } from '../device.ts'
import {
  type Guard,
  type GuardRequest,
  type InputLine,
  type InputRequest,
  LineError,
  type LineInfo,
  type Lines,
  type OutputLine,
  type OutputRequest,
  type SafeState,
} from './lines.ts'

interface SimulatedOutput {
  request: OutputRequest
  isOn: boolean
  /** When it went off; interlocks wait from then on. */
  offAt: number
  offBy: { cancel(): void } | null
  onWhen: { cancel(): void } | null
  pulses: { cancel(): void } | null
}

/**
 * Lines that exist only here: the twin of `LineHolder`, with the same rules for outputs. Every name is a line. A test, or
 * a client of a simulated device, drives the inputs and sees the levels.
 */
export class SimulatedLines implements Lines {
  private readonly clock: DeviceClock
  private readonly levels = new Map<string, boolean>()
  private readonly released = new Set<string>()
  private readonly inputs = new Map<string, InputRequest>()
  private readonly outputs = new Map<string, SimulatedOutput>()
  private readonly sequences = new Map<string, number>()
  private readonly guards = new Map<string, string>()
  /** Told of every change of an output. */
  onOutput: (line: string, isOn: boolean) => void = () => {}
  /** Told of every strobe: an echo may come back. */
  onStrobe: (line: string, us: number) => void = () => {}

  constructor(clock: DeviceClock) {
    this.clock = clock
  }

  /** The logical level. */
  isOn(line: string): boolean {
    return this.levels.get(line) ?? false
  }

  /** Whether an output is of high impedance. */
  isReleased(line: string): boolean {
    return this.released.has(line)
  }

  /** Drives an input; an edge when the level changes. `atMs`: when the kernel would have seen it. */
  drive(line: string, isOn: boolean, atMs = this.clock.now()): void {
    if (this.isOn(line) === isOn) return
    this.levels.set(line, isOn)
    const sequence = (this.sequences.get(line) ?? 0) + 1
    this.sequences.set(line, sequence)
    this.inputs.get(line)?.onEdge({ isOn, atMs, sequence })
  }

  /** As if the hardware of the line went. */
  unplug(line: string): void {
    const request = this.inputs.get(line) ?? this.outputs.get(line)?.request
    this.inputs.delete(line)
    this.outputs.delete(line)
    request?.onLost(new LineError('lost', `${line} does not work any more: is it still there?`))
  }

  /** What the watchdog of the real lines does when the runtime hangs. */
  fallSafe(): void {
    for (const [line, output] of this.outputs) {
      this.applySafe(line, output, output.request.safe)
      output.request.onForced(output.isOn, 'watchdog')
    }
  }

  async list(): Promise<LineInfo[]> {
    const used = [...this.inputs, ...[...this.outputs].map(([line, { request }]) => [line, request] as const)]
    return used.map(([name, { consumer }], offset) => ({ chip: 'simulated', label: '', offset, name, consumer }))
  }

  async input(request: InputRequest): Promise<InputLine> {
    const { line } = request
    this.claim(request)
    this.inputs.set(line, request)
    return {
      isOn: this.isOn(line),
      read: async () => this.isOn(line),
      close: async () => {
        if (this.inputs.get(line) === request) this.inputs.delete(line)
      },
    }
  }

  async output(request: OutputRequest): Promise<OutputLine> {
    const { line } = request
    this.claim(request)
    const output: SimulatedOutput = {
      request,
      isOn: false,
      offAt: Number.NEGATIVE_INFINITY,
      offBy: null,
      onWhen: null,
      pulses: null,
    }
    this.outputs.set(line, output)
    if (request.isReleased) this.applySafe(line, output, 'release')
    else this.apply(line, output, request.isOn)
    return {
      set: (isOn) => this.set(line, output, isOn),
      release: () => this.applySafe(line, output, 'release'),
      strobe: (us) => this.onStrobe(line, us),
      pulses: (count, periodUs, onDone) => {
        output.pulses?.cancel()
        output.pulses = this.clock.timer((count * periodUs) / 1000, onDone)
      },
      read: async () => output.isOn,
      close: async () => {
        this.applySafe(line, output, request.safe)
        if (this.outputs.get(line) === output) this.outputs.delete(line)
      },
    }
  }

  async guard({ path, safe }: GuardRequest): Promise<Guard> {
    this.guards.set(path, safe)
    return {
      change: (text) => this.guards.set(path, text),
      close: async () => {
        this.guards.delete(path)
      },
    }
  }

  private claim({ line, consumer }: InputRequest | OutputRequest): void {
    const user = this.inputs.get(line)?.consumer ?? this.outputs.get(line)?.request.consumer
    if (user === undefined) return
    throw new LineError('busy', `${line} is used by ${user} already: give ${consumer} another line`)
  }

  private set(line: string, output: SimulatedOutput, isOn: boolean): void {
    if (isOn && (output.isOn || output.onWhen !== null)) return
    output.onWhen?.cancel()
    output.onWhen = null
    const waitMs = isOn ? this.clearInterlock(output) : 0
    if (waitMs === undefined) {
      output.request.onForced(false, 'interlock')
    } else if (waitMs > 0) {
      output.onWhen = this.clock.timer(waitMs, () => {
        output.onWhen = null
        this.apply(line, output, true)
        output.request.onForced(true, 'interlock')
      })
    } else {
      this.apply(line, output, isOn)
    }
  }

  /** How long the output has to wait, ms; undefined: it must stay off. */
  private clearInterlock(output: SimulatedOutput): number | undefined {
    const { interlock } = output.request
    let waitMs = 0
    if (interlock === undefined) return waitMs
    for (const [line, other] of this.outputs) {
      if (other === output || other.request.interlock?.name !== interlock.name) continue
      if (other.isOn || other.onWhen !== null) {
        if (interlock.mode === 'reject') return undefined
        other.onWhen?.cancel()
        other.onWhen = null
        this.apply(line, other, false)
        other.request.onForced(false, 'interlock')
      }
      waitMs = Math.max(waitMs, other.offAt + interlock.deadTimeMs - this.clock.now())
    }
    return waitMs
  }

  private apply(line: string, output: SimulatedOutput, isOn: boolean): void {
    const { maxOnMs, onForced } = output.request
    if (isOn && !output.isOn && maxOnMs > 0) {
      output.offBy = this.clock.timer(maxOnMs, () => {
        this.apply(line, output, false)
        onForced(false, 'maxOn')
      })
    }
    if (!isOn) {
      output.offBy?.cancel()
      if (output.isOn) output.offAt = this.clock.now()
    }
    output.isOn = isOn
    this.released.delete(line)
    if (this.isOn(line) === isOn) return
    this.levels.set(line, isOn)
    this.onOutput(line, isOn)
  }

  private applySafe(line: string, output: SimulatedOutput, safe: SafeState): void {
    output.onWhen?.cancel()
    output.onWhen = null
    output.pulses?.cancel()
    if (safe !== 'hold') this.apply(line, output, safe === 'on')
    else output.offBy?.cancel()
    if (safe === 'release') this.released.add(line)
  }
}
