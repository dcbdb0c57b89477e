import type { SetParam } from '../../firmware-protocol/wire/message.ts'

/** A SET of somebody else. */
export interface ForeignSet {
  message: SetParam
  /** The router has taken an own SET after it: clients have that one's value now. */
  isOverwritten: boolean
}

/**
 * Tells what others wrote from what came back of one's own. The router delivers a session's own SETs like any; only their
 * ACKs name the revisions. So while an ACK is awaited, SETs of its address are kept back.
 */
export class OwnEchoes {
  private readonly awaited = new Map<string, { acks: number; held: ForeignSet[] }>()

  /** A SET of this address, which is subscribed to, is about to be sent. */
  expect(address: string): void {
    const own = this.awaited.get(address)
    if (own === undefined) this.awaited.set(address, { acks: 1, held: [] })
    else own.acks++
  }

  /** The SETs of others, in order, that can be told by now. */
  onSet(message: SetParam): ForeignSet[] {
    const own = this.awaited.get(message.address)
    if (own === undefined) return [{ message, isOverwritten: false }]
    own.held.push({ message, isOverwritten: false })
    return []
  }

  /** The answer to an own SET; `revision` is undefined when it was refused. */
  onAnswer(address: string, revision: number | bigint | undefined): ForeignSet[] {
    const own = this.awaited.get(address)
    if (own === undefined) return []
    own.held = own.held.filter(({ message }) => message.revision !== revision)
    for (const held of own.held) held.isOverwritten ||= isBefore(held.message.revision, revision)
    if (--own.acks > 0) return []
    this.awaited.delete(address)
    return own.held
  }
}

function isBefore(a: SetParam['revision'], b: SetParam['revision']): boolean {
  return a !== undefined && b !== undefined && a < b
}
