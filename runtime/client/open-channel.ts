import type { Channel, ChannelHandler, ChannelOptions } from './channel.ts'

/**
 * Opens the kind of channel that the scheme names; each is loaded only when it is used. Rejects with a ClientError; the
 * signal ends the attempt and, later, the connection.
 */
export async function openChannel(
  url: URL,
  handler: ChannelHandler,
  signal: AbortSignal,
  options: ChannelOptions = {},
): Promise<Channel> {
  if (url.protocol === 'tcp:' || url.protocol === 'tls:') {
    const { openStream } = await import('./stream-channel.ts')
    return openStream(url, handler, signal, options)
  }
  const { openWebSocket } = await import('./websocket-channel.ts')
  return openWebSocket(url, handler, signal, options)
}
