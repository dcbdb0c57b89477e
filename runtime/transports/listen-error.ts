import { portHolder } from './port-holder.ts'

/** Where a listener wanted to listen. */
export interface ListenTarget {
  protocol: 'tcp' | 'udp'
  /** Undefined: every address. */
  host: string | undefined
  port: number
  /** The configuration keys to name in the remedy. */
  settings: { port: string; host: string }
}

/** A listener could not start. The message is for the operator: what happened, where, what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  /** The system's code: EADDRINUSE, EACCES, EADDRNOTAVAIL … */
  readonly code: string
  readonly port: number

  constructor(message: string, code: string, port: number) {
    super(message)
    this.code = code
    this.port = port
  }
}

/** Turns a failed bind into a ListenError; looks for the process that has the port. */
export async function explainListenFailure(error: unknown, target: ListenTarget): Promise<ListenError> {
  const code = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN'
  const { port, settings } = target
  const place = `${target.protocol.toUpperCase()} port ${port}`
  const at = target.host === undefined ? '' : ` at ${target.host}`
  switch (code) {
    case 'EADDRINUSE': {
      const holder = await portHolder(target.protocol, port)
      const isOwn = holder?.endsWith(`(pid ${process.pid})`) === true
      const by = isOwn ? 'another part of this router' : (holder ?? 'another process')
      const message = `${place}${at} is in use by ${by}: stop it, or set ${settings.port} to a free port`
      return new ListenError(message, code, port)
    }
    case 'EACCES':
      return new ListenError(
        `not allowed to listen on ${place}${at}: set ${settings.port} to 1024 or above, or grant the process CAP_NET_BIND_SERVICE`,
        code,
        port,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ListenError(
        `cannot listen on ${place}${at}: this machine has no such address: set ${settings.host} to one of its own, or leave it out for all`,
        code,
        port,
      )
    default:
      return new ListenError(
        `cannot listen on ${place}${at}: ${(error as Error).message ?? code}: check ${settings.host} and ${settings.port}`,
        code,
        port,
      )
  }
}
