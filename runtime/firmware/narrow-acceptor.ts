import type { Clock } from '../router/clock.ts'
import type { Link, LinkAcceptor, LinkHandler } from '../router/link.ts'
import type { Log } from '../router/log.ts'
import type { AdjustableLink, PeerAcceptor } from '../transports/peer-acceptor.ts'
import { type NarrowCounters, noCounts } from './narrow-counters.ts'
import { NarrowLink } from './narrow-link.ts'
import { isSlowCarrier, type NarrowOptions, narrowOptions } from './narrow-options.ts'
import { type PeerProfile, peerProfile } from './peer-profile.ts'

export interface NarrowAcceptorOptions extends Partial<NarrowOptions> {
  clock: Clock
  log: Log
  /** What every peer of this listener is; default: each one's HELLO tells. */
  profile?: PeerProfile
}

/**
 * Lets full clients through to the router untouched and serves devices with upstream firmware over a narrow link. On a
 * serial line and over BLE every peer gets one, because what it is may show only later.
 */
export class NarrowAcceptor implements PeerAcceptor {
  private readonly acceptor: LinkAcceptor
  private readonly options: NarrowAcceptorOptions
  private readonly open = new Set<NarrowLink>()
  private readonly ended = noCounts()

  constructor(acceptor: LinkAcceptor, options: NarrowAcceptorOptions) {
    this.acceptor = acceptor
    this.options = options
  }

  /** The links of devices that are connected now. */
  get links(): ReadonlySet<NarrowLink> {
    return this.open
  }

  /** Of all links, past ones included. */
  get counters(): NarrowCounters {
    const sum = { ...this.ended }
    for (const { counters } of this.open) add(sum, counters)
    return sum
  }

  attach(link: Link): LinkHandler {
    const { profile } = this.options
    if (profile === 'full') return this.acceptor.attach(link)
    if (profile === undefined && !isSlowCarrier(link.transport)) return this.acceptor.attach(link)
    return this.narrow(link)
  }

  admit(link: AdjustableLink, handler: LinkHandler, bytes: Uint8Array, start: number, end: number): LinkHandler {
    if (this.options.profile !== undefined || handler instanceof NarrowLink) return handler
    if (peerProfile(link.framing.name, bytes, start, end) === 'full') return handler
    // The router has met this link as a full client's, without a word having been said.
    handler.onClose('served as a device')
    return this.narrow(link)
  }

  private narrow(link: AdjustableLink): NarrowLink {
    const { clock, log, profile, ...chosen } = this.options
    const narrow = new NarrowLink(link, {
      clock,
      log,
      profile,
      options: { ...narrowOptions(link.transport), ...chosen },
      onGone: (gone) => {
        this.open.delete(gone)
        add(this.ended, gone.counters)
      },
    })
    this.open.add(narrow)
    narrow.connect(this.acceptor)
    return narrow
  }
}

function add(sum: NarrowCounters, counters: NarrowCounters): void {
  for (const name of Object.keys(sum) as (keyof NarrowCounters)[]) sum[name] += counters[name]
}
