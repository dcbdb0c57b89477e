import { type MessageReader, ProgramMessage } from '../process/program-messages.ts'
import { type Held, HeldLines, type HeldPlace, type HeldRequest } from './held-lines.ts'
import { AS_IT_IS, FromHolder, HIGH_IMPEDANCE, LineFlag, ToHolder } from './holder-messages.ts'
import { HolderProcess, type HolderProcessOptions } from './holder-process.ts'
import { explainOpenFailure } from './line-failure.ts'
import { findLine, type HeaderPin } from './line-name.ts'
import {
  type Edge,
  type Guard,
  type GuardRequest,
  type InputLine,
  type InputRequest,
  type Interlock,
  LineError,
  type LineInfo,
  type LineRequest,
  type Lines,
  type OutputLine,
  type OutputRequest,
} from './lines.ts'
import { MonotonicOffset } from './monotonic-offset.ts'

export interface LineHolderOptions extends HolderProcessOptions {
  pins?: readonly HeaderPin[]
}

/** It answers within a millisecond. One that does not at all is stuck, and nobody looks after the lines. */
const ANSWER_MS = 5000
const SAFE = ['off', 'on', 'hold', 'release'] as const
const BIAS = { asis: 0, up: LineFlag.pullUp, down: LineFlag.pullDown, none: LineFlag.biasDisabled }
const DRIVE = { 'push-pull': 0, 'open-drain': LineFlag.openDrain, 'open-source': LineFlag.openSource }

/**
 * The lines of the kernel, held by one process beside this one (clasp-io), which knows what is safe. When this process is
 * killed or hangs, it makes the outputs safe by itself. Started by the first request and again after it ended; those who
 * had lines then hear of it (`onLost`).
 */
export class LineHolder implements Lines {
  private readonly options: LineHolderOptions
  private readonly process: HolderProcess
  private readonly held: HeldLines
  private readonly interlocks: string[] = []
  private readonly listings: { resolve(lines: LineInfo[]): void; reject(error: LineError): void }[] = []
  private listed: LineInfo[] = []
  private offset: MonotonicOffset
  private answerTimer: { cancel(): void } | null = null
  private hasHeard = false

  constructor(options: LineHolderOptions) {
    this.options = options
    this.offset = new MonotonicOffset(options.clock)
    this.held = new HeldLines((message) => this.send(message))
    this.process = new HolderProcess(options, {
      onStarted: () => {
        this.offset = new MonotonicOffset(options.clock)
      },
      onMessage: (type, body) => this.receive(type, body),
      onEnded: (error) => this.ended(error),
    })
  }

  /** Process number of clasp-io; undefined: it does not run. */
  get pid(): number | undefined {
    return this.process.pid
  }

  async list(): Promise<LineInfo[]> {
    this.process.run()
    return new Promise((resolve, reject) => {
      this.listings.push({ resolve, reject })
      this.send(new ProgramMessage(ToHolder.list))
      this.awaitAnswer()
    })
  }

  async input(request: InputRequest): Promise<InputLine> {
    const info = await this.find(request)
    const { held, handle, opened } = this.hold(request, info)
    // Whoever asked has to have the line before its first edges.
    let early: Edge[] | null = []
    held.onEdge = (isOn, ms, sequence) => {
      const edge = { isOn, atMs: this.offset.local(ms), sequence }
      if (early === null) request.onEdge(edge)
      else early.push(edge)
    }
    const message = addressed(ToHolder.input, handle, info, request)
    this.send(message.u32(flagsOf(request)).u32(Math.round(request.debounceMs * 1000)))
    const isOn = await opened
    setImmediate(() => {
      const edges = early ?? []
      early = null
      for (const edge of edges) request.onEdge(edge)
    })
    return { isOn, read: () => this.read(handle, held), close: () => this.close(handle, held) }
  }

  async output(request: OutputRequest): Promise<OutputLine> {
    const info = await this.find(request)
    const { held, handle, opened } = this.hold(request, info)
    held.onForced = (isOn, reason) => request.onForced(isOn, reason)
    const { interlock, safe, maxOnMs, drive } = request
    this.send(
      addressed(ToHolder.output, handle, info, request)
        .u32(flagsOf(request) | DRIVE[drive])
        .u8(firstLevel(request))
        .u8(SAFE.indexOf(safe))
        .u32(maxOnMs)
        .u8(this.interlockNumber(interlock))
        .u8(interlock?.mode === 'reject' ? 1 : 0)
        .u32(interlock?.deadTimeMs ?? 0),
    )
    const isOn = await opened
    const tell = (type: number) => new ProgramMessage(type).u16(handle)
    const sendOpen = (message: ProgramMessage) => {
      if (held.isOpen) this.send(message)
    }
    return {
      isOn,
      set: (on) => sendOpen(tell(ToHolder.set).u8(on ? 1 : 0)),
      release: () => sendOpen(tell(ToHolder.set).u8(HIGH_IMPEDANCE)),
      strobe: (us) => sendOpen(tell(ToHolder.strobe).u16(us)),
      pulses: (count, periodUs, onDone) => {
        if (count > 0 && held.isOpen) held.trains.push(onDone)
        sendOpen(tell(ToHolder.pulses).u32(count).u32(periodUs))
      },
      read: () => this.read(handle, held),
      close: () => this.close(handle, held),
    }
  }

  async guard({ path, safe, before, onForced, onLost }: GuardRequest): Promise<Guard> {
    this.process.run()
    const owner = { line: path, consumer: '', onLost }
    const { held, handle, opened } = this.hold(owner, { chip: path, offset: -1, consumer: '' })
    held.onForced = (_isOn, reason) => onForced(reason)
    const tell = (text: string) => {
      const message = new ProgramMessage(ToHolder.guard).u16(handle)
      if (before !== undefined) message.text(before.path).text(before.safe)
      this.send(message.text(path).text(text))
    }
    tell(safe)
    await opened
    return {
      change: (text) => {
        if (held.isOpen) tell(text)
      },
      close: () => this.close(handle, held),
    }
  }

  /** Makes all outputs safe and lets go of all lines. */
  stop(): Promise<void> {
    return this.process.stop()
  }

  private async find({ line }: LineRequest): Promise<LineInfo> {
    return findLine(line, await this.list(), this.options.pins)
  }

  private hold(request: HeldRequest, place: HeldPlace): ReturnType<HeldLines['hold']> {
    const taken = this.held.hold(request, place)
    this.awaitAnswer()
    return taken
  }

  private read(handle: number, held: Held): Promise<boolean> {
    if (!held.isOpen) return Promise.reject(new LineError('lost', `${held.line} is closed`))
    return new Promise((resolve, reject) => {
      held.readers.push({ resolve, reject })
      this.send(new ProgramMessage(ToHolder.read).u16(handle))
      this.awaitAnswer()
    })
  }

  private close(handle: number, held: Held): Promise<void> {
    if (!held.isOpen) return Promise.resolve()
    held.isOpen = false
    return new Promise((resolve) => {
      held.onClosed = resolve
      this.send(new ProgramMessage(ToHolder.close).u16(handle))
      this.awaitAnswer()
    })
  }

  private interlockNumber(interlock: Interlock | undefined): number {
    if (interlock === undefined) return 0
    const known = this.interlocks.indexOf(interlock.name)
    return known >= 0 ? known + 1 : this.interlocks.push(interlock.name)
  }

  private send(message: ProgramMessage): void {
    this.process.send(message)
  }

  private awaitAnswer(): void {
    if (this.answerTimer !== null) return
    this.hasHeard = false
    this.answerTimer = this.options.clock.timer(ANSWER_MS, () => {
      // When it was this process that stood still, the answers are there and only have to be read.
      setImmediate(() => setImmediate(() => this.onNoAnswer()))
    })
  }

  private onNoAnswer(): void {
    this.answerTimer = null
    if (!this.held.isAnswerDue && this.listings.length === 0) return
    if (this.hasHeard) this.awaitAnswer()
    else this.process.kill()
  }

  private ended(error: LineError): void {
    this.answerTimer?.cancel()
    this.answerTimer = null
    for (const { reject } of this.listings.splice(0)) reject(error)
    this.held.ended(error)
  }

  private receive(type: number, body: MessageReader): void {
    this.hasHeard = true
    switch (type) {
      case FromHolder.line:
        this.listed.push({
          chip: body.text(),
          label: body.text(),
          offset: body.u32(),
          name: body.text(),
          consumer: body.text(),
        })
        return
      case FromHolder.listed:
        this.onListed(body.u32())
        return
      case FromHolder.time:
        this.offset.learn(body.ms())
        return
      case FromHolder.lost:
        this.onMessagesLost()
        return
    }
    this.held.receive(type, body)
  }

  private onListed(errno: number): void {
    const lines = this.listed.splice(0)
    const asked = this.listings.shift()
    if (asked === undefined) return
    if (lines.length > 0) asked.resolve(lines)
    else explainOpenFailure('', undefined, errno).then((error) => asked.reject(error))
  }

  /** Edges went missing: the level says what counts. */
  private onMessagesLost(): void {
    for (const [handle, held] of this.held.inputs) {
      const atMs = this.options.clock.now()
      this.read(handle, held).then(
        (isOn) => held.onEdge?.(isOn, this.offset.remote(atMs), held.sequence),
        () => {
          // Whoever has the line hears that it is lost.
        },
      )
    }
  }
}

function firstLevel({ isOn, isReleased, isKept }: OutputRequest): number {
  return isReleased ? HIGH_IMPEDANCE : isKept ? AS_IT_IS : isOn ? 1 : 0
}

function addressed(type: number, handle: number, info: LineInfo, { consumer }: LineRequest): ProgramMessage {
  return new ProgramMessage(type).u16(handle).text(info.chip).text(consumer.slice(0, 31)).u32(info.offset)
}

function flagsOf({ activeLow, bias }: LineRequest): number {
  return (activeLow ? LineFlag.activeLow : 0) | BIAS[bias]
}
