/** Hot path. */
import type { Duplex } from 'node:stream'
import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type IDisconnectPacket,
  type IPublishPacket,
  type ISubscribePacket,
  type IUnsubscribePacket,
  type Packet,
} from 'mqtt-packet'
import type { Broker } from './broker.ts'
import type { BrokerSession, ClientAck } from './broker-session.ts'
import { limitExpiry, refusalOf } from './connect-answer.ts'
import { encodeAck } from './outgoing.ts'
import { Malformed, PacketDecoder, type ProtocolVersion, versionOf } from './packet-decoder.ts'
import { PacketStream } from './packet-stream.ts'
import { PacketWriter } from './packet-writer.ts'
import type { Publication } from './publication-flow.ts'
import { PublishIntake } from './publish-intake.ts'
import { ConnectReason, DisconnectReason, REFUSALS } from './reason-codes.ts'
import type { SessionConnection } from './session-parts.ts'
import { SlicedReading } from './sliced-reading.ts'
import { subscribeProblem } from './subscribe-problem.ts'
import { willOf } from './wills.ts'

const CONNECT_TIMEOUT_MS = 10_000
const CONNECT_HEADER = 0x10
const PING_RESPONSE = Buffer.from([0xd0, 0])
/** Time to read the last packet. */
const LINGER_MS = 500

/** One network connection: bytes in and out, and what its client says. */
export class BrokerConnection implements SessionConnection {
  version: ProtocolVersion = 4
  receiveMaximum = 65_535
  maxPacketBytes = Number.POSITIVE_INFINITY
  session: BrokerSession | null = null
  will: Publication | null = null
  willDelaySeconds = 0
  isClosed = false
  private readonly broker: Broker
  private readonly stream: Duplex
  private readonly remote: string
  private readonly reading: SlicedReading
  private readonly packets: PacketStream
  private readonly decoder = new PacketDecoder()
  private readonly intake: PublishIntake
  private readonly writer: PacketWriter
  private isConnecting = false
  private hasSpoken = false
  /** Packets that came right behind CONNECT. */
  private held: Packet[] = []
  private keepAliveMs = 0
  private heardAtMs: number

  constructor(broker: Broker, stream: Duplex, remote: string) {
    this.broker = broker
    this.stream = stream
    this.remote = remote
    this.intake = new PublishIntake(broker, this)
    this.heardAtMs = broker.clock.now()
    this.writer = new PacketWriter(stream, () => broker.flushSoon(this))
    this.packets = new PacketStream(broker.options.maxPacket, (bytes, bodyAt) => this.decode(bytes, bodyAt))
    this.reading = new SlicedReading(stream, broker.clock, (chunk) => this.read(chunk))
    stream.on('drain', () => this.session?.drain())
    stream.on('error', () => this.stream.destroy())
    stream.on('end', () => this.stream.end())
    stream.once('close', () => this.close(false))
    if (!broker.welcome(this)) stream.destroy()
  }

  get isCongested(): boolean {
    return this.writer.isCongested
  }

  write(bytes: Buffer): void {
    if (!this.isClosed) this.writer.write(bytes)
  }

  flush(): void {
    this.writer.flush()
  }

  /** The broker has let it in. */
  accept(session: BrokerSession, packet: IConnectPacket, connack: IConnackPacket): void {
    const { properties, will, keepalive = 0 } = packet
    this.session = session
    this.receiveMaximum = properties?.receiveMaximum ?? 65_535
    this.maxPacketBytes = properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY
    this.keepAliveMs = (connack.properties?.serverKeepAlive ?? keepalive) * 1000
    this.will = willOf(packet, session.clientId)
    this.willDelaySeconds = will?.properties?.willDelayInterval ?? 0
    this.send(connack)
  }

  /** Says why, and closes. */
  end(reason: DisconnectReason): void {
    if (this.isClosed) return
    if (this.version === 5 && this.session !== null) this.send({ cmd: 'disconnect', reasonCode: reason })
    this.finish(false)
  }

  /** Called about once a second: silence is not allowed for longer than one and a half times the keep-alive. */
  check(nowMs: number): void {
    const silentMs = nowMs - this.heardAtMs
    if (this.session === null) {
      if (silentMs >= CONNECT_TIMEOUT_MS) this.stream.destroy()
    } else if (this.keepAliveMs > 0 && silentMs > this.keepAliveMs * 1.5) {
      this.end(DisconnectReason.keepAliveTimeout)
    }
  }

  private read(chunk: Buffer): void {
    if (this.isClosed) return
    if (this.session !== null) {
      this.heardAtMs = this.broker.clock.now()
    } else if (!this.hasSpoken && chunk.length > 0) {
      this.hasSpoken = true
      // Speakers of other protocols need not be waited for.
      if (chunk[0] !== CONNECT_HEADER) this.fault('CONNECT must come first')
    }
    const problem = this.isClosed ? undefined : this.packets.push(chunk)
    if (problem === undefined || this.isClosed) return
    this.broker.problem('packet', `${this.remote}: a packet is ${problem}`)
    this.end(problem === 'malformed' ? DisconnectReason.malformed : DisconnectReason.packetTooLarge)
  }

  private decode(bytes: Buffer, bodyAt: number): void {
    if (this.isClosed) return
    const packet = this.decoder.decode(bytes, bodyAt)
    if (!(packet instanceof Malformed)) {
      if (this.isConnecting) this.held.push(packet)
      else this.handle(packet)
      return
    }
    this.broker.problem('packet', `${this.remote}: a packet is malformed: ${packet.reason}`)
    if (packet.isUnknownVersion && this.session === null) this.refuse(ConnectReason.unsupportedVersion)
    else this.end(DisconnectReason.malformed)
  }

  private handle(packet: Packet): void {
    const { session } = this
    if (session === null) {
      if (packet.cmd === 'connect') void this.connect(packet)
      else this.fault('CONNECT must come first')
      return
    }
    switch (packet.cmd) {
      case 'publish':
        this.onPublish(session, packet)
        break
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        this.onAcknowledged(session, packet.cmd, packet.messageId ?? 0, packet.reasonCode ?? 0)
        break
      case 'pubrel': {
        const messageId = packet.messageId ?? 0
        const reason = session.release(messageId) ? 0 : 0x92
        this.write(encodeAck('pubcomp', messageId, this.version, reason))
        break
      }
      case 'subscribe':
        this.onSubscribe(session, packet)
        break
      case 'unsubscribe':
        this.onUnsubscribe(session, packet)
        break
      case 'pingreq':
        this.write(PING_RESPONSE)
        break
      case 'disconnect':
        this.onDisconnect(session, packet)
        break
      default:
        this.fault(`${packet.cmd.toUpperCase()} is not for a broker`)
    }
  }

  private async connect(packet: IConnectPacket): Promise<void> {
    this.isConnecting = true
    this.version = versionOf(packet)
    this.reading.hold()
    let reason: ConnectReason
    try {
      reason = await this.broker.connect(this, packet)
    } catch (error) {
      this.broker.problem('connect', `${this.remote}: ${(error as Error).message}`)
      reason = ConnectReason.serverBusy
    }
    this.isConnecting = false
    this.heardAtMs = this.broker.clock.now()
    if (this.isClosed) return
    if (reason !== ConnectReason.success) {
      const name = packet.clientId === '' ? 'a client' : packet.clientId.slice(0, 80)
      this.broker.problem('refused', `${this.remote}: ${name} is refused: ${REFUSALS[reason]}`)
      this.refuse(reason)
      return
    }
    for (const one of this.held.splice(0)) if (!this.isClosed) this.handle(one)
    this.reading.release()
  }

  private refuse(reason: ConnectReason): void {
    this.send(refusalOf(this.version, reason))
    this.finish(false)
  }

  private onPublish(session: BrokerSession, packet: IPublishPacket): void {
    const reason = this.intake.take(session, packet)
    if (reason === undefined) return
    this.broker.problem(
      'publish',
      `${this.remote}: PUBLISH has a bad topic or alias, or there are too many (${reason})`,
    )
    this.end(reason)
  }

  private onAcknowledged(session: BrokerSession, cmd: ClientAck, messageId: number, reason: number): void {
    const isKnown = session.acknowledge(cmd, messageId, reason)
    if (cmd !== 'pubrec' || reason >= 0x80) return
    this.write(encodeAck('pubrel', messageId, this.version, isKnown ? 0 : 0x92))
  }

  private onSubscribe(session: BrokerSession, packet: ISubscribePacket): void {
    const { subscriptions, messageId, properties } = packet
    const problem = subscribeProblem(packet, this.version)
    if (problem !== undefined) {
      this.fault(problem)
      return
    }
    const identifier = properties?.subscriptionIdentifier ?? 0
    const known = subscriptions.map(({ topic }) => session.subscriptions.has(topic))
    const granted = subscriptions.map((wanted) => this.broker.subscribe(session, wanted, identifier))
    const told = this.version === 5 ? granted : granted.map((code) => (code > 2 ? 0x80 : code))
    this.send({ cmd: 'suback', messageId, granted: told })
    for (const [at, wanted] of subscriptions.entries()) {
      if (granted[at] <= 2) this.broker.sendRetained(session, wanted, !known[at])
    }
  }

  private onUnsubscribe(session: BrokerSession, { unsubscriptions, messageId }: IUnsubscribePacket): void {
    if (unsubscriptions.length === 0 || messageId === 0) {
      this.fault('UNSUBSCRIBE without filters')
      return
    }
    const granted = unsubscriptions.map((filter) => this.broker.unsubscribe(session, filter))
    this.send({ cmd: 'unsuback', messageId, granted })
  }

  private onDisconnect(session: BrokerSession, { reasonCode = 0, properties }: IDisconnectPacket): void {
    const expiry = properties?.sessionExpiryInterval
    const seconds = expiry === undefined ? session.expirySeconds : limitExpiry(expiry, this.broker.options)
    if (seconds > 0 && session.expirySeconds === 0) {
      this.fault('DISCONNECT keeps a session that CONNECT did not')
      return
    }
    this.broker.setExpiry(session, seconds)
    this.finish(reasonCode === DisconnectReason.normal)
  }

  private fault(what: string): void {
    this.broker.problem('protocol', `${this.remote}: ${what}`)
    this.end(DisconnectReason.protocolError)
  }

  private send(packet: Packet): void {
    this.write(generate(packet, { protocolVersion: this.version === 5 ? 5 : 4 }))
  }

  private finish(isGraceful: boolean): void {
    this.flush()
    this.stream.end()
    this.stream.resume()
    // Who does not close its end is cut off.
    const linger = this.broker.clock.timer(LINGER_MS, () => this.stream.destroy())
    this.stream.once('close', () => linger.cancel())
    this.close(isGraceful)
  }

  private close(isGraceful: boolean): void {
    if (this.isClosed) return
    this.isClosed = true
    this.held = []
    this.broker.leave(this, isGraceful)
  }
}
