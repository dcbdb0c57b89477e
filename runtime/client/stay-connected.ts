import { setTimeout as delay } from 'node:timers/promises'
import { BackOff } from './back-off.ts'
import type { Client } from './client.ts'
import { ClientError } from './client-error.ts'
import { type ConnectOptions, connect } from './connect.ts'

export interface ConnectionLife {
  /** On every new connection: subscribe here. A rejection ends it all. */
  onConnected(client: Client): Promise<void>
  onLost(error: ClientError, retryInMs: number): void
  /** Replaces the waiting times of the tests. */
  backOff?: BackOff
  /** Between PINGs that find out whether the router is still there. Default 30 s. */
  pingIntervalMs?: number
}

/** Retrying cannot help against these. */
const FINAL = new Set(['url', 'unauthorized', 'tls', 'not-clasp'])

/**
 * Stays connected until the signal; then it resolves. Rejects when the first attempt fails, and later when retrying is
 * of no use. Routers forget a session with its connection, so everything begins anew in `onConnected`.
 */
export async function stayConnected(
  url: string,
  options: ConnectOptions,
  life: ConnectionLife,
  signal: AbortSignal,
): Promise<void> {
  const { backOff = new BackOff({ baseMs: 500, capMs: 30_000 }), pingIntervalMs = 30_000 } = life
  for (let isFirst = true; !signal.aborted; ) {
    let lost: ClientError
    try {
      const client = await connect(url, { ...options, signal })
      try {
        await life.onConnected(client)
        isFirst = false
        backOff.reset()
        lost = await watched(client, pingIntervalMs)
      } finally {
        await client.close()
      }
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof ClientError) || isFirst || FINAL.has(error.kind)) throw error
      lost = error
    }
    if (signal.aborted) return
    const retryInMs = backOff.next()
    life.onLost(lost, retryInMs)
    await delay(retryInMs, undefined, { signal }).catch(() => {})
  }
}

/** The end of a connection, which a silent peer counts for too. */
async function watched(client: Client, pingIntervalMs: number): Promise<ClientError> {
  const timer = setInterval(() => {
    client.ping().catch((error: ClientError) => client.fail(error))
  }, pingIntervalMs)
  try {
    return await client.closed
  } finally {
    clearInterval(timer)
  }
}
