import { s16le, u16le } from './chip.ts'

/**
 * What a BME280 or BMP280 was trimmed to in its factory, and what that makes of its raw values.
 * Source: Bosch BME280 data sheet BST-BME280-DS002, 4.2.2 (trimming parameters) and the appendix with the compensation
 * formulas in double precision; BMP280 data sheet BST-BMP280-DS001, 3.11 and 3.12, which agree for what both have.
 */
export interface Trim {
  /** dig_T1…dig_T3 */
  readonly t: readonly number[]
  /** dig_P1…dig_P9 */
  readonly p: readonly number[]
}

/** dig_H1…dig_H6 */
export type HumidityTrim = readonly number[]

/** `bytes`: registers 0x88…0x9f, low bytes first; dig_T1 and dig_P1 are unsigned. Undefined: that is no trimming. */
export function decodeTrim(bytes: Uint8Array): Trim | undefined {
  const words = Array.from({ length: 12 }, (_, at) => s16le(bytes, 2 * at))
  const t = [u16le(bytes, 0), words[1], words[2]]
  const p = [u16le(bytes, 6), ...words.slice(4)]
  return isErased(t[0]) || isErased(p[0]) ? undefined : { t, p }
}

function isErased(word: number): boolean {
  return word === 0 || word === 0xffff
}

/**
 * `h1`: register 0xa1. `bytes`: registers 0xe1…0xe7: dig_H2 (16 bits, low byte first), dig_H3 (8 bits), then dig_H4 and
 * dig_H5 (12 bits each), which share 0xe5: its low half is that of dig_H4, its high half the low one of dig_H5; dig_H6.
 */
export function decodeHumidityTrim(h1: number, bytes: Uint8Array): HumidityTrim {
  const [, , h3, high4, shared, high5, h6] = bytes
  return [h1, s16le(bytes), h3, signed8(high4) * 16 + (shared & 0x0f), signed8(high5) * 16 + (shared >> 4), signed8(h6)]
}

function signed8(byte: number): number {
  return (byte << 24) >> 24
}

/** The temperature that the other formulas want (t_fine), 1/5120 °C. */
export function fineTemperature({ t: [t1, t2, t3] }: Trim, raw: number): number {
  const a = (raw / 16384 - t1 / 1024) * t2
  const b = (raw / 131072 - t1 / 8192) ** 2 * t3
  return a + b
}

/** Pa */
export function pressurePa({ p: [p1, p2, p3, p4, p5, p6, p7, p8, p9] }: Trim, fine: number, raw: number): number {
  const offset = fine / 2 - 64000
  const square = (offset ** 2 * p6) / 32768 + offset * p5 * 2
  const sum = square / 4 + p4 * 65536
  const slope = ((p3 * offset ** 2) / 524288 + p2 * offset) / 524288
  const divisor = (1 + slope / 32768) * p1
  const pressure = ((1048576 - raw - sum / 4096) * 6250) / divisor
  return pressure + ((p9 * pressure ** 2) / 2147483648 + (pressure * p8) / 32768 + p7) / 16
}

/** %, within 0…100. */
export function humidityPercent([h1, h2, h3, h4, h5, h6]: HumidityTrim, fine: number, raw: number): number {
  const offset = fine - 76800
  const slope = 1 + (h6 / 67108864) * offset * (1 + (h3 / 67108864) * offset)
  const humidity = (raw - (h4 * 64 + (h5 / 16384) * offset)) * (h2 / 65536) * slope
  return Math.min(100, Math.max(0, humidity * (1 - (h1 * humidity) / 524288)))
}
