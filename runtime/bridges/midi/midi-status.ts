/**
 * Status bytes of MIDI 1.0. The lower half of a channel message's status is its channel.
 *
 * | status | message | data bytes |
 * |---|---|---|
 * | 8n | note off | note, velocity |
 * | 9n | note on | note, velocity (0 = off) |
 * | An | poly pressure | note, pressure |
 * | Bn | control change | controller, value |
 * | Cn | program change | program |
 * | Dn | channel pressure | pressure |
 * | En | pitch bend | lower 7 bits, upper 7 bits |
 * | F0 … F7 | system exclusive | any number |
 * | F1 | time code quarter frame | piece and nibble |
 * | F2 | song position | lower 7 bits, upper 7 bits |
 * | F3 | song select | song |
 * | F6 | tune request | – |
 * | F8 | clock | – |
 * | FA, FB, FC | start, continue, stop | – |
 * | FE | active sensing | – |
 * | FF | reset | – |
 *
 * Source: MIDI 1.0 Detailed Specification 4.2, table I to IV.
 */
export const NOTE_OFF = 0x80
export const NOTE_ON = 0x90
export const POLY_PRESSURE = 0xa0
export const CONTROL_CHANGE = 0xb0
export const PROGRAM_CHANGE = 0xc0
export const CHANNEL_PRESSURE = 0xd0
export const PITCH_BEND = 0xe0
export const SYSEX_START = 0xf0
export const QUARTER_FRAME = 0xf1
export const SONG_POSITION = 0xf2
export const SONG_SELECT = 0xf3
export const TUNE_REQUEST = 0xf6
export const SYSEX_END = 0xf7
export const CLOCK = 0xf8
export const START = 0xfa
export const CONTINUE = 0xfb
export const STOP = 0xfc
export const ACTIVE_SENSING = 0xfe
export const RESET = 0xff

export const CHANNELS = 16
/** First of the controllers that are channel mode messages. */
export const FIRST_MODE = 120
export const ALL_SOUND_OFF = 120
export const ALL_NOTES_OFF = 123

/** Data bytes that follow a status byte; -1: SysEx, or a status that means nothing. */
export function dataBytesOf(status: number): number {
  if (status < NOTE_OFF) return -1
  const kind = status & 0xf0
  if (kind === PROGRAM_CHANGE || kind === CHANNEL_PRESSURE) return 1
  if (kind !== SYSEX_START) return 2
  if (status === QUARTER_FRAME || status === SONG_SELECT) return 1
  if (status === SONG_POSITION) return 2
  return status === TUNE_REQUEST || status >= CLOCK ? 0 : -1
}
