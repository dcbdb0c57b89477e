import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { WEBSOCKET_SUBPROTOCOL } from '../../firmware-protocol/wire/constants.ts'

/** RFC 6455 §1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

export type Handshake =
  | { isAccepted: true /** The complete response. */; response: string }
  | { isAccepted: false; response: string; reason: string }

/**
 * The answer to a WebSocket upgrade (RFC 6455 §4.2). Any path, query, Origin and Host will do; the sub-protocol `clasp`
 * is confirmed if and only if it was offered, because browsers drop the connection otherwise; extensions are declined.
 * Source: transport reference §3.1.
 */
export function answerHandshake(request: IncomingMessage): Handshake {
  if (request.method !== 'GET') return refusal('400 Bad Request', 'a WebSocket starts with GET')
  const version = request.headers['sec-websocket-version']
  if (version !== '13') {
    return refusal('426 Upgrade Required', 'only WebSocket version 13 is spoken here', 'Sec-WebSocket-Version: 13\r\n')
  }
  const key = request.headers['sec-websocket-key']
  if (key === undefined || !/^[+/0-9A-Za-z]{22}==$/.test(key)) {
    return refusal('400 Bad Request', 'Sec-WebSocket-Key must be 16 bytes in base64')
  }
  const accept = createHash('sha1')
    .update(key + ACCEPT_SUFFIX)
    .digest('base64')
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
  const confirmed = offered.includes(WEBSOCKET_SUBPROTOCOL)
    ? `Sec-WebSocket-Protocol: ${WEBSOCKET_SUBPROTOCOL}\r\n`
    : ''
  return {
    isAccepted: true,
    response: `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${confirmed}\r\n`,
  }
}

function refusal(status: string, reason: string, headers = ''): Handshake {
  return { isAccepted: false, reason, response: plainResponse(status, reason, headers) }
}

/** A complete HTTP/1.1 response that ends the connection. */
export function plainResponse(status: string, text: string, headers = ''): string {
  const body = `${text}\n`
  return `HTTP/1.1 ${status}\r\n${headers}Content-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
}
