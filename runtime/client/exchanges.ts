import type { ErrorMessage, Message } from '../../firmware-protocol/wire/message.ts'
import { ClientError, rejection } from './client-error.ts'

/** A request that waits for its answer. */
export interface Exchange<T> {
  /** For messages: `SET /a`. */
  what: string
  timeoutMs: number
  /** Whether an ERROR about this address is meant for it. */
  concerns?(address: string): boolean
  /**
   * A PING was sent behind the request, because the answer has no end or may be none at all: the PONG follows what came
   * in between on an ordered link. Wire reference §20 G7.
   */
  isMarked?: boolean
  /** The result, when this message brings it. A marked exchange sees every message and ends with the PONG. */
  take(message: Message): T | undefined
}

interface Waiting {
  exchange: Exchange<unknown>
  /** Failed already; stays until its answer has come, which no other request must get. */
  isSpent: boolean
  timer: NodeJS.Timeout
  resolve(result: unknown): void
  reject(error: Error): void
}

/** ERROR that tells about the session, not about a request: copies were dropped because the client is slow. */
const OVERFLOW = 503

/**
 * Gives answers to the requests they belong to. The protocol has no request numbers; a router answers one connection in
 * order, so an answer belongs to the oldest request that it fits. Wire reference §20 G4.
 */
export class Exchanges {
  private waiting: Waiting[] = []

  start<T>(exchange: Exchange<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { what, timeoutMs } = exchange
      const waiting: Waiting = {
        exchange,
        isSpent: false,
        resolve: resolve as (result: unknown) => void,
        reject,
        timer: setTimeout(() => {
          waiting.isSpent = true
          reject(
            new ClientError(
              'timeout',
              `no answer to ${what} within ${timeoutMs / 1000} s`,
              'is the router overloaded?',
            ),
          )
        }, timeoutMs),
      }
      this.waiting.push(waiting)
    })
  }

  onMessage(message: Message): void {
    if (message.type === 'ERROR') {
      this.onError(message)
      return
    }
    for (let i = 0; i < this.waiting.length; i++) {
      const { exchange, isSpent, resolve } = this.waiting[i]
      const result = exchange.take(message)
      const isEnd = exchange.isMarked ? message.type === 'PONG' : result !== undefined
      if (!isEnd) continue
      this.remove(i)
      if (!isSpent) resolve(result)
      return
    }
  }

  /** Fails everything that still waits. */
  close(error: Error): void {
    const waiting = this.waiting
    this.waiting = []
    for (const { timer, isSpent, reject } of waiting) {
      clearTimeout(timer)
      if (!isSpent) reject(error)
    }
  }

  private onError({ code, message, address }: ErrorMessage): void {
    // With an address it answers a write: applied, but not stored.
    if (code === OVERFLOW && address === undefined) return
    const at = this.waiting.findIndex(
      ({ exchange, isSpent }) => !isSpent && (address === undefined || exchange.concerns?.(address) === true),
    )
    if (at < 0) return
    const waiting = this.waiting[at]
    if (waiting.exchange.isMarked) {
      waiting.isSpent = true
      clearTimeout(waiting.timer)
    } else this.remove(at)
    waiting.reject(rejection(waiting.exchange.what, code, message))
  }

  private remove(index: number): void {
    clearTimeout(this.waiting[index].timer)
    if (index === 0) this.waiting.shift()
    else this.waiting.splice(index, 1)
  }
}
