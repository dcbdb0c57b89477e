import type { Message } from '../../firmware-protocol/wire/message.ts'

/**
 * A part of this process as a client of the router: a bridge, a device driver, the console. It says HELLO, is subject to
 * the same order, limits and permissions as any socket, and gets whole messages.
 */
export interface LocalSession {
  readonly id: string
  /** Throws an EncodeError when the message cannot be put on the wire. */
  send(message: Message): void
  close(): void
}

export interface LocalSessionOptions {
  name: string
  /**
   * Its writes are applied whatever lock, conflict strategy or revision there is: what the hub has, and how hardware is,
   * is not open to dispute.
   */
  isForced?: boolean
  /** It brings what peers outside say, who may not write the router's own addresses. */
  isForeign?: boolean
  /** Called for everything the router sends after WELCOME and the first SNAPSHOT. */
  onMessage?: (message: Message) => void
  onClose?: (reason: string) => void
}
