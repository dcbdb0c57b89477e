import { WebSocket } from 'ws'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { BridgeContext, RunningBridge, Update } from '../bridge.ts'
import { NULL } from '../json-value.ts'
import { LastValues } from '../last-values.ts'
import { loopMessage } from '../mirror-guard.ts'
import { OutboundQueue } from '../outbound-queue.ts'
import { jsonCodec, messagePackCodec } from './json-codec.ts'
import { readRequest } from './json-request.ts'
import type { WebsocketJsonOptions } from './websocket-json-kind.ts'

const HIGH_WATER_BYTES = 65_536
const DRAIN_CHECK_MS = 20
/** What the other side has to be told at the beginning fits, as much as the router keeps usually. */
const MAX_WAITING = 16_384
const CONNECT_MS = 10_000
const PING_EVERY_MS = 20_000

/** Connects to a server: all below the namespace goes there, and its values come in. Rejects when it cannot be reached. */
export async function connectJson(context: BridgeContext<WebsocketJsonOptions>): Promise<RunningBridge> {
  const { options, router, counters, clock, namespace, mirrors } = context
  const { url = '', format, maxMessage } = options
  const codec = format === 'json' ? jsonCodec : messagePackCodec
  const headers = Object.fromEntries(
    options.headers.map((header) => [
      header.slice(0, header.indexOf(':')),
      header.slice(header.indexOf(':') + 1).trim(),
    ]),
  )
  const protocol = format === 'json' ? [] : ['clasp-msgpack']
  const socket = new WebSocket(url, protocol, {
    headers,
    maxPayload: maxMessage,
    perMessageDeflate: false,
    handshakeTimeout: CONNECT_MS,
  })
  const last = new LastValues()
  const set = (address: string, value: Value) => {
    const onLoop = () => context.problem('loop', loopMessage(address))
    if (!mirrors.allows('client', address, value, onLoop)) {
      counters.inDropped++
      return
    }
    last.note(address, value)
    router.set(address, value)
  }
  // A server may speak together with its handshake.
  socket.on('message', receive)
  context.signal.addEventListener('abort', () => socket.terminate())
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', (error) => reject(new Error(`${url} cannot be reached (${error.message}): is its server up?`)))
  })
  if (socket.readyState !== WebSocket.OPEN) throw new Error(`${url} has closed the connection at once`)
  context.setPeers(1)
  const leave = mirrors.enterClient()
  context.signal.addEventListener('abort', leave, { once: true })
  const queue = new OutboundQueue(() => counters.outDropped++, MAX_WAITING)
  let check: { cancel(): void } | null = null
  const write = ({ address, value }: Update) =>
    socket.send(
      codec.encode([
        ['address', address],
        ['value', value],
      ]),
    )
  const drain = () => {
    check = null
    while (queue.size > 0 && socket.bufferedAmount < HIGH_WATER_BYTES) write(queue.shift() as Update)
    if (queue.size > 0) check = clock.timer(DRAIN_CHECK_MS, drain)
  }
  const unsubscribe = router.subscribe(`${namespace}/**`, (update) => {
    const { signal, address, value, isInitial } = update
    if (signal === 'param' && !last.isNews(address, value)) return
    if (signal === 'param' && !isInitial) mirrors.told('client', address, value)
    queue.push(update)
    if (check === null) drain()
  })
  function receive(data: Buffer, isBinary: boolean): void {
    const content = isBinary ? new Uint8Array(data) : data.toString('utf8')
    const message = codec.decode(content)
    if (message === undefined) {
      const value =
        typeof content === 'string'
          ? ({ type: 'string', value: content } as const)
          : ({ type: 'bytes', value: content } as const)
      set(`${namespace}/${typeof content === 'string' ? 'text' : 'binary'}`, value)
      return
    }
    const request = readRequest(message)
    if (request.type === 'plain') set(request.address ?? `${namespace}/message`, request.value)
    else if (request.type === 'set') set(request.address, request.value)
    else if (request.type === 'emit') router.publish(request.address, 'event', request.value)
    // What a server of ours says: `value`, `event` and the like are no requests.
    else if (message.type === 'map') take(new Map(message.value))
  }
  function take(members: ReadonlyMap<string, Value>): void {
    const [type, address] = [members.get('type'), members.get('address')]
    if (type?.type !== 'string' || address?.type !== 'string') {
      counters.inDropped++
      return
    }
    const value = members.get('value') ?? NULL
    if (type.value === 'value' || type.value === 'update') set(address.value, value)
    else if (type.value === 'event') router.publish(address.value, 'event', value)
    else counters.inDropped++
  }
  let isAlive = true
  socket.on('pong', () => {
    isAlive = true
  })
  const ping = () => {
    if (!isAlive) {
      socket.terminate()
      return
    }
    isAlive = false
    socket.ping()
    timer = clock.timer(PING_EVERY_MS, ping)
  }
  let timer = clock.timer(PING_EVERY_MS, ping)
  let isStopped = false
  socket.on('error', (error) => context.problem('socket', `${url}: ${error.message}`))
  socket.once('close', (code) => {
    timer.cancel()
    if (!isStopped) context.lost(new Error(`${url} has closed the connection (${code})`))
  })
  return {
    async stop() {
      isStopped = true
      unsubscribe()
      timer.cancel()
      check?.cancel()
      if (socket.readyState === WebSocket.CLOSED) return
      await new Promise<void>((resolve) => {
        const late = setTimeout(() => socket.terminate(), 500)
        socket.once('close', () => {
          clearTimeout(late)
          resolve()
        })
        socket.close(1000, 'the bridge is stopping')
      })
    },
  }
}
