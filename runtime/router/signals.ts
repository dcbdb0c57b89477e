import { encodeMessage } from '../../firmware-protocol/wire/encode-message.ts'
import type { Announce, SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Core } from './core.ts'
import { isReserved, RESERVED_REFUSAL } from './reserved.ts'
import type { Session } from './session.ts'

interface KnownSignal {
  definition: SignalDefinition
  /** Monotonic ms of the last ANNOUNCE. */
  announcedAt: number
  /** Its share of a RESULT. */
  resultBytes: number
}

/** Signals that clients have announced, for QUERY. Router reference §4.9, §4.10, D-20, D-33. */
export class Signals {
  private readonly core: Core
  private readonly byAddress = new Map<string, KnownSignal>()

  constructor(core: Core) {
    this.core = core
  }

  get size(): number {
    return this.byAddress.size
  }

  announce(session: Session, message: Announce): void {
    const { core } = this
    const forbidden = message.signals.find(
      ({ address }) => session.access !== null && !session.access.canWrite(address),
    )
    if (forbidden !== undefined) {
      core.refuse(session, 301, 'Insufficient scope for announce operation', forbidden.address)
      return
    }
    const reserved = message.signals.find(({ address }) => isReserved(address))
    if (reserved !== undefined && !session.isInternal) {
      core.refuse(session, RESERVED_REFUSAL.code, RESERVED_REFUSAL.message, reserved.address)
      return
    }
    const added = new Set(
      message.signals.map(({ address }) => address).filter((address) => !this.byAddress.has(address)),
    )
    if (this.byAddress.size + added.size > core.options.maxSignals) {
      core.refuse(session, 429, `Signal limit reached (max ${core.options.maxSignals})`)
      return
    }
    for (const definition of message.signals) {
      const resultBytes = encodeMessage({ type: 'RESULT', signals: [definition] }).length - 3
      this.byAddress.set(definition.address, { definition, announcedAt: core.now, resultBytes })
    }
    session.reply({ type: 'ACK', address: message.namespace })
  }

  /** Definitions as they were announced, with what a RESULT leaves out. */
  matching(pattern: Pattern): SignalDefinition[] {
    const definitions: SignalDefinition[] = []
    for (const [address, { definition }] of this.byAddress) if (pattern.matches(address)) definitions.push(definition)
    return definitions
  }

  /** Answers with as many RESULTs as the peer's frames need, at least one. */
  query(session: Session, text: string): void {
    // QUERY takes patterns that SUBSCRIBE refuses: `**` alone means everything.
    const pattern = Pattern.parse(text === '**' ? '/**' : text)
    const limit = Math.min(60_000, session.link.limits.maxFrameBytes - 8)
    let signals: SignalDefinition[] = []
    let bytes = 0
    for (const [address, { definition, resultBytes }] of this.byAddress) {
      if (typeof pattern === 'string' || !pattern.matches(address)) continue
      if (session.access !== null && !session.access.canRead(address)) continue
      if (bytes + resultBytes > limit && signals.length > 0) {
        session.reply({ type: 'RESULT', signals })
        signals = []
        bytes = 0
      }
      signals.push(definition)
      bytes += resultBytes
    }
    session.reply({ type: 'RESULT', signals })
  }

  sweep(): void {
    const seconds = this.core.options.signalTtlSeconds
    if (seconds === 0) return
    const oldest = this.core.now - seconds * 1000
    for (const [address, { announcedAt }] of this.byAddress) {
      if (announcedAt < oldest) this.byAddress.delete(address)
    }
  }
}
