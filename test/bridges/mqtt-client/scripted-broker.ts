import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { generate, type IPublishPacket, type Packet, parser } from 'mqtt-packet'
import { until } from '../../until.ts'

/** A broker of version 5 that does what a test tells it, by the npm package `mqtt-packet`. */
export class ScriptedBroker {
  readonly port: number
  readonly heard: Packet[] = []
  isSessionPresent = false
  answersSubscribe = true
  socket: Socket | null = null

  private constructor(port: number) {
    this.port = port
  }

  static async start(t: TestContext): Promise<ScriptedBroker> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const broker = new ScriptedBroker((server.address() as { port: number }).port)
    server.on('connection', (socket) => broker.accept(socket))
    t.after(() => {
      broker.socket?.destroy()
      server.close()
    })
    return broker
  }

  published(topic: string): IPublishPacket[] {
    return this.heard.filter((one): one is IPublishPacket => one.cmd === 'publish' && one.topic === topic)
  }

  count(cmd: Packet['cmd']): number {
    return this.heard.filter((one) => one.cmd === cmd).length
  }

  hears(cmd: Packet['cmd'], count = 1): Promise<void> {
    return until(() => this.count(cmd) >= count, `${count} ${cmd}`)
  }

  say(packet: Packet): void {
    this.socket?.write(generate(packet, { protocolVersion: 5 }))
  }

  private accept(socket: Socket): void {
    this.socket = socket
    socket.on('error', () => {})
    const input = parser({ protocolVersion: 5 })
    input.on('packet', (packet) => this.answer(packet))
    socket.on('data', (chunk: Buffer) => input.parse(chunk))
  }

  private answer(packet: Packet): void {
    this.heard.push(packet)
    const { messageId } = packet
    if (packet.cmd === 'connect') {
      this.say({ cmd: 'connack', reasonCode: 0, sessionPresent: this.isSessionPresent })
    } else if (packet.cmd === 'subscribe') {
      if (this.answersSubscribe) this.say({ cmd: 'suback', messageId, granted: packet.subscriptions.map(() => 0) })
      else this.socket?.destroy()
    } else if (packet.cmd === 'publish' && packet.qos > 0) {
      this.say({ cmd: 'puback', messageId, reasonCode: 0 })
    }
  }
}
