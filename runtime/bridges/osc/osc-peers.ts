import { BlockList, isIP } from 'node:net'
import type { Timer } from '../../router/clock.ts'
import { plainAddress, remoteAddress } from '../../transports/remote-address.ts'
import type { BridgeContext } from '../bridge.ts'
import { OscEcho } from './osc-echo.ts'
import type { OscFormat } from './osc-encoder.ts'
import type { OscOptions, OscTargetOptions } from './osc-kind.ts'
import type { OscOutbound } from './osc-outbound.ts'
import { type OscLink, OscPeer, type OscPeerParts } from './osc-peer.ts'

const MAX_HOSTS = 256
const SWEEP_EVERY_MS = 1000

type PeerKind = Pick<OscPeerParts, 'getsAll' | 'filter' | 'hearsItself' | 'format'>

/** Everyone on the other side: targets, connections, and senders over UDP, of which those that fall silent are forgotten. */
export class OscPeers {
  private readonly context: BridgeContext<OscOptions>
  private readonly outbound: OscOutbound
  private readonly onLeft: (peer: OscPeer) => void
  private readonly allowed: BlockList | undefined
  /** Formats that are equal are one object, so that packets are made once. */
  private readonly formats = new Map<string, OscFormat>()
  /** By host. */
  private readonly echoes = new Map<string, OscEcho<OscPeer>>()
  /** Targets and connections. */
  private readonly lasting = new Set<OscPeer>()
  /** Targets by `host:port`, and those that own all of their host's ports by host. */
  private readonly targetsBySource = new Map<string, OscPeer>()
  /** Senders over UDP by `host:port`. */
  private readonly heard = new Map<string, OscPeer>()
  private last: { host: string; port: number; peer: OscPeer } | undefined
  private timer: Timer | null = null

  /** `onLeft`: this one is not heard any more. */
  constructor(context: BridgeContext<OscOptions>, outbound: OscOutbound, onLeft: (peer: OscPeer) => void) {
    this.context = context
    this.onLeft = onLeft
    this.outbound = outbound
    const { allow } = context.options
    if (allow.length > 0) this.allowed = networksOf(allow)
  }

  isAllowed(host: string): boolean {
    const plain = plainAddress(host)
    return this.allowed?.check(plain, plain.includes(':') ? 'ipv6' : 'ipv4') ?? true
  }

  /** Who sends from there, if it is known. */
  find(host: string, port: number): OscPeer | undefined {
    const { last } = this
    if (last !== undefined && last.port === port && last.host === host) return last.peer
    const key = remoteAddress(host, port)
    const peer = this.targetsBySource.get(key) ?? this.targetsBySource.get(host) ?? this.heard.get(key)
    if (peer !== undefined) this.last = { host, port, peer }
    return peer
  }

  /** A sender over UDP that was not known. Too many: the one that was silent for longest is forgotten. */
  learn(host: string, port: number, link: OscLink): OscPeer {
    if (this.heard.size >= this.context.options.maxPeers) this.forgetOne()
    const peer = this.peer(remoteAddress(host, port), host, link, this.guest())
    this.heard.set(peer.name, peer)
    this.changed()
    return peer
  }

  /** A connection that somebody opened. */
  connected(name: string, host: string, link: OscLink, isWelcome: boolean): OscPeer {
    const peer = this.peer(name, host, link, this.guest())
    peer.isWelcome = isWelcome
    this.lasting.add(peer)
    this.changed()
    return peer
  }

  target(options: OscTargetOptions, link: OscLink): OscPeer {
    const { host, port, autoSubscribe, filter, hearsItself } = options
    const { numbers, nil, bool, nestedArrays } = this.context.options
    const format = this.format({
      numbers: options.numbers ?? numbers,
      nil: options.nil ?? nil,
      bool: options.bool ?? bool,
      nestedArrays: options.nestedArrays ?? nestedArrays,
    })
    const peer = this.peer(`${host}:${port}`, host, link, { getsAll: autoSubscribe, filter, hearsItself, format })
    this.lasting.add(peer)
    this.changed()
    return peer
  }

  /** A target's numeric address was found, or has changed. */
  locate(target: OscPeer, host: string, port: number): void {
    for (const [key, peer] of this.targetsBySource) if (peer === target) this.targetsBySource.delete(key)
    this.targetsBySource.set(remoteAddress(host, port), target)
    if (!target.hearsItself) this.targetsBySource.set(host, target)
    target.host = host
    target.echo = this.echoOf(host)
    this.last = undefined
  }

  remove(peer: OscPeer): void {
    void peer.close()
    if (!this.lasting.delete(peer)) return
    this.onLeft(peer)
    this.changed()
  }

  /** Somebody came, went, or listens to something else. */
  changed(): void {
    const all = [...this.lasting, ...this.heard.values()]
    this.outbound.setListening(all.filter(({ isListening }) => isListening))
    this.context.setPeers(all.length)
    this.last = undefined
    if (this.heard.size > 0) this.timer ??= this.context.clock.timer(SWEEP_EVERY_MS, this.sweep)
  }

  /** All links are closed when it resolves. */
  async stop(): Promise<void> {
    this.timer?.cancel()
    this.timer = null
    const all = [...this.lasting, ...this.heard.values()]
    this.lasting.clear()
    this.heard.clear()
    for (const peer of all) this.onLeft(peer)
    await Promise.all(all.map((peer) => peer.close()))
  }

  private peer(name: string, host: string, link: OscLink, kind: PeerKind): OscPeer {
    const { clock, counters } = this.context
    const peer = new OscPeer({
      ...kind,
      name,
      link,
      clock,
      tell: (to, telling) => this.outbound.tell(to, telling),
      current: (address) => this.outbound.current(address),
      onDropped: () => counters.outDropped++,
    })
    peer.host = host
    peer.echo = this.echoOf(host)
    peer.heardAt = clock.now()
    return peer
  }

  private guest(): PeerKind {
    const { autoSubscribe, numbers, nil, bool, nestedArrays } = this.context.options
    const format = this.format({ numbers, nil, bool, nestedArrays })
    return { getsAll: autoSubscribe, filter: [], hearsItself: true, format }
  }

  private format(format: OscFormat): OscFormat {
    const key = JSON.stringify(format)
    const known = this.formats.get(key) ?? format
    this.formats.set(key, known)
    return known
  }

  private echoOf(host: string): OscEcho<OscPeer> | undefined {
    const { echoWindow } = this.context.options
    if (echoWindow === 0) return undefined
    const known = this.echoes.get(host)
    if (known !== undefined) return known
    const echo = new OscEcho<OscPeer>(echoWindow, this.context.clock)
    if (this.echoes.size >= MAX_HOSTS) this.echoes.delete(this.echoes.keys().next().value as string)
    this.echoes.set(host, echo)
    return echo
  }

  private readonly sweep = (): void => {
    this.timer = null
    const before = this.context.clock.now() - this.context.options.peerTimeout
    for (const [key, peer] of this.heard) {
      if (peer.heardAt >= before) continue
      this.heard.delete(key)
      void peer.close()
      this.onLeft(peer)
    }
    this.changed()
  }

  /** Rather one that may be forged, or else one that does not listen. */
  private forgetOne(): void {
    let found: OscPeer | undefined
    for (const peer of this.heard.values()) if (found === undefined || isLess(peer, found)) found = peer
    if (found === undefined) return
    this.heard.delete(found.name)
    void found.close()
    this.onLeft(found)
  }
}

/** Whether this one is rather to be forgotten than that one. */
function isLess(one: OscPeer, other: OscPeer): boolean {
  const rankOf = ({ link, isListening }: OscPeer) => (link.isDoubtful ? 0 : 2) + (isListening ? 1 : 0)
  return rankOf(one) - rankOf(other) < 0 || (rankOf(one) === rankOf(other) && one.heardAt < other.heardAt)
}

function networksOf(texts: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of texts) {
    const [address, bits] = text.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
