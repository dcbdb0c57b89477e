import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { PrefixedDeframer } from '../transports/deframer.ts'
import { type Channel, type ChannelHandler, type ChannelOptions, CLOSE_WAIT_MS } from './channel.ts'
import { connectionError } from './client-error.ts'

/** Federation reference §13.10. */
const KEEP_ALIVE_MS = 30_000

/**
 * Opens `tcp:` and `tls:`: a u32 length in front of every frame (transport reference §4.1). Rejects with a ClientError;
 * the signal ends the attempt and, later, the connection.
 */
export async function openStream(
  url: URL,
  handler: ChannelHandler,
  signal: AbortSignal,
  { ca }: ChannelOptions = {},
): Promise<Channel> {
  // It may have ended while this module was loaded.
  signal.throwIfAborted()
  // URL keeps the brackets of an IPv6 address, sockets want none.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port)
  let socket: Socket
  if (url.protocol === 'tls:') {
    const tls = await import('node:tls')
    signal.throwIfAborted()
    socket = tls.connect({ host, port, servername: isIP(host) === 0 ? host : undefined, ca })
  } else socket = connectTcp({ host, port, noDelay: true })
  const destroy = () => socket.destroy()
  signal.addEventListener('abort', destroy, { once: true })

  let violation = ''
  let lastError: Error | undefined
  socket.on('error', (error) => {
    lastError = error
  })
  await new Promise<void>((resolve, reject) => {
    socket.once(url.protocol === 'tls:' ? 'secureConnect' : 'connect', resolve)
    socket.once('close', () => {
      signal.removeEventListener('abort', destroy)
      reject(signal.aborted ? signal.reason : connectionError(lastError ?? new Error('closed'), url))
    })
  })
  const deframer = new PrefixedDeframer({
    onUnit(bytes, start, end) {
      handler.onFrames(bytes.subarray(start, end))
      return !socket.destroyed
    },
    onViolation(_code, reason) {
      violation = reason
      socket.destroy()
    },
  })
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  socket.on('data', (chunk: Buffer) => {
    handler.onAlive?.()
    deframer.push(chunk)
  })
  socket.once('close', () => {
    signal.removeEventListener('abort', destroy)
    handler.onClose(violation || lastError?.message || '', violation !== '')
  })
  let isCorked = false
  return {
    send(frame) {
      if (socket.destroyed || socket.writableEnded) return
      // One system call for all frames of a turn.
      if (!isCorked) {
        isCorked = true
        socket.cork()
        process.nextTick(() => {
          isCorked = false
          socket.uncork()
        })
      }
      const length = Buffer.allocUnsafe(4)
      length.writeUInt32BE(frame.length)
      socket.write(length)
      socket.write(frame)
    },
    get unsentBytes() {
      return socket.writableLength
    },
    close() {
      socket.end()
      const timer = setTimeout(destroy, CLOSE_WAIT_MS)
      socket.once('close', () => clearTimeout(timer))
    },
  }
}
