import { ByeReason, Control, CtrlBit, FrameClass, HEAD_BYTES } from '../../firmware-protocol/link/constants.ts'
import { decodeAnnounce } from '../../firmware-protocol/link/handshake.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { TappedFrame } from '../firmware/firmware-hub.ts'
import { messageText } from './firmware-message-text.ts'
import { dateText, hexOf, recordTexts, type SignalNames } from './firmware-record-text.ts'

/** By subtype. */
const CONTROLS = [
  'ACK',
  'NAK',
  'ANNOUNCE',
  'WELCOME',
  'BYE',
  'PING',
  'PONG',
  'TIME?',
  'TIME',
  'BAUD?',
  'BAUD-OK',
  'BAUD-TEST',
  'PROBE',
  'LOG',
  'CHALLENGE',
]
const LEVELS = ['debug', 'info', 'warning', 'error']
/** The longest kinds that come often. */
const KIND_WIDTH = 8
const WELCOME_BYTES = 21

/** A frame in words, as one line: kind, sequence number, acknowledgement, what it carries. */
export function frameText({ mode, hex }: TappedFrame, names: SignalNames): string {
  const bytes = Buffer.from(hex, 'hex')
  return mode === 'link' || mode === 'datagram' ? linkText(bytes, names) : claspText(bytes)
}

function claspText(bytes: Uint8Array): string {
  const frame = decodeFrame(bytes)
  return frame instanceof DecodeError ? `unreadable: ${frame.reason}` : messageText(frame.message)
}

function linkText(bytes: Uint8Array, names: SignalNames): string {
  if (bytes.length < HEAD_BYTES) return 'too short for a frame'
  const [ctrl, seq] = bytes
  const kind = ctrl & FrameClass.mask
  const subtype = ctrl & CtrlBit.subtype
  const isControl = kind === FrameClass.control
  const name = isControl ? CONTROLS[subtype] : kind === FrameClass.reliable ? 'reliable' : 'lossy'
  const words = [(name ?? `control ${subtype}`).padEnd(KIND_WIDTH), isControl ? '   ' : `#${seq >>> 4}`.padEnd(3)]
  words.push(`ack ${seq & 15}`.padEnd(6))
  if ((ctrl & CtrlBit.again) !== 0) words.push('again')
  if ((ctrl & CtrlBit.notReady) !== 0) words.push('not-ready')
  const contents = isControl
    ? controlText(subtype, bytes)
    : recordTexts(bytes, HEAD_BYTES, bytes.length, names).join('; ')
  return `${words.join(' ')} ${contents}`.trimEnd()
}

function controlText(subtype: number, bytes: Uint8Array): string {
  const body = bytes.subarray(HEAD_BYTES)
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  switch (subtype) {
    case Control.announce:
      return announceText(bytes)
    case Control.welcome:
      return body.length < WELCOME_BYTES ? 'too short' : welcomeText(view)
    case Control.bye:
      return byeText(body)
    case Control.timeRequest:
      return body.length < 4 ? 'too short' : `${view.getUint32(0)} µs of the device`
    case Control.timeAnswer:
      if (body.length < 20) return 'too short'
      return `${view.getUint32(0)} µs of the device, ${dateText(view.getBigUint64(4))}`
    case Control.baudRequest:
    case Control.baudOk:
      return body.length < 4 ? 'too short' : `${view.getUint32(0)} baud`
    case Control.log:
      return `${LEVELS[body[0]] ?? body[0]}: ${new TextDecoder().decode(body.subarray(1))}`
    default:
      return hexOf(body, 0, body.length)
  }
}

function announceText(bytes: Uint8Array): string {
  const announce = decodeAnnounce(bytes, HEAD_BYTES, bytes.length)
  if (typeof announce === 'string') return announce
  const { name, uid, bootNonce, descriptorHash, mru, window, maxBaud, isSleepy } = announce
  const words = [`${name} ${uid}`, `boot ${hex8(bootNonce)}`, `descriptor ${hex8(descriptorHash)}`]
  words.push(`frames of ${mru}`, `window ${window}`)
  if (maxBaud > 0) words.push(`up to ${maxBaud} baud`)
  if (isSleepy) words.push('sleeps')
  return words.join(', ')
}

/** Layout: `encodeWelcome`. */
function welcomeText(view: DataView): string {
  const words = [`session ${view.getUint16(2).toString(16).padStart(4, '0')}`, `frames of ${view.getUint16(4)}`]
  words.push(`window ${view.getUint8(6)}`, `keep-alive ${view.getUint16(7)} ms`, `boot ${hex8(view.getUint32(9))}`)
  if ((view.getUint8(1) & 1) !== 0) words.push('descriptor known')
  return words.join(', ')
}

function byeText(body: Uint8Array): string {
  const reason = body[0] ?? ByeReason.normal
  const [word] = Object.entries(ByeReason).find(([, code]) => code === reason) ?? [`reason ${reason}`]
  if (reason === ByeReason.sleep && body.length >= 3) return `sleep ${(body[1] << 8) | body[2]} s`
  return word.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function hex8(number: number): string {
  return number.toString(16).padStart(8, '0')
}
