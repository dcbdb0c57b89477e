import { LARGEST_MRU } from '../../firmware-protocol/link/constants.ts'
import { SerialReceiver } from '../../firmware-protocol/link/serial-frame.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { TappedFrame } from '../firmware/firmware-hub.ts'
import { systemClock } from '../router/clock.ts'
import { RawReceiver } from '../transports/raw-serial.ts'
import { openSerialPort, type SerialPort } from '../transports/serial-port.ts'
import { SlipReceiver } from '../transports/slip.ts'
import type { OwnPortEvents } from './firmware-own-port.ts'

type Mode = 'link' | 'slip' | 'raw'

/**
 * Opens a port and only listens: nothing is sent. The first frame that can be read decides what is read from then on. Of
 * a link data frames cannot be checked, because the session they belong to is not known. Rejects with a SerialError.
 */
export async function listenToPort(path: string, baudRate: number, events: OwnPortEvents): Promise<SerialPort> {
  let mode: Mode | undefined
  const show = (found: Mode, bytes: Uint8Array, start: number, end: number) => {
    if (mode !== undefined && mode !== found) return
    if (found !== 'link' && decodeFrame(bytes, start, end) instanceof DecodeError) return
    mode = found
    const hex = Buffer.from(bytes.subarray(start, end)).toString('hex')
    const frame: TappedFrame = { atUs: systemClock.wallUs(), direction: 'in', mode: found, port: path, uid: '', hex }
    events.onFrame?.(frame)
  }
  const link = new SerialReceiver(LARGEST_MRU, {
    onFrame: (bytes, start, end) => show('link', bytes, start, end),
    onText: (text) => events.onNote?.(`device says: ${text}`),
  })
  const raw = new RawReceiver({}, (bytes, start, end) => show('raw', bytes, start, end))
  const slip = new SlipReceiver({}, (bytes, start, end) => show('slip', bytes, start, end))
  return openSerialPort(
    path,
    { baudRate },
    {
      onData(bytes) {
        const now = systemClock.now()
        link.receive(bytes)
        slip.receive(bytes, now)
        raw.receive(bytes, now)
      },
      onDrain() {},
      onGone: (reason) => events.onGone?.(reason),
    },
  )
}
