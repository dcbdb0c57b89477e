import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from './proof-scene.ts'

/** A line to a port on loopback that can be pulled: then nothing arrives any more, and nobody is told. */
export class Cable {
  /** Connections since the start. */
  connections = 0
  private readonly server: Server
  private readonly pairs = new Set<[Socket, Socket]>()
  private isPulled = false

  static async to(t: Test, port: number): Promise<Cable> {
    const cable = new Cable(port)
    t.after(() => cable.stop())
    cable.server.listen(0, '127.0.0.1')
    await once(cable.server, 'listening')
    return cable
  }

  private constructor(port: number) {
    this.server = createServer((near) => {
      this.connections++
      const far = connect(port, '127.0.0.1')
      const pair: [Socket, Socket] = [near, far]
      this.pairs.add(pair)
      for (const [from, to] of [pair, [far, near] as const]) {
        from.setNoDelay(true)
        from.on('data', (chunk) => {
          if (!this.isPulled) to.write(chunk)
        })
        from.on('error', () => {})
        from.on('close', () => {
          if (this.isPulled) return
          this.pairs.delete(pair)
          to.destroy()
        })
      }
    })
  }

  get url(): string {
    return `tcp://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  pull(): void {
    this.isPulled = true
  }

  /** What was on its way when the cable was pulled is gone: the connections of then end. */
  plug(): void {
    if (!this.isPulled) return
    this.isPulled = false
    this.cut()
  }

  /** Cuts every connection; both ends notice. */
  cut(): void {
    for (const [near, far] of this.pairs) {
      near.destroy()
      far.destroy()
    }
    this.pairs.clear()
  }

  async stop(): Promise<void> {
    this.cut()
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
  }
}
