import { WEBSOCKET_SUBPROTOCOL } from '../../firmware-protocol/wire/constants.ts'
import { type Channel, type ChannelHandler, type ChannelOptions, CLOSE_WAIT_MS } from './channel.ts'
import { connectionError } from './client-error.ts'

/** Larger than any frame; a message may hold several. */
const MAX_MESSAGE_BYTES = 1_048_576

/** Opens `ws:` and `wss:`. Rejects with a ClientError; the signal ends the attempt and, later, the connection. */
export async function openWebSocket(
  url: URL,
  handler: ChannelHandler,
  signal: AbortSignal,
  { ca }: ChannelOptions = {},
): Promise<Channel> {
  const { WebSocket } = await import('ws')
  signal.throwIfAborted()
  const socket = new WebSocket(url, WEBSOCKET_SUBPROTOCOL, {
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    ...(ca !== undefined && { ca }),
  })
  const terminate = () => socket.terminate()
  signal.addEventListener('abort', terminate, { once: true })

  let lastError: NodeJS.ErrnoException | undefined
  socket.on('error', (error) => {
    lastError = error
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('close', () => {
      signal.removeEventListener('abort', terminate)
      reject(signal.aborted ? signal.reason : connectionError(lastError ?? new Error('closed'), url))
    })
  })
  socket.on('message', (data) => {
    handler.onAlive?.()
    if (data instanceof Buffer) handler.onFrames(data)
  })
  socket.on('pong', () => handler.onAlive?.())
  socket.once('close', (_code, reason) => {
    signal.removeEventListener('abort', terminate)
    const isViolation = lastError?.code?.startsWith('WS_ERR_') === true
    handler.onClose((isViolation ? '' : reason.toString()) || lastError?.message || '', isViolation)
  })
  return {
    send(frame) {
      if (socket.readyState === WebSocket.OPEN) socket.send(frame)
    },
    get unsentBytes() {
      return socket.bufferedAmount
    },
    ping() {
      if (socket.readyState === WebSocket.OPEN) socket.ping()
    },
    close() {
      socket.close(1000)
      // The library itself would wait for half a minute.
      const timer = setTimeout(terminate, CLOSE_WAIT_MS)
      socket.once('close', () => clearTimeout(timer))
    },
  }
}
