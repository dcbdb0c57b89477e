import { hexAddress } from './bus.ts'
import type { I2cChip } from './chip.ts'

/** `0x76 of the I2C bus 1` */
export function placeOf({ address, bus }: I2cChip): string {
  return `${hexAddress(address)} of the I2C bus ${bus.name}`
}

/**
 * Rejects when a register does not say that it is this part. `others`: parts with the same address, by what they say, each
 * with what to do.
 */
export async function checkIdentity(
  chip: I2cChip,
  part: string,
  register: number,
  identities: readonly number[],
  others: Readonly<Record<number, string>> = {},
): Promise<void> {
  const identity = await chip.readByte(register)
  if (identities.includes(identity)) return
  const other = others[identity]
  if (other !== undefined) throw new Error(`the chip at ${placeOf(chip)} is not a ${part} but a ${other}`)
  const expected = identities.map(hexAddress).join(' or ')
  throw new Error(
    `the chip at ${placeOf(chip)} identifies itself as ${hexAddress(identity)}, a ${part} as ${expected}: check the part and its wires`,
  )
}
