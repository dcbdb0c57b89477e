/** Hot path. */

import { ENCODING_VERSION, HEADER_BYTES, MAGIC, MessageCode } from '../../firmware-protocol/wire/constants.ts'
import type { AddressEntry } from './address-table.ts'
import { putBytes, putU16, putU64 } from './bytes.ts'
import { ackFrame } from './held-answers.ts'
import type { Session } from './session.ts'

const HAS_ADDRESS_AND_REVISION = 0x03
const scratch = new Uint8Array(HEADER_BYTES + 65_535)

/** ACK (0x50) of a SET: flags, address, revision. `address` are the address bytes of the request. Wire reference §6.15. */
export function acknowledge(
  session: Session,
  entry: AddressEntry,
  address: Uint8Array,
  addressAt: number,
  revision: number,
): void {
  if (session.held !== null) {
    session.held.add(session, ackFrame(entry.text, revision), true, entry.text)
    return
  }
  const length = HEADER_BYTES + 12 + entry.bytes
  if (!session.isPlain) {
    putAck(scratch, 0, length, entry, address, addressAt, revision)
    session.deliver(scratch, 0, length)
    return
  }
  const output = session.output()
  const header = session.framing.headerBytes(length)
  const at = output.reserve(header + length)
  session.framing.putHeader(output.bytes, at, length)
  putAck(output.bytes, at + header, length, entry, address, addressAt, revision)
  output.length = at + header + length
}

function putAck(
  out: Uint8Array,
  at: number,
  length: number,
  entry: AddressEntry,
  address: Uint8Array,
  addressAt: number,
  revision: number,
): void {
  out[at] = MAGIC
  out[at + 1] = ENCODING_VERSION
  putU16(out, at + 2, length - HEADER_BYTES)
  out[at + 4] = MessageCode.ack
  out[at + 5] = HAS_ADDRESS_AND_REVISION
  putU16(out, at + 6, entry.bytes)
  putBytes(out, at + 8, address, addressAt, addressAt + entry.bytes)
  putU64(out, at + 8 + entry.bytes, revision)
}
