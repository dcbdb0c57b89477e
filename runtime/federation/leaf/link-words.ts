import { ErrorCode } from '../../../firmware-protocol/wire/constants.ts'
import { ClientError } from '../../client/client-error.ts'
import type { LinkProblem } from './hub-session.ts'

/**
 * What the operator reads about the link to the hub: what happened, where, what to do. The keys that it names are those
 * of the configuration.
 */

/** The hub as an operator knows it; without user name, password and path. */
function placeOf(url: URL): string {
  return `${url.protocol}//${url.host}`
}

/** An attempt that ended before HELLO: from the client's error, or the system's below it. */
export function dialProblem(error: unknown, url: URL): LinkProblem {
  const place = placeOf(url)
  if (!(error instanceof ClientError))
    return { kind: 'closed', words: `no connection to the hub ${place}: ${textOf(error)}` }
  const { code = '', message } = (error.cause ?? error) as NodeJS.ErrnoException
  switch (error.kind) {
    case 'name':
      return {
        kind: 'name',
        words:
          code === 'EAI_AGAIN'
            ? `the name ${url.hostname} of the hub cannot be looked up: the name server does not answer, check the network`
            : `there is no host called ${url.hostname}: check the name in hub.url, or use the IP address of the hub`,
      }
    case 'refused':
      return {
        kind: 'refused',
        words: `nothing listens at ${place}: is the hub running, and is this its port (hub.url)?`,
      }
    case 'tls':
      return { kind: 'tls', words: tlsWords(code, message, url) }
    case 'not-clasp':
      return notClasp(message, url)
    case 'closed':
      return {
        kind: 'closed',
        words: `${place} closed the connection before it was open: does a CLASP router listen there${isTls(url) ? ', with TLS' : ''} (hub.url)?`,
      }
    case 'timeout':
      return { kind: 'timeout', words: error.message }
    default:
      return {
        kind: 'unreachable',
        words: `${place} cannot be reached (${message}): check the network, the address in hub.url, and whether the hub is switched on`,
      }
  }
}

/** `hub.url` is not an address. */
export function urlProblem(error: ClientError): LinkProblem {
  return { kind: 'url', words: `hub.url: ${error.message}` }
}

/** The file in `hub.ca`. */
export function authorityProblem(file: string, what: string): LinkProblem {
  return { kind: 'tls', words: `hub.ca: ${file} ${what}: name a PEM file with the certificate of the hub's authority` }
}

/** Nothing came in time. */
export function silentHub(stage: 'connection' | 'welcome' | 'session', ms: number, url: URL): LinkProblem {
  const place = placeOf(url)
  const seconds = rounded(ms)
  const words = {
    connection: `no connection to the hub ${place} within ${seconds} s: check the network and the address in hub.url`,
    welcome: `${place} took the connection but did not answer within ${seconds} s: does a CLASP router listen there, is it overloaded?`,
    session: `the hub ${place} has been silent for ${seconds} s, PINGs included: is it still running, is the network up?`,
  }
  return { kind: 'timeout', words: words[stage] }
}

/** The hub talks on, but answers nothing. */
export function unresponsiveHub(ms: number, url: URL): LinkProblem {
  return {
    kind: 'timeout',
    words: `the hub ${placeOf(url)} sends, but has not answered a PING for ${rounded(ms)} s: is it overloaded, or the line too slow?`,
  }
}

/** ERROR as the answer to HELLO. */
export function helloProblem(
  { code, message }: { code: number; message: string },
  hasToken: boolean,
  url: URL,
): LinkProblem {
  const place = placeOf(url)
  const said = `the hub ${place} refuses us: ${message} (${code})`
  switch (code) {
    case ErrorCode.unauthorized:
      return {
        kind: 'unauthorized',
        words: hasToken
          ? `${said}: it does not know the token in hub.token or hub.tokenFile, get a valid one`
          : `${said}: give a token in hub.token or hub.tokenFile`,
      }
    case ErrorCode.tokenExpired:
      return { kind: 'unauthorized', words: `${said}: get a new token for hub.token or hub.tokenFile` }
    case ErrorCode.internal:
      return { kind: 'unauthorized', words: `${said}: the hub's own configuration of tokens is wrong, mend it there` }
    case ErrorCode.overflow:
      return { kind: 'closed', words: `${said}: it is full, raise its limit of sessions` }
    case ErrorCode.unsupportedVersion:
      return { kind: 'not-clasp', words: `${said}: it speaks another version of the protocol, update the older side` }
    default:
      return { kind: 'closed', words: `${said}: look into the log of the hub` }
  }
}

/** The token cannot be sent at all. */
export function tokenProblem(reason: string): LinkProblem {
  return {
    kind: 'unauthorized',
    words: `the token cannot be sent to the hub (${reason}): check hub.token or hub.tokenFile`,
  }
}

/** Bytes that are no frame, or that break the rules of the transport. */
export function gibberish(reason: string, isGreeted: boolean, url: URL): LinkProblem {
  const place = placeOf(url)
  return isGreeted
    ? {
        kind: 'protocol',
        words: `the hub ${place} sent what is no frame (${reason}): is its program of a fitting version?`,
      }
    : {
        kind: 'not-clasp',
        words: `what listens at ${place} is not a CLASP router (${reason}): check host, port and scheme of hub.url`,
      }
}

/** The connection ended. `reason` is what the hub said of it, often nothing. */
export function closedByHub(reason: string, isGreeted: boolean, url: URL): LinkProblem {
  const what = `the hub ${placeOf(url)} closed the connection${isGreeted ? '' : ' instead of answering'}`
  const remedy = isGreeted ? 'was it stopped, or the network cut?' : 'does a CLASP router listen there, is it full?'
  return { kind: 'closed', words: `${what}${reason === '' ? '' : ` (${reason})`}: ${remedy}` }
}

/** We ended it ourselves. */
export function closedHere(url: URL): LinkProblem {
  return { kind: 'closed', words: `the connection to the hub ${placeOf(url)} was closed here` }
}

function notClasp(message: string, url: URL): LinkProblem {
  const place = placeOf(url)
  const status = /Unexpected server response: (\d+)/.exec(message)?.[1]
  if (status?.startsWith('50')) {
    return {
      kind: 'unreachable',
      words: `the web server at ${place} answers ${status}: the hub behind it is not running, start it`,
    }
  }
  const isHttp = !/Parse Error|Expected HTTP/i.test(message)
  const answer = status !== undefined ? `it answers HTTP ${status}` : isHttp ? message : 'it does not speak WebSocket'
  return {
    kind: 'not-clasp',
    words: `what listens at ${place} is not a CLASP router (${answer}): check host, port and path of hub.url`,
  }
}

function tlsWords(code: string, message: string, url: URL): string {
  const what = `no secure connection to the hub ${placeOf(url)}`
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return `${what}: its certificate has expired: renew it at the hub; if it has not, the clock of this machine is wrong`
    case 'CERT_NOT_YET_VALID':
      return `${what}: its certificate is not valid yet: the clock of this machine is probably wrong, set it`
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return `${what}: its certificate is self-signed: name its PEM file, or that of its authority, in hub.ca`
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'CERT_SIGNATURE_FAILURE':
      return `${what}: the authority of its certificate is not known here: name the authority's PEM file in hub.ca`
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `${what}: its certificate is for another name than ${url.hostname}: use that name in hub.url, or a certificate for this one`
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'EPROTO':
      return `${what}: it does not speak TLS at this port: use ${url.protocol === 'tls:' ? 'tcp' : 'ws'}:// or another port in hub.url`
    default:
      return `${what} (${message}): check its certificate, and hub.ca`
  }
}

function isTls(url: URL): boolean {
  return url.protocol === 'tls:' || url.protocol === 'wss:'
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Seconds, to a tenth. */
function rounded(ms: number): number {
  return Math.round(ms / 100) / 10
}
