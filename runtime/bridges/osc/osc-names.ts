import { addressProblem } from '../../../firmware-protocol/wire/address.ts'
import { addressOf, foreignOf } from '../foreign-address.ts'

/**
 * OSC addresses and CLASP addresses. What OSC 1.0 does not allow in a name (space # * , ? [ ] { }) is percent-encoded on its
 * side, and so is a percent sign that could be taken for such a code. Source: bridges.md §2.14, §3.6.
 */

const CODES = '20|23|2A|2C|3F|5B|5D|7B|7D|25'
const ENCODED = new RegExp(`%(${CODES})`, 'gi')
const TO_ENCODE = new RegExp(`[ #*,?[\\]{}]|%(?=${CODES})`, 'gi')
const PATTERN = /[?*[\]{}]|\/\//

/** Whether an OSC address means all that it matches. */
export function isOscPattern(address: string): boolean {
  return PATTERN.test(address)
}

/** `/1/fader1` is `<namespace>/1/fader1`; undefined: it does not fit into an address. */
export function claspAddressOf(namespace: string, oscAddress: string): string | undefined {
  if (oscAddress.length < 2) return undefined
  const address = addressOf(namespace, decoded(oscAddress.slice(1)))
  return address === undefined || addressProblem(address) !== undefined ? undefined : address
}

/** Addresses elsewhere stay whole. */
export function oscAddressOf(namespace: string, address: string): string {
  const name = foreignOf(namespace, address) ?? foreignOf('', address) ?? ''
  return `/${name.replace(TO_ENCODE, encode)}`
}

function decoded(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(ENCODED, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
}

function encode(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}
