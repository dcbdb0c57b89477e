import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { CHANNELS } from './midi-status.ts'
import { float, int } from './midi-value.ts'

export type Zone = 'lower' | 'upper'
export type GesturePhase = 'start' | 'move' | 'end'

/** RPN numbers: MPE configuration message and pitch bend range. */
export const RPN_MEMBERS = 6
export const RPN_BEND_RANGE = 0
const MEMBER_BEND_RANGE = 48
const MASTER_BEND_RANGE = 2
const TIMBRE = 74
const LOWER_MASTER = 0
const UPPER_MASTER = 15
/** More notes in one channel than fingers: the first one ends. */
const MAX_NOTES_PER_CHANNEL = 16

interface Note {
  readonly id: number
  readonly note: number
  readonly velocity: number
}

/** What holds for all notes of a channel. */
interface Member {
  /** −1…1. */
  bend: number
  bendRange: number
  pressure: number
  timbre: number
  notes: Note[]
}

export type OnGesture = (zone: Zone, id: number, phase: GesturePhase, value: Value) => void

/**
 * MPE: a zone has a master channel, which is for all its notes, and member channels, each for few notes at a time, whose
 * bend, pressure and controller 74 are theirs. Source: MIDI Polyphonic Expression 1.0 (RP-053).
 */
export class MpeZones {
  private readonly onGesture: OnGesture
  private readonly sizes: Record<Zone, number> = { lower: 0, upper: 0 }
  private readonly channels: Member[] = Array.from({ length: CHANNELS }, () => newMember(MEMBER_BEND_RANGE))
  private nextId = 1

  constructor(lower: number, upper: number, onGesture: OnGesture) {
    this.onGesture = onGesture
    this.configure('lower', lower)
    this.configure('upper', upper)
  }

  /** A parameter of 14 bits. Returns whether it was for a zone. */
  parameter(channel: number, number: number, value: number): boolean {
    if (number === RPN_MEMBERS && (channel === LOWER_MASTER || channel === UPPER_MASTER)) {
      this.configure(channel === LOWER_MASTER ? 'lower' : 'upper', Math.min(15, value >> 7))
      return true
    }
    const zone = this.zoneOf(channel)
    if (number !== RPN_BEND_RANGE || zone === undefined) return false
    const range = (value >> 7) + (value & 0x7f) / 100
    // The range that a member gets is for all members.
    for (let other = 0; other < CHANNELS; other++) {
      const isMeant = isMaster(channel) ? other === channel : this.zoneOf(other) === zone && !isMaster(other)
      if (isMeant) this.channels[other].bendRange = range
    }
    return true
  }

  /** Returns whether the note is one of a zone; `velocity` 0: it ends. */
  note(channel: number, note: number, velocity: number): boolean {
    const zone = this.zoneOf(channel)
    if (zone === undefined || isMaster(channel)) return false
    const member = this.channels[channel]
    const at = member.notes.findIndex((one) => one.note === note)
    if (at >= 0) this.endNote(zone, member, at)
    if (velocity > 0) {
      if (member.notes.length >= MAX_NOTES_PER_CHANNEL) this.endNote(zone, member, 0)
      const started = { id: this.nextId, note, velocity }
      this.nextId = this.nextId === 0xffff_ffff ? 1 : this.nextId + 1
      member.notes.push(started)
      this.onGesture(zone, started.id, 'start', this.valueOf(zone, member, started))
    }
    return true
  }

  /** `raw`: 0…16 383. Returns whether it was for a zone's notes alone. */
  bend(channel: number, raw: number): boolean {
    const zone = this.zoneOf(channel)
    if (zone === undefined) return false
    this.channels[channel].bend = (raw - 8192) / 8192
    if (!isMaster(channel)) this.move(zone, this.channels[channel])
    else
      for (let other = 0; other < CHANNELS; other++)
        if (this.zoneOf(other) === zone) this.move(zone, this.channels[other])
    return !isMaster(channel)
  }

  pressure(channel: number, value: number): boolean {
    const zone = this.zoneOf(channel)
    if (zone === undefined || isMaster(channel)) return false
    this.channels[channel].pressure = value / 127
    this.move(zone, this.channels[channel])
    return true
  }

  controller(channel: number, controller: number, value: number): boolean {
    const zone = this.zoneOf(channel)
    if (controller !== TIMBRE || zone === undefined || isMaster(channel)) return false
    this.channels[channel].timbre = value / 127
    this.move(zone, this.channels[channel])
    return true
  }

  /** The gear has gone. */
  endAll(): void {
    for (let channel = 0; channel < CHANNELS; channel++) this.endChannel(channel)
  }

  /** A zone that grows takes channels from the other one. */
  private configure(zone: Zone, members: number): void {
    this.endAll()
    this.sizes[zone] = members
    const other = zone === 'lower' ? 'upper' : 'lower'
    if (members > 0) this.sizes[other] = Math.max(0, Math.min(this.sizes[other], 14 - members))
    for (let channel = 0; channel < CHANNELS; channel++) {
      if (this.zoneOf(channel) === zone) {
        this.channels[channel] = newMember(isMaster(channel) ? MASTER_BEND_RANGE : MEMBER_BEND_RANGE)
      }
    }
  }

  private zoneOf(channel: number): Zone | undefined {
    if (this.sizes.lower > 0 && channel <= this.sizes.lower) return 'lower'
    return this.sizes.upper > 0 && channel >= UPPER_MASTER - this.sizes.upper ? 'upper' : undefined
  }

  private move(zone: Zone, member: Member): void {
    for (const note of member.notes) this.onGesture(zone, note.id, 'move', this.valueOf(zone, member, note))
  }

  private endChannel(channel: number): void {
    const zone = this.zoneOf(channel)
    const member = this.channels[channel]
    while (zone !== undefined && member.notes.length > 0) this.endNote(zone, member, 0)
  }

  private endNote(zone: Zone, member: Member, at: number): void {
    const [note] = member.notes.splice(at, 1)
    this.onGesture(zone, note.id, 'end', this.valueOf(zone, member, note))
  }

  private valueOf(zone: Zone, member: Member, { note, velocity }: Note): Value {
    const master = this.channels[zone === 'lower' ? LOWER_MASTER : UPPER_MASTER]
    const semitones = member.bend * member.bendRange + master.bend * master.bendRange
    return {
      type: 'map',
      value: [
        ['note', int(note)],
        ['velocity', int(velocity)],
        ['bend', float(semitones)],
        ['pressure', float(member.pressure)],
        ['timbre', float(member.timbre)],
      ],
    }
  }
}

function isMaster(channel: number): boolean {
  return channel === LOWER_MASTER || channel === UPPER_MASTER
}

function newMember(bendRange: number): Member {
  return { bend: 0, bendRange, pressure: 0, timbre: 0.5, notes: [] }
}
