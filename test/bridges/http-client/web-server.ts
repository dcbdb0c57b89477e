import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'

export interface Got {
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: string
}

/** A foreign web server: what it got, and what it answers. */
export class WebServer {
  readonly got: Got[] = []
  /** Connections that it has accepted. */
  connections = 0
  port = 0
  private readonly server: Server

  private constructor(respond: (got: Got, response: ServerResponse, count: number) => void) {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { method = '', url = '', headers } = request
        const got = { method, url, headers, body: Buffer.concat(chunks).toString() }
        this.got.push(got)
        respond(got, response, this.got.length)
      })
    })
  }

  static async start(
    t: TestContext,
    respond: (got: Got, response: ServerResponse, count: number) => void,
  ): Promise<WebServer> {
    const web = new WebServer(respond)
    const sockets = new Set<Socket>()
    web.server.on('connection', (socket: Socket) => {
      web.connections++
      sockets.add(socket)
    })
    web.server.listen(0, '127.0.0.1')
    await once(web.server, 'listening')
    web.port = (web.server.address() as { port: number }).port
    t.after(() => {
      for (const socket of sockets) socket.destroy()
      web.server.close()
    })
    return web
  }
}
