import { io } from 'socket.io-client'
import type { BridgeContext, RunningBridge } from '../bridge.ts'
import { OutboundQueue } from '../outbound-queue.ts'
import { argumentOf, EventMapping, valueOfArguments } from './event-mapping.ts'
import type { SocketIoOptions } from './socket-io-kind.ts'

const CONNECT_MS = 10_000
const ACK_MS = 5000
const HIGH_WATER_PACKETS = 64
/** What the server has to be told at the beginning fits, as much as the router keeps usually. */
const MAX_WAITING = 16_384

/** Connects to a server: what is below the namespace goes there as events. Rejects when it cannot be reached. */
export async function connectSocketIo(context: BridgeContext<SocketIoOptions>): Promise<RunningBridge> {
  const { options, router, counters, namespace } = context
  const { url = '', path, token, events, acks } = options
  const mapping = new EventMapping(namespace, '/', options)
  // The host opens the bridge again, later and later.
  const socket = io(`${url.replace(/\/$/, '')}${options.sioNamespaces[0] ?? '/'}`, {
    path,
    auth: token === undefined ? {} : { token },
    reconnection: false,
    forceNew: true,
    timeout: CONNECT_MS,
  })
  // A server may speak in the same turn in which it says yes.
  socket.onAny(receive)
  try {
    await new Promise<void>((resolve, reject) => {
      context.signal.addEventListener('abort', () => reject(new Error('it was stopped')))
      socket.once('connect', resolve)
      socket.once('connect_error', (error) =>
        reject(new Error(`${url} cannot be reached (${error.message}): is its server up?`)),
      )
    })
    if (!socket.connected) throw new Error(`${url} has closed the connection at once: does it want a token?`)
  } catch (error) {
    socket.disconnect()
    throw error
  }
  context.setPeers(1)
  const queue = new OutboundQueue(() => counters.outDropped++, MAX_WAITING)
  const { engine } = socket.io as unknown as {
    engine: { writeBuffer: readonly unknown[]; on(event: 'drain', listener: () => void): void }
  }
  const drain = () => {
    while (queue.size > 0 && engine.writeBuffer.length < HIGH_WATER_PACKETS) {
      const update = queue.shift()
      const event = update === undefined ? undefined : mapping.eventOf(update.address)
      if (update === undefined || event === undefined) counters.outDropped++
      else if (acks) socket.timeout(ACK_MS).emit(event, argumentOf(update.value), answered(`${update.address}/ack`))
      else socket.emit(event, argumentOf(update.value))
    }
  }
  const answered =
    (address: string) =>
    (error: Error | null, ...args: unknown[]) => {
      const value = error === null ? valueOfArguments(args) : undefined
      if (value === undefined) counters.inDropped++
      else router.publish(address, 'event', value)
    }
  engine.on('drain', drain)
  const unsubscribe = router.subscribe(`${namespace}/**`, (update) => {
    if (update.address.endsWith('/ack')) return
    queue.push(update)
    drain()
  })
  function receive(event: string, ...args: unknown[]): void {
    if (events.length > 0 && !events.includes(event)) return
    const last = args.at(-1)
    const address = mapping.addressOf(event)
    const value = valueOfArguments(typeof last === 'function' ? args.slice(0, -1) : args)
    if (address === undefined || value === undefined) {
      counters.inDropped++
      return
    }
    if (mapping.signalOf(event) === 'param') router.set(address, value)
    else router.publish(address, 'event', value)
    if (typeof last === 'function') (last as (answer: unknown) => void)({ ok: true })
  }
  let isStopped = false
  socket.once('disconnect', (reason) => {
    if (!isStopped) context.lost(new Error(`${url} has closed the connection (${reason})`))
  })
  return {
    async stop() {
      isStopped = true
      unsubscribe()
      queue.clear()
      socket.disconnect()
    },
  }
}
