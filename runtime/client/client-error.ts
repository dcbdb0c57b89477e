/** Sorts failures by what can be done about them. `rejected`: the router answered with ERROR; `code` is its number. */
export type ClientErrorKind =
  | 'url'
  | 'name'
  | 'refused'
  | 'unreachable'
  | 'tls'
  | 'not-clasp'
  | 'timeout'
  | 'unauthorized'
  | 'rejected'
  | 'closed'
  | 'aborted'

/** A connection or a request that failed: the message says what happened, where, and what to do. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly kind: ClientErrorKind
  /** Of an ERROR message. Wire reference §15. */
  readonly code: number | undefined

  /** `cause` is the error of the system, if there was one. */
  constructor(kind: ClientErrorKind, what: string, remedy: string, code?: number, cause?: Error) {
    super(remedy === '' ? what : `${what}: ${remedy}`, { cause })
    this.kind = kind
    this.code = code
  }
}

/** Why a connection could not be opened, or broke, from the system's error. */
export function connectionError(error: Error, url: URL): ClientError {
  const { code = '', message } = error as NodeJS.ErrnoException
  const failure = (kind: ClientErrorKind, what: string, remedy: string) =>
    new ClientError(kind, what, remedy, undefined, error)
  const place = `${url.hostname} port ${url.port || (url.protocol === 'wss:' ? 443 : 80)}`
  switch (code) {
    case 'ECONNREFUSED':
      return failure(
        'refused',
        `nothing listens at ${place}`,
        'is the router running, and is this its port? "clasp-edge run" starts one, "clasp-edge discover" finds others',
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return failure('name', `there is no host called ${url.hostname}`, 'check the name, or use the IP address')
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
    case 'EHOSTDOWN':
      return failure('unreachable', `${place} cannot be reached`, 'check the address and the network')
    case 'ECONNRESET':
    case 'EPIPE':
      return failure('closed', `${place} closed the connection`, 'does a CLASP router listen there?')
  }
  if (/CERT|SELF_SIGNED|^ERR_TLS|^ERR_SSL|SIGNATURE|^EPROTO/.test(code)) {
    const remedy = /SELF_SIGNED|SIGNATURE|ISSUER/.test(code)
      ? 'name the file of its certificate authority in NODE_EXTRA_CA_CERTS'
      : 'does it speak TLS there (wss:, tls:), with a certificate for this name?'
    return failure('tls', `no secure connection to ${place} (${message})`, remedy)
  }
  if (/Unexpected server response|subprotocol|Invalid|Parse Error|Expected HTTP/i.test(message)) {
    return failure('not-clasp', `${place} is not a CLASP router (${message})`, 'check host, port and scheme')
  }
  return failure('unreachable', `no connection to ${place} (${message})`, 'check the address and the network')
}

/** An ERROR message from the router, as the outcome of what was asked for. */
export function rejection(what: string, code: number, text: string): ClientError {
  const kind = code === 300 || code === 302 ? 'unauthorized' : 'rejected'
  // Of a disk that is full and a hub that is away the text says it all.
  const remedy = code === 503 && !/^Too many/.test(text) ? '' : (REMEDIES[code] ?? '')
  return new ClientError(kind, `${what} was refused: ${text} (${code})`, remedy, code)
}

const REMEDIES: Record<number, string> = {
  300: 'give a valid token with --token or CLASP_TOKEN',
  301: 'a token with the scope for it is needed',
  302: 'the token has expired: get a new one',
  429: 'send less, or raise the limits of the router',
  503: 'the router is full: try again later, or raise its limits',
}
