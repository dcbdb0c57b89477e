import { Client } from './client.ts'
import { ClientError } from './client-error.ts'
import { openChannel } from './open-channel.ts'
import { parseRouterUrl } from './router-url.ts'

export interface ConnectOptions {
  /** As the router shows it. */
  name?: string
  token?: string
  /** For the connection as a whole, and then for every request. Default 10 s and 5 s. */
  timeoutMs?: number
  /** Ends the attempt and, later, the connection. */
  signal?: AbortSignal
}

const CONNECT_TIMEOUT_MS = 10_000

/** Connects to a router. Rejects with a ClientError that says why not and what to do. */
export async function connect(address: string, options: ConnectOptions = {}): Promise<Client> {
  const url = parseRouterUrl(address)
  const { name = 'clasp-edge client', token, timeoutMs = CONNECT_TIMEOUT_MS, signal } = options
  const aborter = new AbortController()
  const onAbort = () => aborter.abort(new ClientError('aborted', 'interrupted', ''))
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  const deadline = setTimeout(() => {
    const what = `no connection to ${url.host} within ${timeoutMs / 1000} s`
    aborter.abort(new ClientError('timeout', what, 'check the address and the network'))
  }, timeoutMs)

  const client = new Client(url)
  client.closed.then(() => signal?.removeEventListener('abort', onAbort))
  aborter.signal.addEventListener('abort', () => client.fail(aborter.signal.reason), { once: true })
  try {
    const channel = await openChannel(url, client, aborter.signal)
    await client.greet(channel, { name, token, timeoutMs })
  } catch (error) {
    const failure = aborter.signal.aborted ? aborter.signal.reason : error
    client.fail(failure)
    throw failure
  } finally {
    clearTimeout(deadline)
  }
  if (options.timeoutMs !== undefined) client.timeoutMs = options.timeoutMs
  return client
}
