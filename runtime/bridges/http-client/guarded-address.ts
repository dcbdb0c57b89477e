import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** This machine, and links where devices and clouds keep what is not for everybody (RFC 6890): no target for requests. */
const LOCAL = new BlockList()
LOCAL.addSubnet('0.0.0.0', 8, 'ipv4')
LOCAL.addSubnet('127.0.0.0', 8, 'ipv4')
LOCAL.addSubnet('169.254.0.0', 16, 'ipv4')
LOCAL.addAddress('::', 'ipv6')
LOCAL.addAddress('::1', 'ipv6')
LOCAL.addSubnet('fe80::', 10, 'ipv6')

export class LocalTargetError extends Error {
  override readonly name = 'LocalTargetError'

  constructor(host: string) {
    super(`${host} is this machine or a link-local address: set allowLocal: true if that is meant`)
  }
}

/** Whether an IP address is one of these; IPv4 addresses that are written as IPv6 included. */
export function isLocal(address: string): boolean {
  const plain = address.replace(/%.*$/, '')
  const family = isIP(plain)
  return family !== 0 && LOCAL.check(plain, family === 6 ? 'ipv6' : 'ipv4')
}

/** Throws a LocalTargetError for a URL with such an address in it: for those no name is looked up. */
export function checkTarget({ hostname }: URL): void {
  if (isLocal(hostname.replace(/^\[|\]$/g, ''))) throw new LocalTargetError(hostname)
}

/** Looks a name up, and fails when one of its addresses is local: at the time of connecting, not before. */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  const all: LookupAllOptions = { ...options, all: true }
  systemLookup(hostname, all, (error, addresses: LookupAddress[]) => {
    if (error !== null) {
      callback(error, '', 0)
    } else if (addresses.some(({ address }) => isLocal(address))) {
      callback(new LocalTargetError(hostname), '', 0)
    } else if (options.all) {
      callback(null, addresses)
    } else {
      callback(null, addresses[0].address, addresses[0].family)
    }
  })
}
