import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Update } from '../bridge.ts'
import type { EchoWindow } from '../echo-window.ts'
import type { GearValues } from './gear-values.ts'
import type { MidiPort } from './midi-port.ts'
import {
  ALL_NOTES_OFF,
  CHANNEL_PRESSURE,
  CLOCK,
  CONTINUE,
  CONTROL_CHANGE,
  FIRST_MODE,
  NOTE_OFF,
  NOTE_ON,
  PITCH_BEND,
  POLY_PRESSURE,
  PROGRAM_CHANGE,
  RESET,
  SONG_POSITION,
  SONG_SELECT,
  START,
  STOP,
  TUNE_REQUEST,
} from './midi-status.ts'
import { keyOf, parseTarget, type Target } from './midi-target.ts'
import { levelIn, memberIn, numberIn } from './midi-value.ts'
import { modeMessage } from './mode-messages.ts'
import type { OutputQueue } from './output-queue.ts'
import { SoundingNotes } from './sounding-notes.ts'
import { SysExParts } from './sysex-parts.ts'
import type { TimeCode } from './time-code.ts'

/** Addresses that were looked up before. */
const MAX_KNOWN = 4096
const TRANSPORT: Readonly<Record<string, number>> = { start: START, continue: CONTINUE, stop: STOP }

export interface OutputOptions {
  /** Undefined: every address names its channel. */
  readonly defaultChannel: number | undefined
  readonly normalize: boolean
  readonly nrpn7: boolean
  readonly sysex: boolean
}

export interface OutputParts {
  readonly options: OutputOptions
  readonly port: MidiPort
  readonly queue: OutputQueue
  readonly gear: GearValues
  readonly echoes: EchoWindow
  /** For the clock that is sent. */
  readonly onTempo: (beatsPerMinute: number) => void
  /** Returns false where there is no such time. */
  readonly onTimeCode: (time: TimeCode) => boolean
}

/** Makes messages of values from the router. Source: bridges.md §4.2, §4.4. */
export class MidiOutput {
  private readonly parts: OutputParts
  private readonly notes = new SoundingNotes()
  private readonly sysEx = new SysExParts()
  private readonly known = new Map<string, Target | undefined>()

  constructor(parts: OutputParts) {
    this.parts = parts
  }

  /** `rest`: the address below the device. Returns false for what cannot be sent. */
  take(rest: string, { value, signal, isInitial }: Update): boolean {
    const target = this.targetOf(rest)
    if (target === undefined) return false
    // Late values of what is no state would play something.
    if (isInitial && !isState(target)) return true
    if (signal === 'param') return this.takeParam(target, value)
    return this.takeEvent(target, value)
  }

  /** No note stays, whatever waits. */
  silence(): void {
    const { queue, port } = this.parts
    queue.clear()
    this.notes.end((channel, note) => port.write(Uint8Array.of(NOTE_OFF | channel, note, 0)))
    for (const channel of this.notes.channels) port.write(Uint8Array.of(CONTROL_CHANGE | channel, ALL_NOTES_OFF, 0))
  }

  /** Nothing more is sent: the port has gone. */
  end(): void {
    this.parts.queue.clear()
  }

  private takeParam(target: Target, value: Value): boolean {
    const { normalize } = this.parts.options
    const { kind, channel, number } = target
    switch (kind) {
      case 'cc': {
        const level = levelIn(value, 127, normalize)
        if (level === undefined) return false
        const message = Uint8Array.of(CONTROL_CHANGE | channel, number, level)
        // Mode messages are commands.
        if (number >= FIRST_MODE) this.parts.queue.push(message)
        else this.sendState(target, level, () => message)
        return true
      }
      case 'pressure':
        return this.sendLevel(target, levelIn(value, 127, normalize), (level) => [CHANNEL_PRESSURE | channel, level])
      case 'poly':
        return this.sendLevel(target, levelIn(value, 127, normalize), (level) => [
          POLY_PRESSURE | channel,
          number,
          level,
        ])
      case 'bend':
        return this.sendLevel(target, bendIn(value, normalize), (level) => [
          PITCH_BEND | channel,
          level & 0x7f,
          level >> 7,
        ])
      case 'cc14':
        return this.sendLevel(target, levelIn(value, 16_383, normalize), (level, before) =>
          pair(channel, number, level, before),
        )
      case 'nrpn':
      case 'rpn':
        return this.sendLevel(target, levelIn(value, this.parts.options.nrpn7 ? 127 : 16_383, normalize), (level) =>
          this.parameter(target, level),
        )
      case 'notes':
        return this.sendNote(channel, number, levelIn(value, 127, false), undefined)
      case 'songpos':
        return this.sendLevel(target, levelIn(value, 16_383, false), (level) => [
          SONG_POSITION,
          level & 0x7f,
          level >> 7,
        ])
      case 'tempo': {
        const tempo = numberIn(value)
        if (tempo !== undefined) this.parts.onTempo(tempo)
        return tempo !== undefined
      }
      default:
        // Programs that know params only.
        return this.takeEvent(target, value)
    }
  }

  private takeEvent(target: Target, value: Value): boolean {
    const { queue } = this.parts
    const { kind, channel } = target
    switch (kind) {
      case 'note':
        return this.sendNoteMap(channel, value)
      case 'program':
        return this.send(levelIn(value, 127, false), (program) => [PROGRAM_CHANGE | channel, program])
      case 'mode': {
        const mode = value.type === 'string' ? modeMessage(value.value) : undefined
        if (mode !== undefined) queue.push(Uint8Array.of(CONTROL_CHANGE | channel, ...mode))
        return mode !== undefined
      }
      case 'song':
        return this.send(levelIn(value, 127, false), (song) => [SONG_SELECT, song])
      case 'tune':
        queue.push(Uint8Array.of(TUNE_REQUEST))
        return true
      case 'clock':
        queue.realTime(CLOCK)
        return true
      case 'transport': {
        const word = value.type === 'map' ? memberIn(value, 'state') : value
        const status = word?.type === 'string' && Object.hasOwn(TRANSPORT, word.value) ? TRANSPORT[word.value] : 0
        if (status !== 0) queue.realTime(status)
        return status !== 0
      }
      case 'reset':
        queue.realTime(RESET)
        return true
      case 'mtc':
        return this.sendTimeCode(value)
      case 'sysex':
        return this.sendSysEx(value)
      default:
        return this.takeParam(target, value)
    }
  }

  private send(level: number | undefined, message: (level: number) => number[]): boolean {
    if (level !== undefined) this.parts.queue.push(Uint8Array.from(message(level)))
    return level !== undefined
  }

  private sendLevel(
    target: Target,
    level: number | undefined,
    message: (level: number, before: number | undefined) => number[],
  ): boolean {
    if (level !== undefined) this.sendState(target, level, (before) => Uint8Array.from(message(level, before)))
    return level !== undefined
  }

  /** `message` gets what the gear had before; undefined: not known. */
  private sendState(target: Target, level: number, message: (before: number | undefined) => Uint8Array): void {
    const { queue, gear, echoes } = this.parts
    const key = keyOf(target)
    const before = gear.get(key)
    if (before === level) return
    gear.set(key, level)
    echoes.remember(String(key), String(level))
    queue.push(message(queue.has(key) ? undefined : before), key)
  }

  private sendNoteMap(channel: number, value: Value): boolean {
    const note = memberIn(value, 'note')
    const velocity = memberIn(value, 'velocity')
    const on = memberIn(value, 'on')
    if (note === undefined || velocity === undefined) return false
    const number = levelIn(note, 127, false)
    if (number === undefined) return false
    return this.sendNote(channel, number, levelIn(velocity, 127, false), on && numberIn(on) !== 0)
  }

  private sendNote(channel: number, note: number, velocity: number | undefined, on: boolean | undefined): boolean {
    if (velocity === undefined) return false
    // A note on with velocity 0 would be a note off.
    const isOn = (on ?? true) && velocity > 0
    this.notes.set(channel, note, isOn ? velocity : 0)
    this.parts.queue.push(Uint8Array.of((isOn ? NOTE_ON : NOTE_OFF) | channel, note, velocity))
    return true
  }

  private parameter({ kind, channel, number }: Target, level: number): number[] {
    const status = CONTROL_CHANGE | channel
    const [upper, lower] = kind === 'nrpn' ? [99, 98] : [101, 100]
    const select = [status, upper, number >> 7, status, lower, number & 0x7f]
    const data = this.parts.options.nrpn7 ? [status, 6, level] : [status, 6, level >> 7, status, 38, level & 0x7f]
    return [...select, ...data, status, 101, 127, status, 100, 127]
  }

  private sendTimeCode(value: Value): boolean {
    const [hours, minutes, seconds, frames, rate] = ['h', 'm', 's', 'f', 'rate'].map((name) =>
      numberIn(memberIn(value, name)),
    )
    if (hours === undefined || minutes === undefined || seconds === undefined || frames === undefined) return false
    // As a float of 32 bits, 29.97 is a little less.
    const known = Math.round((rate ?? 30) * 100) / 100
    return this.parts.onTimeCode({ hours, minutes, seconds, frames, rate: known })
  }

  private sendSysEx(value: Value): boolean {
    const message = this.parts.options.sysex ? this.sysEx.take(value) : undefined
    if (message) this.parts.queue.push(message)
    return message !== undefined
  }

  private targetOf(rest: string): Target | undefined {
    const target = this.known.get(rest)
    if (target !== undefined || this.known.has(rest)) return target
    const parsed = parseTarget(rest, this.parts.options.defaultChannel)
    if (this.known.size >= MAX_KNOWN) this.known.clear()
    this.known.set(rest, parsed)
    return parsed
  }
}

/** Whether a value from before the port was opened is for it. */
function isState({ kind, number }: Target): boolean {
  // Bank, data, selections and modes are parts of commands.
  if (kind === 'cc') return number < 96 && number !== 0 && number !== 32 && number !== 6 && number !== 38
  return kind === 'cc14' || kind === 'nrpn' || kind === 'rpn' || kind === 'bend' || kind === 'tempo'
}

function pair(channel: number, controller: number, level: number, before: number | undefined): number[] {
  const status = CONTROL_CHANGE | channel
  const lower = [status, controller + 32, level & 0x7f]
  const isSameUpper = before !== undefined && before >> 7 === level >> 7
  return isSameUpper ? lower : [status, controller, level >> 7, ...lower]
}

/** 0 … 16 383 of −8192 … 8191, or of a fraction. */
function bendIn(value: Value, normalize: boolean): number | undefined {
  if (normalize) return levelIn(value, 16_383, true)
  const bend = numberIn(value)
  return bend === undefined ? undefined : Math.min(16_383, Math.max(0, Math.trunc(bend) + 8192))
}
