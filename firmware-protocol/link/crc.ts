/** CRC-16/X-25: reflected polynomial 8408, init and xorout FFFF; "123456789" gives 906E. */
const TABLE_16 = new Uint16Array(256)
/** CRC-32 (IEEE): reflected polynomial EDB88320; "123456789" gives CBF43926. */
const TABLE_32 = new Uint32Array(256)
for (let i = 0; i < 256; i++) {
  let small = i
  let large = i
  for (let bit = 0; bit < 8; bit++) {
    small = (small & 1) !== 0 ? (small >>> 1) ^ 0x8408 : small >>> 1
    large = (large & 1) !== 0 ? (large >>> 1) ^ 0xedb88320 : large >>> 1
  }
  TABLE_16[i] = small
  TABLE_32[i] = large
}

/** What the CRC of a frame and its own CRC bytes comes to, before the final inversion. */
export const CRC16_RESIDUE = 0xf0b8

/** The running CRC before the final inversion; a frame of a session starts with `0xffff ^ session`. */
export function crc16(bytes: Uint8Array, start: number, end: number, initial: number): number {
  let crc = initial
  for (let i = start; i < end; i++) crc = (crc >>> 8) ^ TABLE_16[(crc ^ bytes[i]) & 0xff]
  return crc
}

/** The finished CRC-32, unsigned; `previous` is that of the bytes in front. */
export function crc32(bytes: Uint8Array, start: number, end: number, previous = 0): number {
  let crc = ~previous
  for (let i = start; i < end; i++) crc = (crc >>> 8) ^ TABLE_32[(crc ^ bytes[i]) & 0xff]
  return ~crc >>> 0
}
