import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { OscDecoder } from '../../../runtime/bridges/osc/osc-decoder.ts'
import type { OscMessage, OscPacket } from '../../../runtime/bridges/osc/osc-packet.ts'
import { until } from '../../until.ts'
import { BridgeScene, type BridgeSceneOptions } from '../bridge-scene.ts'

/** A string with its NULs, as OSC has it. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([bytes, Buffer.alloc(4 - (bytes.length % 4))])
}

export const int32 = (value: number) => hex((value >>> 0).toString(16).padStart(8, '0'))
export const float32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatBE(value)
  return bytes
}
export const hex = (digits: string) => Buffer.from(digits.replaceAll(' ', ''), 'hex')

/** The bytes of a message. */
export function message(address: string, tags = '', ...args: Buffer[]): Buffer {
  return Buffer.concat([text(address), text(`,${tags}`), ...args])
}

/** The bytes of a bundle; `unixUs` 0: immediately. */
export function bundle(unixUs: number, ...elements: Buffer[]): Buffer {
  const tag = Buffer.alloc(8)
  if (unixUs === 0) tag.writeUInt32BE(1, 4)
  else {
    tag.writeUInt32BE((Math.floor(unixUs / 1e6) + 2_208_988_800) % 2 ** 32, 0)
    tag.writeUInt32BE(Math.floor(((unixUs % 1e6) * 2 ** 32) / 1e6), 4)
  }
  return Buffer.concat([text('#bundle'), tag, ...elements.flatMap((element) => [int32(element.length), element])])
}

export const decode = (bytes: Buffer) =>
  new OscDecoder({ roundF32: false, legacyUntyped: false }).decode(bytes, 0, bytes.length)

/** A foreign program with one UDP port. */
export class Gear {
  readonly packets: Buffer[] = []
  readonly port: number
  private readonly socket: ReturnType<typeof createSocket>
  private readonly bridgePort: number

  private constructor(socket: ReturnType<typeof createSocket>, bridgePort: number) {
    this.socket = socket
    this.bridgePort = bridgePort
    this.port = socket.address().port
    socket.on('message', (bytes) => this.packets.push(bytes))
  }

  static async open(t: TestContext, bridgePort = 0, host = '127.0.0.1'): Promise<Gear> {
    const socket = createSocket('udp4')
    socket.bind(0, host)
    await once(socket, 'listening')
    t.after(() => socket.close())
    return new Gear(socket, bridgePort)
  }

  send(...packets: Buffer[]): void {
    for (const packet of packets) this.socket.send(packet, this.bridgePort, '127.0.0.1')
  }

  /** Messages that arrived, out of bundles as well. */
  get messages(): OscMessage[] {
    return this.packets.flatMap((bytes) => messagesOf(decode(bytes) as OscPacket))
  }

  async hears(address: string): Promise<OscMessage> {
    await until(() => this.messages.some((one) => one.address === address), `a message at ${address}`)
    return this.messages.findLast((one) => one.address === address) as OscMessage
  }
}

function messagesOf(packet: OscPacket): OscMessage[] {
  return packet.kind === 'bundle' ? packet.elements.flatMap(messagesOf) : [packet]
}

/** A UDP port of the loopback interface that nobody has at the moment. */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

/** The bridge `osc` at a port of its own; `more`: further settings, `, key: value`. */
export async function startOsc(t: TestContext, more = '', options: BridgeSceneOptions = {}) {
  const entry = (port: number) => `- {id: osc, kind: osc, listen: ${port}, host: 127.0.0.1${more}}`
  let port = await freeUdpPort()
  const scene = await BridgeScene.start(t, entry(port), options)
  // Another test that runs may have been quicker.
  while (/ port \d+.* in use /.test(scene.report('osc').reason ?? '')) {
    port = await freeUdpPort()
    await scene.apply(entry(port))
  }
  return { port, scene }
}
