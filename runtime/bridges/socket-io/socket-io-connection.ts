import { io, type Socket } from 'socket.io-client'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { BridgeContext, RunningBridge } from '../bridge.ts'
import { LastValues } from '../last-values.ts'
import { loopMessage } from '../mirror-guard.ts'
import { OutboundQueue } from '../outbound-queue.ts'
import { argumentOf, EventMapping, mirrorKey, valueOfArguments } from './event-mapping.ts'
import type { SocketIoOptions } from './socket-io-kind.ts'

const CONNECT_MS = 10_000
const ACK_MS = 5000
const LEAVE_MS = 500
const HIGH_WATER_PACKETS = 64
/** What the server has to be told at the beginning fits, as much as the router keeps usually. */
const MAX_WAITING = 16_384

/** What the library does not show of its connection. */
interface Engine {
  readonly readyState: string
  readonly writeBuffer: readonly unknown[]
  readonly transport?: { close(): void }
  on(event: 'drain', listener: () => void): void
  once(event: 'close', listener: () => void): void
}

/** Connects to a server: what is below the namespace goes there as events. Rejects when it cannot be reached. */
export async function connectSocketIo(context: BridgeContext<SocketIoOptions>): Promise<RunningBridge> {
  const { options, router, counters, namespace, mirrors } = context
  const { url = '', path, token, events, acks } = options
  const mapping = new EventMapping(namespace, '/', options)
  const last = new LastValues()
  // The host opens the bridge again, later and later.
  const socket = io(`${url.replace(/\/$/, '')}${options.sioNamespaces[0] ?? '/'}`, {
    path,
    auth: token === undefined ? {} : { token },
    reconnection: false,
    // Without a change of transports, in which the library may get stuck; polling where a WebSocket cannot be had.
    transports: ['websocket', 'polling'],
    tryAllTransports: true,
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
    await left(socket)
    throw error
  }
  context.setPeers(1)
  context.signal.addEventListener('abort', mirrors.enterClient(), { once: true })
  const queue = new OutboundQueue(() => counters.outDropped++, MAX_WAITING)
  const { engine } = socket.io as unknown as { engine: Engine }
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
    const { signal, address, value, isInitial } = update
    if (address.endsWith('/ack')) return
    if (signal === 'param' && !last.isNews(address, value)) return
    if (signal === 'param' && !isInitial) mirrors.told('client', mirrorKey(mapping.eventOf(address)), value)
    queue.push(update)
    drain()
  })
  function receive(event: string, ...args: unknown[]): void {
    if (events.length > 0 && !events.includes(event)) return
    const acknowledge = args.at(-1)
    const address = mapping.addressOf(event)
    const value = valueOfArguments(typeof acknowledge === 'function' ? args.slice(0, -1) : args)
    if (address === undefined || value === undefined) {
      counters.inDropped++
      return
    }
    if (mapping.signalOf(event) === 'param') set(event, address, value)
    else router.publish(address, 'event', value)
    if (typeof acknowledge === 'function') (acknowledge as (answer: unknown) => void)({ ok: true })
  }
  function set(event: string, address: string, value: Value): void {
    const onLoop = () => context.problem('loop', loopMessage(address))
    if (mirrors.allows('client', mirrorKey(event), value, onLoop)) {
      last.note(address, value)
      router.set(address, value)
    } else {
      counters.inDropped++
    }
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
      await left(socket)
    },
  }
}

/** Closes the connection when all is sent. Between two transports the library would wait for up to 45 s. */
async function left(socket: Socket): Promise<void> {
  socket.disconnect()
  const { engine } = socket.io as unknown as { engine?: Engine }
  if (engine === undefined || engine.readyState === 'closed') return
  await new Promise<void>((resolve) => {
    const late = setTimeout(() => {
      engine.transport?.close()
      resolve()
    }, LEAVE_MS)
    engine.once('close', () => {
      clearTimeout(late)
      resolve()
    })
  })
}
