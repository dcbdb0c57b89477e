import { isIP } from 'node:net'

/** What is wrong with a network in CIDR notation (`192.168.4.0/24`, `2001:db8::/32`) or a single address. */
export function networkProblem(text: string): string | undefined {
  const [, address, bits] = /^([^/]+)(?:\/(.*))?$/.exec(text) ?? []
  const version = isIP(address ?? '')
  if (version === 0) return `"${text}" is not a network`
  if (bits === undefined) return undefined
  const most = version === 4 ? 32 : 128
  return /^\d{1,3}$/.test(bits) && Number(bits) <= most
    ? undefined
    : `"${text}" needs 0 to ${most} bits behind the slash`
}
