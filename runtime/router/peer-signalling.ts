import { decodeMessage } from '../../firmware-protocol/wire/decode-message.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { AddressEntry } from './address-table.ts'
import type { Core } from './core.ts'
import type { Fanout } from './fanout.ts'
import type { PublishView } from './publish-view.ts'
import { ANY_SIGNAL } from './routes.ts'
import type { Session } from './session.ts'

const NAMESPACE = '/clasp/p2p/'
const SIGNAL_PREFIX = `${NAMESPACE}signal/`
const ANNOUNCE_ADDRESS = `${NAMESPACE}announce`

/** Leaves room for the sender's id within one frame. */
const LARGEST_SIGNAL_BYTES = 65_000

/**
 * Relays WebRTC signalling between two sessions: what is published to `/clasp/p2p/signal/{session}` goes to exactly
 * that session. Source: wire reference §16, router reference §10.
 */
export class PeerSignalling {
  private readonly core: Core
  private readonly fanout: Fanout

  constructor(core: Core, fanout: Fanout) {
    this.core = core
    this.fanout = fanout
  }

  /** False when the message is an ordinary PUBLISH. */
  accept(session: Session, entry: AddressEntry, view: PublishView): boolean {
    const address = entry.text
    if (!address.startsWith(NAMESPACE)) return false
    if (address === ANNOUNCE_ADDRESS) {
      const { source, at, end, signal } = view
      this.fanout.publishBytes(entry, signal, ANY_SIGNAL, source, at, end, Number.NaN, session)
      return true
    }
    const id = address.startsWith(SIGNAL_PREFIX) ? address.slice(SIGNAL_PREFIX.length) : ''
    if (id === '' || id.includes('/')) return false
    const target = this.core.sessions.get(id)
    if (target === undefined) this.core.refuse(session, 404, `Target session not found: ${id}`, address)
    else if (view.end - view.at > LARGEST_SIGNAL_BYTES) this.core.refuse(session, 400, 'P2P signal too large', address)
    else this.relay(session, target, view)
    return true
  }

  /** The receiver relies on `from`: it is set to the session that really sent the message. */
  private relay(sender: Session, target: Session, view: PublishView): void {
    const message = decodeMessage(view.source, view.at, view.end)
    if (message instanceof DecodeError || message.type !== 'PUBLISH') return
    if (message.value?.type === 'map') {
      const entries = message.value.value.filter(([key]) => key !== 'from')
      if (entries.length < message.value.value.length) entries.push(['from', { type: 'string', value: sender.id }])
      message.value = { type: 'map', value: entries }
    }
    const frame = encodeFrame(message)
    this.core.stats.deliveries++
    target.deliver(frame, 0, frame.length)
  }
}
