import type { DeviceClock } from '../device.ts'
import { type LimitedOutput, LimitedOutputs } from './limited-outputs.ts'
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
  limited: LimitedOutput
  train: PulseTrain | null
}

interface PulseTrain {
  count: number
  periodUs: number
  startedAt: number
  timer: { cancel(): void }
  onDone(made: number): void
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
  private readonly limited: LimitedOutputs
  private readonly sequences = new Map<string, number>()
  private readonly guards = new Map<string, string>()
  /** Told of every change of an output. */
  onOutput: (line: string, isOn: boolean) => void = () => {}
  /** Told of every strobe: an echo may come back. */
  onStrobe: (line: string, us: number) => void = () => {}

  constructor(clock: DeviceClock) {
    this.clock = clock
    this.limited = new LimitedOutputs(clock)
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
    const output = this.outputs.get(line)
    const request = this.inputs.get(line) ?? output?.request
    this.inputs.delete(line)
    if (output !== undefined) this.remove(line, output)
    request?.onLost(new LineError('lost', `${line} does not work any more: is it still there?`))
  }

  /** What the watchdog of the real lines does when the runtime hangs. */
  fallSafe(): void {
    for (const [line, output] of this.outputs) {
      this.applySafe(line, output, output.request.safe)
      output.request.onForced(output.limited.isOn, 'watchdog')
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
    const isOff = { isOn: false, wasOn: false }
    const limited = this.limited.add(request, isOff, (isOn) => this.drivenTo(line, isOn))
    const output: SimulatedOutput = { request, limited, train: null }
    this.outputs.set(line, output)
    if (request.isReleased) this.applySafe(line, output, 'release')
    else limited.change(request.isKept ? this.isOn(line) : request.isOn)
    return {
      isOn: limited.isOn,
      set: (isOn) => {
        this.endTrain(output)
        limited.set(isOn)
      },
      release: () => this.applySafe(line, output, 'release'),
      strobe: (us) => this.onStrobe(line, us),
      pulses: (count, periodUs, onDone) => {
        this.endTrain(output)
        if (count > 0) this.beginTrain(output, count, periodUs, onDone)
      },
      read: async () => limited.isOn,
      close: async () => {
        this.applySafe(line, output, request.safe)
        if (this.outputs.get(line) === output) this.remove(line, output)
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

  private remove(line: string, output: SimulatedOutput): void {
    output.train?.timer.cancel()
    this.limited.remove(output.limited)
    this.outputs.delete(line)
  }

  private drivenTo(line: string, isOn: boolean): void {
    this.released.delete(line)
    if (this.isOn(line) === isOn) return
    this.levels.set(line, isOn)
    this.onOutput(line, isOn)
  }

  private beginTrain(output: SimulatedOutput, count: number, periodUs: number, onDone: (made: number) => void): void {
    const timer = this.clock.timer((count * periodUs) / 1000, () => {
      output.train = null
      onDone(count)
    })
    output.train = { count, periodUs, startedAt: this.clock.now(), timer, onDone }
  }

  /** One that has begun is made. */
  private endTrain(output: SimulatedOutput): void {
    const { train } = output
    if (train === null) return
    output.train = null
    train.timer.cancel()
    const passedUs = (this.clock.now() - train.startedAt) * 1000
    train.onDone(Math.min(train.count, Math.floor(passedUs / train.periodUs) + 1))
  }

  private applySafe(line: string, output: SimulatedOutput, safe: SafeState): void {
    this.endTrain(output)
    if (safe === 'hold') output.limited.stop()
    else output.limited.change(safe === 'on')
    if (safe === 'release') this.released.add(line)
  }
}
