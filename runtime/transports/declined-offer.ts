import type { IncomingMessage } from 'node:http'

/**
 * What there is to read of a connection whose request offers to speak something else than a WebSocket (h2c, of Java and
 * curl), as if it did not: the offer may be ignored (RFC 9110 §7.8). Another one behind the answer is not read.
 */
export function withoutOffer({ method, url, rawHeaders }: IncomingMessage, head: Buffer): Buffer {
  const lines = [`${method} ${url} HTTP/1.1`, 'Connection: close']
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (!/^(?:connection|upgrade|http2-settings)$/i.test(rawHeaders[at]))
      lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head])
}
