import { u16be } from './chip.ts'

const POLYNOMIAL = 0x31
const START = 0xff

/**
 * Sensors of Sensirion send words of 16 bits, high byte first, each followed by a CRC-8: polynomial 0x31, start 0xff,
 * nothing reflected or inverted; that of be ef is 92. Throws when one does not fit.
 * Source: Sensirion data sheets SHT3x-DIS (checksum calculation) and SHT4x (CRC checksum).
 */
export function sensirionWords(bytes: Uint8Array, place: string): number[] {
  const words: number[] = []
  for (let at = 0; at + 2 < bytes.length; at += 3) {
    if (sensirionCrc(bytes.subarray(at, at + 2)) !== bytes[at + 2]) {
      throw new Error(`the checksum from the chip at ${place} is wrong: check its wires, or shorten them`)
    }
    words.push(u16be(bytes, at))
  }
  return words
}

export function sensirionCrc(bytes: Uint8Array): number {
  let crc = START
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ POLYNOMIAL) & 0xff : crc << 1
  }
  return crc
}
