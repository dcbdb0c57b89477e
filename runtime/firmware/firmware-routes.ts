import type { IncomingMessage, ServerResponse } from 'node:http'
import type { DatagramDevices } from './datagram-devices.ts'
import type { FirmwareHub, TappedFrame } from './firmware-hub.ts'
import type { SerialLines } from './serial-lines.ts'

export interface FirmwareParts {
  hub: FirmwareHub
  lines: SerialLines
  datagrams: DatagramDevices
}

export type FirmwareRoute = (request: IncomingMessage, response: ServerResponse, keepOpen: () => void) => void

const PING_TIMEOUT_MS = 2000
const MAX_WATCHERS = 8
/** A watcher that does not read loses frames, not the router memory. */
const MAX_UNREAD_BYTES = 1_048_576

/** What the command line asks a running router about its microcontrollers. */
export function firmwareRoutes({ hub, lines, datagrams }: FirmwareParts): [string, FirmwareRoute][] {
  return [
    [
      '/firmware',
      (_request, response) =>
        json(response, 200, { ports: lines.report(), devices: hub.report(), udp: datagrams.counters }),
    ],
    [
      '/firmware/ping',
      (request, response) => {
        const uid = parameter(request, 'device')
        const link = hub.linkOf(uid)
        if (link === undefined) return json(response, 404, { error: `no device ${uid} is online` })
        link.ping(PING_TIMEOUT_MS).then(
          (rttMs) => json(response, 200, { rttMs: Math.round(rttMs * 1000) / 1000 }),
          (error: Error) => json(response, 504, { error: error.message }),
        )
      },
    ],
    [
      '/firmware/frames',
      (request, response, keepOpen) => {
        const port = parameter(request, 'port')
        const uid = parameter(request, 'device')
        if (hub.taps.size >= MAX_WATCHERS) return json(response, 503, { error: `${MAX_WATCHERS} are watching already` })
        keepOpen()
        response.writeHead(200, { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' })
        response.flushHeaders()
        const tap = (frame: TappedFrame) => {
          if ((port !== '' && frame.port !== port) || (uid !== '' && frame.uid !== uid)) return
          if (response.writableLength < MAX_UNREAD_BYTES) response.write(`${JSON.stringify(frame)}\n`)
        }
        hub.taps.add(tap)
        response.on('close', () => hub.taps.delete(tap))
      },
    ],
  ]
}

function parameter(request: IncomingMessage, name: string): string {
  return new URL(request.url ?? '/', 'http://router').searchParams.get(name) ?? ''
}

function json(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
  })
  response.end(text)
}
