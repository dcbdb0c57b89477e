/** Hot path: runs once per message of a port. */

import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock } from '../../router/clock.ts'
import type { BridgeSession } from '../bridge.ts'
import type { EchoWindow } from '../echo-window.ts'
import { ActiveSensing } from './active-sensing.ts'
import { ClockFollower, type ClockSink } from './clock-follower.ts'
import { type ControllerSink, Controllers, type ParameterKind } from './controllers.ts'
import type { GearValues } from './gear-values.ts'
import type { MidiOptions } from './midi-kind.ts'
import { MidiParser, type MidiSink } from './midi-parser.ts'
import {
  ACTIVE_SENSING,
  ALL_NOTES_OFF,
  ALL_SOUND_OFF,
  CHANNEL_PRESSURE,
  CLOCK,
  CONTINUE,
  CONTROL_CHANGE,
  FIRST_MODE,
  NOTE_OFF,
  NOTE_ON,
  PITCH_BEND,
  POLY_PRESSURE,
  QUARTER_FRAME,
  SONG_POSITION,
  SONG_SELECT,
  START,
} from './midi-status.ts'
import { type ChannelKind, keyOf } from './midi-target.ts'
import { float, int } from './midi-value.ts'
import { modeName } from './mode-messages.ts'
import { MpeZones } from './mpe-zones.ts'
import { PacedParams } from './paced-params.ts'
import { SoundingNotes } from './sounding-notes.ts'
import { sysExValues } from './sysex-parts.ts'
import { QuarterFrames, readFullFrame, type TimeCode } from './time-code.ts'

export interface InputParts {
  /** `/midi/<device>`. */
  readonly base: string
  readonly options: MidiOptions
  readonly router: Pick<BridgeSession, 'set' | 'publish'>
  readonly clock: Clock
  readonly gear: GearValues
  readonly echoes: EchoWindow
  /** So many bytes or ticks came that mean nothing, or were too many. */
  readonly onDropped: (count: number) => void
}

const NULL: Value = { type: 'null' }

/** Makes values of what a port says. Source: bridges.md §4.1, §4.4. */
export class MidiInput implements MidiSink, ControllerSink, ClockSink {
  private readonly parts: InputParts
  private readonly parser: MidiParser
  private readonly controllers: Controllers
  private readonly params: PacedParams
  private readonly notes = new SoundingNotes()
  private readonly follower: ClockFollower
  private readonly quarterFrames = new QuarterFrames()
  private readonly sensing: ActiveSensing
  private readonly zones: MpeZones | null
  /** `ch/0` by channel, or nothing for the default one. */
  private readonly channelLevels: readonly string[]

  constructor(parts: InputParts) {
    const { options, clock, router, base } = parts
    this.parts = parts
    this.parser = new MidiParser(this, clock)
    this.controllers = new Controllers(options, this, clock, (kind, channel, number) =>
      parts.gear.get(keyOf({ kind, channel, number })),
    )
    this.params = new PacedParams(options.maxRate, clock, (address, value) => router.set(address, value))
    this.follower = new ClockFollower(this)
    this.sensing = new ActiveSensing(clock, () => this.endNotes())
    this.zones = options.mpe
      ? new MpeZones(options.mpeLower, options.mpeUpper, (zone, id, phase, value) =>
          router.publish(`${base}/mpe/${zone}`, 'gesture', value, { id, phase }),
        )
      : null
    const isPlain = (channel: number) => options.addressStyle === 'spec' && channel === options.defaultChannel
    this.channelLevels = Array.from({ length: 16 }, (_, channel) => (isPlain(channel) ? base : `${base}/ch/${channel}`))
  }

  push(bytes: Uint8Array): void {
    this.sensing.heard()
    this.parser.push(bytes)
  }

  /** Tells what waits, and that all notes have ended. */
  stop(): void {
    this.sensing.stop()
    this.controllers.stop()
    this.endNotes()
    this.params.flush()
  }

  onChannelMessage(kind: number, channel: number, first: number, second: number): void {
    if (kind === CONTROL_CHANGE) {
      this.controllers.take(channel, first, second)
      return
    }
    this.controllers.settle(channel)
    if (kind === NOTE_ON || kind === NOTE_OFF) this.note(channel, first, second, kind === NOTE_ON && second > 0)
    else if (kind === PITCH_BEND) this.bend(channel, (second << 7) | first)
    else if (kind === POLY_PRESSURE) this.level('poly', channel, first, second)
    else if (kind === CHANNEL_PRESSURE) this.pressure(channel, first)
    else this.publish(`${this.channelLevels[channel]}/program`, int(first))
  }

  onSystemCommon(status: number, first: number, second: number): void {
    const { base } = this.parts
    if (status === QUARTER_FRAME) {
      this.timeCode(this.quarterFrames.take(first))
    } else if (status === SONG_POSITION) {
      const position = (second << 7) | first
      this.follower.moveTo(position)
      if (this.isNews('songpos', 0, 0, position)) this.params.set(`${base}/songpos`, int(position))
    } else if (status === SONG_SELECT) {
      this.publish(`${base}/song`, int(first))
    } else {
      this.publish(`${base}/tune`, NULL)
    }
  }

  onRealTime(status: number): void {
    const { base, options, clock } = this.parts
    if (status === ACTIVE_SENSING) {
      this.sensing.promised()
    } else if (status === CLOCK) {
      if (options.clock === 'off') return
      if (!this.follower.tick(clock.now())) this.parts.onDropped(1)
      else if (options.clock === 'raw') this.publish(`${base}/clock`, NULL)
    } else if (status > CLOCK && status < ACTIVE_SENSING) {
      if (status === START) this.follower.start()
      const value = status === START ? 'start' : status === CONTINUE ? 'continue' : 'stop'
      this.publish(`${base}/transport`, { type: 'string', value })
    } else {
      this.endNotes()
      this.publish(`${base}/reset`, NULL)
    }
  }

  onSysEx(bytes: Uint8Array): void {
    this.timeCode(readFullFrame(bytes))
    const { base, options, clock } = this.parts
    if (!options.sysex) return
    const address = `${base}/sysex`
    for (const value of sysExValues(bytes, address, clock.wallUs())) this.publish(address, value)
  }

  onDropped(bytes: number): void {
    this.parts.onDropped(bytes)
  }

  onController(channel: number, controller: number, value: number): void {
    if (this.zones?.controller(channel, controller, value)) return
    this.level('cc', channel, controller, value)
    if (controller < FIRST_MODE) return
    const mode = modeName(controller, value)
    this.publish(`${this.channelLevels[channel]}/mode`, { type: 'string', value: mode })
    if (controller === ALL_SOUND_OFF || controller >= ALL_NOTES_OFF) this.endNotes(channel)
  }

  onFineController(channel: number, controller: number, value: number): void {
    this.level('cc14', channel, controller, value, 16_383)
  }

  onParameter(channel: number, kind: ParameterKind, number: number, value: number, highest: number): void {
    if (kind === 'rpn') this.zones?.parameter(channel, number, highest === 127 ? value << 7 : value)
    this.level(kind, channel, number, value, highest)
  }

  onTempo(beatsPerMinute: number): void {
    this.parts.router.set(`${this.parts.base}/tempo`, float(beatsPerMinute))
  }

  onBeat(beat: number): void {
    this.publish(`${this.parts.base}/beat`, int(beat))
  }

  private note(channel: number, note: number, velocity: number, on: boolean): void {
    if (this.zones?.note(channel, note, on ? velocity : 0)) return
    this.notes.set(channel, note, on ? velocity : 0)
    this.tellNote(channel, note, velocity, on)
  }

  private tellNote(channel: number, note: number, velocity: number, on: boolean): void {
    const level = this.channelLevels[channel]
    const value: Value = {
      type: 'map',
      value: [
        ['note', int(note)],
        ['velocity', int(velocity)],
        ['on', { type: 'bool', value: on }],
      ],
    }
    this.publish(`${level}/note`, value)
    if (this.parts.options.noteState) this.parts.router.set(`${level}/notes/${note}`, int(on ? velocity : 0))
  }

  private endNotes(channel?: number): void {
    this.notes.end((its, note) => this.tellNote(its, note, 0, false), channel)
    if (channel === undefined) this.zones?.endAll()
  }

  private bend(channel: number, raw: number): void {
    if (this.zones?.bend(channel, raw) || !this.isNews('bend', channel, 0, raw)) return
    const value = this.parts.options.normalize ? float(raw / 16_383) : int(raw - 8192)
    this.params.set(`${this.channelLevels[channel]}/bend`, value)
  }

  private pressure(channel: number, value: number): void {
    if (this.zones?.pressure(channel, value) || !this.isNews('pressure', channel, 0, value)) return
    this.params.set(`${this.channelLevels[channel]}/pressure`, this.share(value, 127))
  }

  private level(kind: ChannelKind, channel: number, number: number, value: number, highest = 127): void {
    if (!this.isNews(kind, channel, number, value)) return
    this.params.set(`${this.channelLevels[channel]}/${kind}/${number}`, this.share(value, highest))
  }

  private share(value: number, highest: number): Value {
    return this.parts.options.normalize ? float(value / highest) : int(value)
  }

  /** Not what the gear was told just now. */
  private isNews(kind: ChannelKind | 'songpos', channel: number, number: number, value: number): boolean {
    const { gear, echoes } = this.parts
    const key = keyOf({ kind, channel, number })
    gear.set(key, value)
    return !echoes.takes(String(key), String(value))
  }

  private timeCode(time: TimeCode | undefined): void {
    if (time === undefined) return
    const { hours, minutes, seconds, frames, rate } = time
    const value: Value = {
      type: 'map',
      value: [
        ['h', int(hours)],
        ['m', int(minutes)],
        ['s', int(seconds)],
        ['f', int(frames)],
        ['rate', float(rate)],
      ],
    }
    this.parts.router.publish(`${this.parts.base}/mtc`, 'stream', value)
  }

  private publish(address: string, value: Value): void {
    this.parts.router.publish(address, 'event', value)
  }
}
