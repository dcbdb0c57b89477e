import type { ListenOptions, Server } from 'node:net'
import { explainListenFailure, type ListenTarget } from './listen-error.ts'

/** Binds a TCP server. Rejects with a ListenError: the port, who has it, and which of the `settings` to change. */
export async function listening(
  server: Server,
  options: ListenOptions & { port: number },
  settings: ListenTarget['settings'],
): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(options, () => {
        server.removeListener('error', reject)
        resolve()
      })
    })
  } catch (error) {
    const { host, port } = options
    throw await explainListenFailure(error, { protocol: 'tcp', host, port, settings })
  }
}
