/** `192.0.2.1:7330` or `[2001:db8::1]:7330`; IPv4 addresses that came in through an IPv6 socket are shown as IPv4. */
export function remoteAddress(address: string | undefined, port: number | undefined): string {
  if (address === undefined || port === undefined) return 'unknown'
  const plain = plainAddress(address)
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`
}

/** The address without the IPv4-in-IPv6 prefix. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
