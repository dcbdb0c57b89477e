import { BlockList } from 'node:net'
import type { Clock } from '../../router/clock.ts'
import { plainAddress } from '../../transports/remote-address.ts'
import { ownInterfaces } from '../own-interfaces.ts'

/** Interfaces are looked at again after this: senders that are not known may be many. */
const LOOK_EVERY_MS = 10_000
/** Not routed on the Internet: RFC 1918, RFC 3927, RFC 4193, RFC 6598. */
const PRIVATE = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '127.0.0.0/8',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
]

/** Networks that this machine is in, and all private ones: what is sent there hits nobody on the Internet. */
export class LocalNetworks {
  private readonly clock: Clock
  private networks = new BlockList()
  private lookedAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** `host`: a numeric address. */
  includes(host: string): boolean {
    const now = this.clock.now()
    if (now - this.lookedAt >= LOOK_EVERY_MS) {
      this.lookedAt = now
      this.networks = present()
    }
    const plain = plainAddress(host)
    return this.networks.check(plain, plain.includes(':') ? 'ipv6' : 'ipv4')
  }
}

function present(): BlockList {
  const list = new BlockList()
  const own = Object.values(ownInterfaces()).flatMap((all = []) => all.map(({ cidr }) => cidr))
  for (const network of [...PRIVATE, ...own]) {
    if (network === null) continue
    const [address, bits] = network.split('/')
    list.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}
