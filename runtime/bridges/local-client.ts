import { Client } from '../client/client.ts'

const TIMEOUT_MS = 5000

export interface FrameRouter {
  openFrames(
    name: string,
    onFrames: (bytes: Uint8Array) => void,
    onClosed: (reason: string) => void,
  ): { send(frame: Uint8Array): void; close(): void }
}

/** A client of the router in this process, with requests and answers as over a socket. */
export async function openLocalClient(router: FrameRouter, name: string): Promise<Client> {
  const client = new Client(new URL('local:router'))
  const channel = router.openFrames(
    name,
    (bytes) => client.onFrames(bytes),
    (reason) => client.onClose(reason),
  )
  await client.greet({ send: channel.send, close: channel.close, unsentBytes: 0 }, { name, timeoutMs: TIMEOUT_MS })
  return client
}
