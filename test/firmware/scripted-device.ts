import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import {
  ByeReason,
  Control,
  Field,
  FrameClass,
  HEAD_BYTES,
  LINK_VERSION,
} from '../../firmware-protocol/link/constants.ts'
import { until } from '../until.ts'
import { DatagramWire, type DatagramWireOptions } from './datagram-wire.ts'
import { declend, describing, field, hashOf, type ReceivedRecord, readRecords, type SignalSpec } from './records.ts'
import { SerialWire } from './serial-wire.ts'

const AGAIN_MS = 300
/** Frames that are under way at a time while the descriptor is sent. */
const FLIGHT = 8

/** What a device says of itself. Everything can be anything. */
export interface Identity {
  uid: string
  name: string | Uint8Array
  bootNonce: number
  version: number
  flags: number
  mru: number
  window: number
  maxBaud: number
  /** Declarations and INFOs, record by record. */
  descriptor: Uint8Array[]
  descriptorHash?: number
  token?: string
}

export interface Welcome {
  isDescriptorKnown: boolean
  session: number
  mru: number
  window: number
  keepaliveMs: number
  bootNonce: number
  timeUs: bigint
}

/** CTRL SEQ BODY from the router. */
export interface ReceivedFrame {
  ctrl: number
  seq: number
  body: Buffer
}

/** A device takes frames to and from its line. */
export interface Wire {
  readonly mru: number
  onFrame: (frame: Buffer) => void
  send(frame: Uint8Array): void
  /** The session that WELCOME named; 0: none. */
  setSession(session: number): void
  close(): void
}

/**
 * A device of which each step is the test's: what is not said to happen by itself here does not happen. By itself it
 * answers PINGs and acknowledges what is reliable, which can be turned off.
 */
export class ScriptedDevice<W extends Wire = Wire> {
  readonly wire: W
  readonly identity: Identity
  readonly frames: ReceivedFrame[] = []
  /** Of data frames, each once and in order. */
  readonly records: ReceivedRecord[] = []
  readonly byes: number[] = []
  readonly welcomes: Welcome[] = []
  acknowledges = true
  answersPings = true
  /** Answers a PROBE, and takes up a link that is lost. */
  announcesWhenAsked = false
  /** Next number that is expected from the router. */
  expected = 0
  nextReliable = 0
  nextLossy = 0
  /** Reliable frames of this session: sent, and acknowledged by the router. */
  sent = 0
  acknowledged = 0

  constructor(wire: W, identity: Partial<Identity> = {}) {
    this.wire = wire
    this.identity = {
      uid: randomBytes(8).toString('hex'),
      name: 'node',
      bootNonce: randomBytes(4).readUInt32BE(),
      version: LINK_VERSION,
      flags: 0,
      mru: 256,
      window: 4,
      maxBaud: 0,
      descriptor: [],
      ...identity,
    }
    wire.onFrame = (frame) => this.receive(frame)
  }

  /** At one end of a line; not yet announced. */
  static serial(path: string, t: TestContext, identity: Partial<Identity> = {}): ScriptedDevice<SerialWire> {
    return new ScriptedDevice(new SerialWire(path, t), identity)
  }

  /** On a socket of its own; not yet announced. */
  static async udp(
    port: number,
    t: TestContext,
    identity: Partial<Identity> = {},
    options: DatagramWireOptions = {},
  ): Promise<ScriptedDevice<DatagramWire>> {
    const device = new ScriptedDevice(await DatagramWire.open(port, t, options), identity)
    device.wire.uid = device.identity.uid
    return device
  }

  get welcome(): Welcome | undefined {
    return this.welcomes.at(-1)
  }

  get isLinked(): boolean {
    return this.welcomes.length > 0 && this.byes.length === 0
  }

  /** The values and events that the router sent under this id, oldest first. */
  of(id: number): ReceivedRecord[] {
    return this.records.filter((record) => record.id === id)
  }

  announcement(changes: Partial<Identity> = {}): Buffer {
    const identity = { ...this.identity, ...changes }
    const { version, flags, mru, window, uid, bootNonce, descriptor, descriptorHash, maxBaud, token } = identity
    const name = Buffer.from(identity.name)
    const body = Buffer.alloc(26)
    body.set([version, flags])
    body.writeUInt16BE(mru, 2)
    body[4] = window
    body.write(uid, 5, 'hex')
    body.writeUInt32BE(bootNonce, 13)
    body.writeUInt32BE(descriptorHash ?? hashOf(descriptor), 17)
    body.writeUInt32BE(maxBaud, 21)
    body[25] = name.length
    const fields = token === undefined ? [] : [field(Field.token, Buffer.from(token))]
    return Buffer.concat([body, name, ...fields])
  }

  announce(changes: Partial<Identity> = {}): void {
    this.control(Control.announce, this.announcement(changes))
  }

  /** ANNOUNCE, on a datagram wire with the cookie round, until WELCOME. */
  async hello(): Promise<Welcome> {
    const count = this.welcomes.length
    const byes = this.byes.length
    if (this.wire instanceof DatagramWire) {
      const before = this.wire.challenges.length
      this.control(Control.announce, Buffer.concat([this.announcement(), this.wire.nonceField()]))
      await until(() => this.wire instanceof DatagramWire && this.wire.challenges.length > before, 'CHALLENGE')
      this.control(Control.announce, Buffer.concat([this.announcement(), this.wire.answerFields()]))
    } else this.announce()
    await until(() => this.welcomes.length > count || this.byes.length > byes, 'WELCOME')
    if (this.welcomes.length === count) throw new Error(`the router said BYE ${this.byes.at(-1)}`)
    return this.welcomes[count]
  }

  /** As a device does: announces itself again and again until it is heard, then says what it has. */
  async insist(): Promise<void> {
    const count = this.welcomes.length
    let nextAt = 0
    await until(() => {
      if (this.welcomes.length > count) return true
      if (performance.now() >= nextAt) {
        this.announce()
        nextAt = performance.now() + AGAIN_MS
      }
      return false
    }, 'WELCOME')
    if (this.welcome?.isDescriptorKnown === false) await this.describe()
    await this.settled()
  }

  /** The descriptor, in as many frames as it takes. */
  async describe(records: readonly Uint8Array[] = this.identity.descriptor, hash = hashOf(records)): Promise<void> {
    let frame: Uint8Array[] = []
    let length = 0
    const byes = this.byes.length
    for (const record of [...records, declend(hash)]) {
      if (length + record.length > this.wire.mru - 4 && length > 0) {
        await until(() => this.sent - this.acknowledged < FLIGHT || this.byes.length > byes, 'acknowledgement')
        if (this.byes.length > byes) return
        this.reliable(...frame)
        frame = []
        length = 0
      }
      frame.push(record)
      length += record.length
    }
    this.reliable(...frame)
  }

  /** Until the router knows this device and its signals. */
  async join(): Promise<Welcome> {
    const welcome = await this.hello()
    if (!welcome.isDescriptorKnown) await this.describe()
    await this.settled()
    return welcome
  }

  reliable(...records: Uint8Array[]): void {
    this.data(FrameClass.reliable, this.nextReliable, Buffer.concat(records))
    this.nextReliable = (this.nextReliable + 1) & 15
    this.sent++
  }

  lossy(...records: Uint8Array[]): void {
    this.data(FrameClass.unreliable, this.nextLossy, Buffer.concat(records))
    this.nextLossy = (this.nextLossy + 1) & 15
  }

  /** A data frame with any number. */
  data(kind: number, number: number, body: Uint8Array): void {
    this.wire.send(Buffer.concat([Buffer.from([kind, ((number & 15) << 4) | this.expected]), body]))
  }

  control(subtype: number, body: Uint8Array = Buffer.alloc(0)): void {
    this.wire.send(Buffer.concat([Buffer.from([FrameClass.control | subtype, this.expected]), body]))
  }

  /** Goes to sleep for so long. */
  sleep(seconds: number): void {
    this.control(Control.bye, Buffer.from([ByeReason.sleep, seconds >>> 8, seconds & 0xff]))
  }

  /** Until everything reliable that was sent is acknowledged; that must be fewer than 16 frames. */
  async settled(): Promise<void> {
    await until(() => this.acknowledged === this.sent, 'acknowledgement')
  }

  close(): void {
    this.wire.close()
  }

  private receive(frame: Buffer): void {
    const [ctrl, seq] = frame
    const body = Buffer.from(frame.subarray(HEAD_BYTES))
    this.frames.push({ ctrl, seq, body })
    const kind = ctrl & FrameClass.mask
    if (kind === FrameClass.control) {
      this.receiveControl(ctrl & 0x0f, body)
      if ((ctrl & 0x0f) !== Control.welcome) this.isAcknowledged(seq)
      return
    }
    this.isAcknowledged(seq)
    if (kind === FrameClass.unreliable) this.records.push(...readRecords(body, false))
    else if (seq >>> 4 === this.expected) {
      this.records.push(...readRecords(body, true))
      if (!this.acknowledges) return
      this.expected = (this.expected + 1) & 15
      this.control(Control.ack)
    } else if (this.acknowledges) this.control(Control.ack)
  }

  private isAcknowledged(seq: number): void {
    const more = (seq - this.acknowledged) & 15
    if (this.acknowledged + more <= this.sent) this.acknowledged += more
  }

  private receiveControl(subtype: number, body: Buffer): void {
    switch (subtype) {
      case Control.welcome:
        this.receiveWelcome(body)
        return
      case Control.ping:
        if (this.answersPings) this.control(Control.pong, body)
        return
      case Control.probe:
        if (this.announcesWhenAsked) this.announce()
        return
      case Control.bye:
        this.byes.push(body[0])
    }
  }

  private receiveWelcome(body: Buffer): void {
    const welcome = {
      isDescriptorKnown: (body[1] & 1) !== 0,
      session: body.readUInt16BE(2),
      mru: body.readUInt16BE(4),
      window: body[6],
      keepaliveMs: body.readUInt16BE(7),
      bootNonce: body.readUInt32BE(9),
      timeUs: body.readBigUInt64BE(13),
    }
    const isRepeated = welcome.session === this.welcome?.session
    this.welcomes.push(welcome)
    // It was on its way already when the one before came.
    if (isRepeated) return
    this.wire.setSession(welcome.session)
    this.expected = 0
    this.nextReliable = 0
    this.nextLossy = 0
    this.sent = 0
    this.acknowledged = 0
  }
}

/** What most tests need: a published float, a writable bool and number, an event and a stream. */
export const SIGNALS: readonly SignalSpec[] = [
  { id: 0, type: 6, address: 'temp', range: [-40, 85], unit: '°C' },
  { id: 1, type: 1, address: 'led', isWritable: true },
  { id: 2, type: 6, address: 'level', publishes: false, isWritable: true },
  { id: 3, type: 0, address: 'button', kind: 'event', isWritable: true },
  { id: 4, type: 3, address: 'wave', kind: 'stream' },
]

export const DESCRIPTOR: Buffer[] = describing(SIGNALS, '1.2.3')
