import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectSocket, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { connectAsync, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import { until } from '../../until.ts'
import { BridgeScene, type BridgeSceneOptions } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'

/** The port of the router, where web pages find the broker. */
export async function webPages(t: TestContext, scene: BridgeScene) {
  const webPort = await freePort()
  const web = createServer()
  web.on('upgrade', (request, socket, head) =>
    scene.web.findUpgrade(request.url ?? '')?.(request, socket as Socket, head),
  )
  web.listen(webPort, '127.0.0.1')
  await once(web, 'listening')
  t.after(() => web.close())
  return { web, webPort }
}

/** A broker of ours at a free port, `more` options in YAML. */
export async function startBroker(t: TestContext, more = '', options: BridgeSceneOptions = {}) {
  const port = await freePort()
  const scene = await BridgeScene.start(
    t,
    `- {id: b, kind: mqtt-broker, listen: ${port}, host: 127.0.0.1${more}}`,
    options,
  )
  assert.equal(scene.report('b').state, 'running', scene.report('b').reason)
  return { port, scene }
}

/** The npm package `mqtt`, with what it heard. */
export class NpmClient {
  readonly heard: { topic: string; text: string; packet: IPublishPacket }[] = []
  readonly mqtt: MqttClient

  private constructor(mqtt: MqttClient) {
    this.mqtt = mqtt
    mqtt.on('message', (topic, payload, packet) => this.heard.push({ topic, text: payload.toString(), packet }))
  }

  static async open(t: TestContext, port: number, options: IClientOptions = {}): Promise<NpmClient> {
    const usual = { protocolVersion: 5, reconnectPeriod: 0 } as const
    const mqtt = await connectAsync(`mqtt://127.0.0.1:${port}`, { ...usual, ...options })
    t.after(() => mqtt.endAsync(true))
    return new NpmClient(mqtt)
  }

  async hears(topic: string, count = 1): Promise<{ text: string; packet: IPublishPacket }> {
    const those = () => this.heard.filter((one) => one.topic === topic)
    await until(() => those().length >= count, `${count} messages at ${topic}`)
    return those()[count - 1]
  }
}

/** Bytes as they are. */
export class RawClient {
  readonly socket: Socket
  received = ''
  isClosed = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('hex')
    })
    socket.on('close', () => {
      this.isClosed = true
    })
    socket.on('error', () => {})
  }

  static async open(t: TestContext, port: number, hexText = ''): Promise<RawClient> {
    const socket = connectSocket(port, '127.0.0.1')
    t.after(() => socket.destroy())
    const client = new RawClient(socket)
    await once(socket, 'connect')
    client.say(hexText)
    return client
  }

  say(hexText: string): void {
    this.socket.write(Buffer.from(hexText.replaceAll(' ', ''), 'hex'))
  }

  gets(hexText: string): Promise<void> {
    const wanted = hexText.replaceAll(' ', '')
    return until(() => this.received.includes(wanted), wanted)
  }

  closes(): Promise<void> {
    return until(() => this.isClosed, 'an end of the connection')
  }
}

/** CONNECT of version 3.1.1, clean, keep-alive 10 s, client id `c`. */
export const CONNECT = '10 0d 0004 4d515454 04 02 000a 0001 63'
export const CONNACK = '20 02 00 00'
/** The same of version 5, without properties. */
export const CONNECT_5 = '10 0e 0004 4d515454 05 02 000a 00 0001 63'
