import { putSerialFrame, serialBytes } from '../../firmware-protocol/link/serial-frame.ts'

/** CTRL SEQ BODY as it goes on a serial line, with a delimiter in front. */
export function wireOf(frame: Uint8Array, session: number): Uint8Array {
  const out = new Uint8Array(serialBytes(frame.length) + 1)
  return out.subarray(0, putSerialFrame(out, 0, frame, frame.length, session, true))
}
