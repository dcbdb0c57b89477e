/** How the bytes of a reading become a number: so many, signed or not, the high or the low one first. */
interface Layout {
  readonly bytes: number
  readonly isSigned?: boolean
  readonly isLowFirst?: boolean
  readonly isFloat?: boolean
}

/** By the names that the configuration uses. */
const LAYOUTS = {
  u8: { bytes: 1 },
  s8: { bytes: 1, isSigned: true },
  u16be: { bytes: 2 },
  u16le: { bytes: 2, isLowFirst: true },
  s16be: { bytes: 2, isSigned: true },
  s16le: { bytes: 2, isSigned: true, isLowFirst: true },
  u24be: { bytes: 3 },
  u24le: { bytes: 3, isLowFirst: true },
  s24be: { bytes: 3, isSigned: true },
  s24le: { bytes: 3, isSigned: true, isLowFirst: true },
  u32be: { bytes: 4 },
  u32le: { bytes: 4, isLowFirst: true },
  s32be: { bytes: 4, isSigned: true },
  s32le: { bytes: 4, isSigned: true, isLowFirst: true },
  f32be: { bytes: 4, isFloat: true },
  f32le: { bytes: 4, isFloat: true, isLowFirst: true },
} as const satisfies Record<string, Layout>

export type RegisterType = keyof typeof LAYOUTS
export const registerTypes = Object.keys(LAYOUTS) as RegisterType[]

/** Which bits of it count: `bit` is the lowest one, 0 at first. A signed type is signed in these bits. */
export interface BitField {
  readonly bit: number
  readonly bits: number
}

export function byteCount(type: RegisterType): number {
  return LAYOUTS[type].bytes
}

export function isFloat(type: RegisterType): boolean {
  return type === 'f32be' || type === 'f32le'
}

/** The numbers that it can be; of floats undefined. */
export function rawRange(type: RegisterType, field?: BitField): readonly [min: number, max: number] | undefined {
  const { bytes, isSigned = false }: Layout = LAYOUTS[type]
  const count = field?.bits ?? bytes * 8
  if (isFloat(type)) return undefined
  return isSigned ? [-(2 ** (count - 1)), 2 ** (count - 1) - 1] : [0, 2 ** count - 1]
}

/** `bytes`: as many as the type has. A float may be NaN. */
export function rawValue(bytes: Uint8Array, type: RegisterType, field?: BitField): number {
  const { isSigned = false, isLowFirst = false }: Layout = LAYOUTS[type]
  const ordered = isLowFirst ? bytes.toReversed() : bytes
  if (isFloat(type)) return new DataView(Uint8Array.from(ordered).buffer).getFloat32(0)
  // Shifts would stop at 31 bits.
  const whole = ordered.reduce((sum, byte) => sum * 0x100 + byte, 0)
  const count = field?.bits ?? bytes.length * 8
  const value = Math.floor(whole / 2 ** (field?.bit ?? 0)) % 2 ** count
  return isSigned && value >= 2 ** (count - 1) ? value - 2 ** count : value
}
