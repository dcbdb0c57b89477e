import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { hostname } from 'node:os'

/** Addresses that are not on the internet (RFC 6890, RFC 4193): loopback, link-local, private, shared. */
const PRIVATE = new BlockList()
PRIVATE.addSubnet('127.0.0.0', 8, 'ipv4')
PRIVATE.addSubnet('10.0.0.0', 8, 'ipv4')
PRIVATE.addSubnet('172.16.0.0', 12, 'ipv4')
PRIVATE.addSubnet('192.168.0.0', 16, 'ipv4')
PRIVATE.addSubnet('169.254.0.0', 16, 'ipv4')
PRIVATE.addSubnet('100.64.0.0', 10, 'ipv4')
PRIVATE.addAddress('::1', 'ipv6')
PRIVATE.addSubnet('fc00::', 7, 'ipv6')
PRIVATE.addSubnet('fe80::', 10, 'ipv6')

/** RFC 6761, RFC 6762, RFC 8375, what ICANN keeps free, and `lan` of many routers: nobody can register a name below these. */
const PRIVATE_SUFFIX = /\.(?:localhost|local|home\.arpa|internal|home|lan)$/

type Asking = Pick<IncomingMessage, 'headers' | 'socket'>

/** Which web pages may connect. */
export interface PageRules {
  /** Origins that may, and no others; none: see `pageProblem`. */
  readonly origins: readonly string[]
  /** Names of this node beside those that nobody else can have. */
  readonly hosts: readonly string[]
  /** Nothing goes without a token, which strangers do not know, or one was shown. */
  readonly isGuarded: boolean
}

/**
 * DNS rebinding: a name of a stranger's own may lead to this node, and then his page and the node are one origin for the
 * browser. Hence names count only where they cannot be his. Returns what is wrong with that of a request, for both sides;
 * undefined: nothing. Over TLS the certificate vouches for the name.
 */
export function hostProblem({ headers, socket }: Asking, hosts: readonly string[]): string | undefined {
  // Browsers always send one.
  if (headers.host === undefined || 'encrypted' in socket) return undefined
  // Some programs name the interface of a link-local address, which URLs have no place for.
  const name = nameOf(`http://${headers.host.replace(/%[^\]]*\]/, ']')}`)
  if (isIP(name) !== 0 || isPrivateName(name) || name === hostname().toLowerCase()) return undefined
  if (name !== '' && hosts.some((one) => one.toLowerCase() === name)) return undefined
  const shown = name === '' ? 'a name that is none' : name.slice(0, 253)
  return `this node is not known as ${shown}: ask by its IP address or ${hostname().split('.', 1)[0]}.local, or list the name in hosts`
}

/**
 * What is wrong with the web page that opens a WebSocket, for both sides; undefined: nothing. Browsers send its origin and
 * leave the decision to the server (RFC 6455 §10.2). Where no origins are listed and no token is needed, pages of this
 * node, of machines with private addresses or names, and of installed programs may; programs without a page always may.
 */
export function pageProblem(request: Asking, { origins, hosts, isGuarded }: PageRules): string | undefined {
  const { origin, host } = request.headers
  if (origin === undefined || origins.includes('*') || origins.includes(origin)) return undefined
  const shown = origin === 'null' ? 'files and sandboxes (origin "null")' : origin.slice(0, 200)
  const refusal = `web pages of ${shown} may not connect: list it in origins`
  if (origins.length > 0) return refusal
  // Pages from files have the origin "null", but so have sandboxed ones of anybody; other schemes belong to programs.
  if (isGuarded || !/^(?:https?:|null$)/i.test(origin)) return undefined
  const name = nameOf(origin)
  if (isPrivate(name)) return undefined
  if (name === '' || name !== nameOf(`http://${host}`))
    return `${refusal}, or let nothing go without a token (token, and no anonymous)`
  return hostProblem(request, hosts)
}

/** Of a URL without brackets, port and final dot; '' where there is none. */
function nameOf(url: string): string {
  if (!URL.canParse(url)) return ''
  return new URL(url).hostname.replace(/^\[|\]$|\.$/g, '')
}

function isPrivate(name: string): boolean {
  const family = isIP(name)
  return family === 0 ? isPrivateName(name) : PRIVATE.check(name, family === 6 ? 'ipv6' : 'ipv4')
}

/** A name without a dot is one of the local network, too. */
function isPrivateName(name: string): boolean {
  return name !== '' && (!name.includes('.') || PRIVATE_SUFFIX.test(name))
}
