import { constants } from 'node:os'
import { type MessageReader, ProgramMessage } from '../../../devices/process/program-messages.ts'
import { WatchedProcess } from '../../../devices/process/watched-process.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import { explainOpenFailure } from '../../transports/serial-open-failure.ts'
import { BreakFrames } from './break-frames.ts'
import type { DmxLine, LineEvents } from './dmx-line.ts'
import { DMX_VERSION, FromDmx, PortFlag, ToDmx } from './dmx-program-messages.ts'

export interface TimedLineOptions {
  /** Path of clasp-dmx. */
  readonly program: string
  readonly clock: Clock
  readonly isInput: boolean
  /** Slots of a frame, 24…512. */
  readonly slots: number
  readonly refreshHz: number
  readonly breakUs: number
  readonly markUs: number
  /** Open DMX drives the line only while RTS is low. */
  readonly isRtsLow: boolean
  /** The driver of the UART switches an RS-485 transmitter. */
  readonly isRs485: boolean
  /** Sent at the end, and when this process hangs or is killed; null: nothing is sent then. */
  readonly last: Uint8Array | null
}

/** Bridges.md §20.8. */
const WATCHDOG_MS = 3000
/** Enough for receivers to get the last levels; then the next router may have the port. */
const LINGER_MS = 1000
const OPEN_MS = 3000
/** It tells its pace every second. */
const HUNG_S = 5
const MAX_SLOTS = 512
const PRIORITIES = ['normal', 'high', 'real time'] as const

/**
 * An Open DMX, another FTDI adapter or a UART: clasp-dmx makes break and timing. Rejects with an error for the operator when
 * the port cannot be opened.
 */
export async function openTimedLine(path: string, options: TimedLineOptions, events: LineEvents): Promise<DmxLine> {
  const line = new TimedLine(path, options, events)
  await line.open()
  return line
}

class TimedLine implements DmxLine {
  readonly details: Record<string, string | number> = {}
  private readonly path: string
  private readonly options: TimedLineOptions
  private readonly events: LineEvents
  private readonly process: WatchedProcess
  private readonly frames: BreakFrames
  private readonly levels = new Uint8Array(MAX_SLOTS)
  private faults = 0
  private limit: Timer | null = null
  private tellOpened: (errno: number) => void = () => {}
  private reason: string | null = null
  private isOpen = false
  private hasSent = false

  constructor(path: string, options: TimedLineOptions, events: LineEvents) {
    this.path = path
    this.options = options
    this.events = events
    this.frames = new BreakFrames((startCode, slots) => events.onFrame(startCode, slots))
    const { program, clock } = options
    this.process = new WatchedProcess(
      program,
      { clock, watchdogMs: WATCHDOG_MS, lingerMs: LINGER_MS, args: [path], version: DMX_VERSION },
      {
        onMessage: (type, body) => this.receive(type, body),
        onEnded: (reason) => this.ended(`clasp-dmx at ${path}: ${reason}`),
      },
    )
  }

  async open(): Promise<void> {
    const { clock, isInput, isRtsLow, isRs485, refreshHz, breakUs, markUs, last, slots } = this.options
    const flags = (isInput ? PortFlag.input : 0) | (isRtsLow ? PortFlag.rtsLow : 0) | (isRs485 ? PortFlag.rs485 : 0)
    const errno = await new Promise<number>((resolve) => {
      this.tellOpened = resolve
      this.limit = clock.timer(OPEN_MS, () => resolve(constants.errno.ETIMEDOUT))
      const periodUs = Math.round(1e6 / refreshHz)
      this.process.send(new ProgramMessage(ToDmx.open).u8(flags).u32(periodUs).u32(breakUs).u32(markUs))
      if (last !== null) this.process.send(new ProgramMessage(ToDmx.last).raw(last.subarray(0, slots)))
    })
    if (errno === 0) return
    const { reason } = this
    this.reason ??= 'it was not opened'
    await this.process.kill()
    throw reason === null ? await this.openFailure(errno) : new Error(reason)
  }

  send(levels: Uint8Array): void {
    if (!this.isOpen) return
    this.levels.set(levels)
    this.hasSent = true
    if (this.limit === null) this.expectPace()
    this.transmit()
  }

  async close(): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    this.limit?.cancel()
    await this.process.stop()
  }

  private transmit(): void {
    this.process.send(new ProgramMessage(ToDmx.levels).raw(this.levels.subarray(0, this.options.slots)))
  }

  private receive(type: number, body: MessageReader): void {
    if (type === FromDmx.opened) this.opened(body.u32())
    else if (type === FromDmx.priority) this.details.priority = PRIORITIES[body.u8()] ?? 'normal'
    else if (type === FromDmx.failed) this.reason = this.failure(body.u32())
    else if (!this.isOpen) return
    else if (type === FromDmx.pace) this.pace(body)
    else if (type === FromDmx.input) this.input(body.rest())
    else if (type === FromDmx.silent) this.stalled()
    else if (type === FromDmx.noBreak) this.cannotBreak(body.u32())
  }

  private opened(errno: number): void {
    this.limit?.cancel()
    this.limit = null
    // What it tells next may come in the same turn.
    this.isOpen = errno === 0
    this.tellOpened(errno)
  }

  private failure(errno: number): string {
    if (errno === constants.errno.ETIMEDOUT)
      return `${this.path} sends nothing any more: unplug it and plug it in again`
    return `${this.path} is gone (error ${errno})`
  }

  private pace(body: MessageReader): void {
    const [frames, shortest, mean, longest] = [body.u32(), body.u32(), body.u32(), body.u32()]
    this.expectPace()
    this.events.onPace({ frames, shortestMs: shortest / 1000, meanMs: mean / 1000, longestMs: longest / 1000 })
  }

  private input(bytes: Uint8Array): void {
    this.frames.add(bytes)
    if (this.frames.faults === this.faults) return
    this.faults = this.frames.faults
    this.events.onProblem('framing', `framing errors at ${this.path}: check cable, polarity and termination`)
  }

  /** This process did not run for a while; what it wants is what it wanted before. */
  private stalled(): void {
    this.events.onProblem(
      'stalled',
      `the router stood still for ${WATCHDOG_MS / 1000} s, and clasp-dmx did meanwhile what onStop says`,
    )
    if (this.hasSent) this.transmit()
  }

  private cannotBreak(errno: number): void {
    const what = `${this.path} cannot send a break (error ${errno}), without which it is no DMX512`
    this.events.onProblem('no-break', `${what}: use another adapter or UART`)
  }

  /** A driver that hangs, or a port that takes nothing. A pause of this process counts as one second. */
  private expectPace(seconds = HUNG_S): void {
    this.limit?.cancel()
    this.limit = this.options.clock.timer(1000, () => {
      if (seconds > 1) {
        this.expectPace(seconds - 1)
        return
      }
      this.reason = `${this.path} took nothing for ${HUNG_S} s: unplug it and plug it in again`
      void this.process.kill()
    })
  }

  private ended(reason: string): void {
    this.limit?.cancel()
    this.reason ??= reason
    if (!this.isOpen) {
      this.tellOpened(constants.errno.ECHILD)
      return
    }
    this.isOpen = false
    this.events.onGone(this.reason)
  }

  private async openFailure(errno: number): Promise<Error> {
    const { EBUSY, ENOTTY, ERANGE, EINVAL, ETIMEDOUT, EOPNOTSUPP } = constants.errno
    const { path } = this
    switch (errno) {
      case ERANGE:
        return new Error(`${path} cannot do 250 000 baud, which DMX512 needs: use another adapter or UART`)
      case EINVAL:
      case EOPNOTSUPP:
        return new Error(`${path} does not take the settings of DMX512 (error ${errno}): is rs485 set without need?`)
      case ETIMEDOUT:
        return new Error(`${path} does not open within ${OPEN_MS / 1000} s: unplug it and plug it in again`)
      case EBUSY:
        return explainOpenFailure(path, new Error('Cannot lock port'))
      case ENOTTY:
        return explainOpenFailure(path, new Error('tcgetattr: not a terminal'))
      default:
        return explainOpenFailure(path, new Error(`error ${errno}`))
    }
  }
}
