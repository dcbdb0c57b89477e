import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Announce } from '../../firmware-protocol/link/handshake.ts'
import { type Admission, HostLink, type HostLinkOwner } from '../../firmware-protocol/link/host-link.ts'
import { fromHex, loadVectors, toHex } from './vectors.ts'

const { frames, ignored } = loadVectors<{
  frames: { name: string; frame: string }[]
  ignored: { name: string; frame: string }[]
}>('link-frames.json')
const ANNOUNCE = frames.find(({ name }) => name === 'announce')?.frame ?? ''
/** WELCOME without the fields behind the session number: MRU, window, keep-alive, boot nonce, time. */
const WELCOME = /^8300010[01]([0-9a-f]{4})01000803e85eed000[12]00060a24181e4000$/
/** Where the boot nonce stands in ANNOUNCE. */
const OTHER_BOOT = ANNOUNCE.replace('5eed0001', '5eed0002')

describe('the host of a link', () => {
  it('asks, and welcomes the device that answers', () => {
    const host = new Host()
    host.link.probe(0)
    assert.deepEqual(host.taken(), ['8c0001'])
    host.receive(ANNOUNCE)
    assert.match(host.taken().join(), WELCOME)
    assert.equal(host.announced[0].uid, 'a1b2c3d4e5f60718')
    assert.ok(host.link.isLinked)
  })

  it('says in its WELCOME when it knows the descriptor', () => {
    const host = new Host({ isDescriptorKnown: true })
    host.receive(ANNOUNCE)
    assert.ok(host.taken()[0].startsWith('83000101'))
  })

  it('repeats the same WELCOME while the first is not 200 ms old and nothing was heard since', () => {
    const host = new Host()
    host.receive(ANNOUNCE)
    host.now += 150
    host.receive(ANNOUNCE)
    const [first, second] = host.taken()
    assert.equal(second, first)
    assert.equal(host.announced.length, 1)
    host.now += 100
    host.receive(ANNOUNCE)
    const [third] = host.taken()
    assert.notEqual(sessionOf(third), sessionOf(first))
    assert.equal(host.announced.length, 2)
  })

  it('begins another session when the device has restarted, or announces itself in a session that works', () => {
    const host = new Host()
    host.receive(ANNOUNCE)
    host.receive(OTHER_BOOT)
    host.receive('8000')
    host.receive(OTHER_BOOT)
    const sessions = host.taken().map(sessionOf)
    assert.equal(new Set(sessions).size, 3)
    assert.deepEqual(host.sessions, sessions)
  })

  it('sends a device away that it does not admit', () => {
    const host = new Host({ bye: 3 })
    host.receive(ANNOUNCE)
    assert.deepEqual(host.taken(), ['840003'])
    assert.equal(host.link.isLinked, false)
  })

  it('sends a device of another version away', () => {
    const host = new Host()
    host.receive(`820002${ANNOUNCE.slice(6)}`)
    assert.deepEqual(host.taken(), ['840005'])
    assert.equal(host.strangers.length, 1)
  })

  it('hands out reliable records once and in order, and asks for what is missing', () => {
    const host = Host.linked()
    host.receive('40000f01')
    host.receive('40000f01')
    host.receive('40200e01')
    assert.deepEqual(host.records, ['R 0f01'])
    host.tick(0)
    assert.deepEqual(host.taken(), ['8101'])
    host.receive('40100e01')
    host.receive('40200f01')
    assert.deepEqual(host.records, ['R 0f01', 'R 0e01', 'R 0f01'])
  })

  it('acknowledges the first reliable frame within 5 ms, and the second at once', () => {
    const host = Host.linked()
    host.receive('40000f01')
    assert.equal(host.link.dueAt, host.now + 5)
    host.tick(5)
    assert.deepEqual(host.taken(), ['8001'])
    host.receive('40100f01')
    host.receive('40200f01')
    host.tick(0)
    assert.deepEqual(host.taken(), ['8003'])
  })

  it('acknowledges in the frames that it sends anyway', () => {
    const host = Host.linked()
    host.receive('40000f01')
    host.toSend.push({ records: '0f01', isReliable: true })
    host.link.send(host.now)
    assert.deepEqual(host.taken(), ['40010f01'])
    host.tick(10)
    assert.deepEqual(host.taken(), [])
  })

  it('counts unreliable frames that are missing', () => {
    const host = Host.linked()
    for (const frame of ['00000f01', '00100f01', '00400f01']) host.receive(frame)
    assert.equal(host.records.length, 3)
    assert.equal(host.link.counters.lostUnreliable, 2)
  })

  for (const { name, frame } of ignored) {
    it(`ignores ${name}`, () => {
      const host = Host.linked()
      host.receive(frame)
      assert.equal(host.link.counters.ignored, 1)
      assert.deepEqual(host.records, [])
    })
  }

  it('ignores data before there is a session, and after it', () => {
    const host = new Host()
    host.receive('40000f01')
    host.receive(ANNOUNCE)
    host.receive('840001')
    host.receive('40000f01')
    assert.deepEqual(host.records, [])
    assert.equal(host.link.counters.ignored, 2)
  })

  it('sends what is not acknowledged again, all of it and marked, at growing intervals, until it gives up', () => {
    const host = Host.linked()
    host.toSend.push({ records: '0f01', isReliable: true })
    host.link.send(host.now)
    host.toSend.push({ records: '0e01', isReliable: true })
    host.link.send(host.now)
    assert.deepEqual(host.taken(), ['40000f01', '40100e01'])
    const start = host.now
    const times: number[] = []
    while (host.link.isLinked) {
      host.receive('0000')
      host.tick(1)
      const sent = host.taken().filter((frame) => !frame.startsWith('85'))
      if (sent.length === 0) continue
      assert.deepEqual(sent, ['50000f01', '50100e01'])
      times.push(host.now - start)
      assert.ok(times.length <= 8)
    }
    assert.deepEqual(times, [60, 180, 420, 900, 1860, 2820, 3780, 4740])
    assert.deepEqual(host.lost, ['what was sent is not acknowledged'])
  })

  it('goes back to what a NAK names', () => {
    const host = Host.linked()
    for (const records of ['0f01', '0e01']) host.toSend.push({ records, isReliable: true })
    host.link.send(host.now)
    assert.deepEqual(host.taken(), ['40000f01', '40100e01'])
    host.receive('8100')
    host.tick(0)
    assert.deepEqual(host.taken(), ['50000f01', '50100e01'])
    host.receive('8101')
    host.tick(0)
    assert.deepEqual(host.taken(), ['50100e01'])
    assert.equal(host.link.counters.naks, 2)
  })

  it('has no more frames under way than its window and that of the device', () => {
    const host = Host.linked()
    for (let n = 0; n < 6; n++) host.toSend.push({ records: '0f01', isReliable: true })
    host.link.send(host.now)
    assert.equal(host.taken().length, 2)
    host.receive('8001')
    host.link.send(host.now)
    assert.deepEqual(host.taken(), ['40200f01'])
  })

  it('builds frames of at most what the device takes', () => {
    const host = Host.linked()
    host.toSend.push({ records: '0f01'.repeat(100), isReliable: true })
    host.link.send(host.now)
    assert.equal(host.limits[0], 62)
  })

  it('sends a sign of life when it has been silent for the keep-alive, and loses a link that is silent for 3.5 of them', () => {
    const host = Host.linked()
    const start = host.now
    const pings: number[] = []
    while (host.link.isLinked) {
      host.tick(1)
      if (host.taken().some((frame) => frame === '8500')) pings.push(host.now - start)
    }
    assert.deepEqual(pings, [1000, 2000, 3000])
    assert.equal(host.now - start, 3501)
    assert.deepEqual(host.lost, ['nothing was heard for 3501 ms'])
  })

  it('answers pings with their bytes, and time requests with its wall clock', () => {
    const host = Host.linked()
    host.receive('850001020304')
    host.receive('8500')
    host.receive('870000123456')
    assert.deepEqual(host.taken(), ['860001020304', '8600', '88000012345600060a24181e400000060a24181e4000'])
  })

  it('gets the answer to its own ping', () => {
    const host = Host.linked()
    host.link.ping(0x80000001, host.now)
    assert.deepEqual(host.taken(), ['850080000001'])
    host.receive('860080000001')
    assert.deepEqual(host.pongs, [0x80000001])
  })

  it('knows for how long a device sleeps', () => {
    const host = Host.linked()
    host.receive('840007012c')
    assert.deepEqual(host.lost, ['it sleeps (300 s)'])
    assert.equal(host.link.isLinked, false)
  })

  it('hands on what the device logs', () => {
    const host = Host.linked()
    host.receive('8d000277c3a4726d')
    assert.deepEqual(host.logs, ['2 wärm'])
  })

  it('holds back what may be lost while the device is not ready, but for no longer than a second', () => {
    const host = Host.linked()
    host.receive('2000')
    host.receive('a000')
    host.toSend.push({ records: '3f01', isReliable: false })
    host.link.send(host.now)
    assert.deepEqual(host.taken(), [])
    host.receive('8000')
    host.link.send(host.now)
    assert.deepEqual(host.taken(), ['00003f01'])
    host.receive('2010')
    host.toSend.push({ records: '3f01', isReliable: false })
    host.now += 1001
    host.link.send(host.now)
    assert.deepEqual(host.taken(), ['00103f01'])
    assert.equal(host.link.counters.stalls, 2)
  })

  it('asks the device to hold back by a bit of every frame', () => {
    const host = Host.linked()
    host.link.hold(true)
    host.link.ping(1, host.now)
    host.link.hold(false)
    host.link.ping(1, host.now)
    assert.deepEqual(host.taken(), ['a50000000001', '850000000001'])
  })

  it('says goodbye, and is silent afterwards', () => {
    const host = Host.linked()
    host.link.bye(1, host.now)
    host.link.send(host.now)
    host.tick(5000)
    assert.deepEqual(host.taken(), ['840001'])
    assert.deepEqual(host.lost, [])
  })

  it('sends nothing while the line is busy', () => {
    const host = Host.linked()
    host.busyMs = 7
    host.toSend.push({ records: '0f01', isReliable: true })
    host.link.send(host.now)
    assert.deepEqual(host.taken(), [])
    assert.equal(host.link.dueAt, host.now + 7)
    host.busyMs = 0
    host.tick(7)
    assert.deepEqual(host.taken(), ['40000f01'])
  })
})

describe('a change of speed', () => {
  it('is asked for, tested at the new speed, and told', () => {
    const host = Host.linked()
    host.link.changeSpeed(500_000, host.now)
    assert.deepEqual(host.taken(), ['89000007a120'])
    host.receive('8a000007a120')
    host.tick(24)
    assert.deepEqual(host.bauds, [])
    host.tick(1)
    assert.deepEqual(host.bauds, [500_000])
    assert.deepEqual(host.taken(), ['8b0000ff55aa0ff00180'])
    host.receive('8b0000ff55aa0ff00180')
    assert.deepEqual(host.speeds, ['500000 reached'])
    host.toSend.push({ records: '0f01', isReliable: true })
    host.link.send(host.now)
    assert.deepEqual(host.taken(), ['40000f01'])
  })

  it('is given up when the device does not agree', () => {
    const host = Host.linked()
    const start = host.now
    host.link.changeSpeed(500_000, host.now)
    while (host.speeds.length === 0) host.tick(1)
    assert.deepEqual(host.speeds, ['500000 not reached'])
    assert.deepEqual(host.bauds, [])
    assert.equal(host.taken().filter((frame) => frame.startsWith('8900')).length, 3)
    assert.equal(host.now - start, 1800)
    assert.ok(host.link.isLinked)
  })

  it('goes back to the first speed when the device is not heard at the new one', () => {
    const host = Host.linked()
    host.link.changeSpeed(500_000, host.now)
    host.receive('8a000007a120')
    while (host.speeds.length === 0) host.tick(1)
    assert.deepEqual(host.bauds, [500_000, 115_200])
    assert.deepEqual(host.speeds, ['500000 not reached'])
    assert.equal(host.taken().filter((frame) => frame.startsWith('8b')).length, 10)
  })

  it('lets nothing else out meanwhile', () => {
    const host = Host.linked()
    host.link.changeSpeed(500_000, host.now)
    host.taken()
    host.toSend.push({ records: '0f01', isReliable: true })
    host.link.send(host.now)
    host.tick(10)
    assert.deepEqual(host.taken(), [])
  })
})

/** A link whose line and owner are lists. */
class Host implements HostLinkOwner {
  now = 1000
  busyMs = 0
  readonly link: HostLink
  readonly announced: Announce[] = []
  readonly strangers: string[] = []
  readonly records: string[] = []
  readonly toSend: { records: string; isReliable: boolean }[] = []
  readonly limits: number[] = []
  readonly lost: string[] = []
  readonly logs: string[] = []
  readonly pongs: number[] = []
  readonly speeds: string[] = []
  readonly bauds: number[] = []
  /** In the order in which they began. */
  readonly sessions: string[] = []
  private sent: string[] = []
  private readonly admission: Admission

  constructor(admission: Admission = { isDescriptorKnown: false }) {
    this.admission = admission
    let random = 1
    this.link = new HostLink(
      {
        mru: 256,
        setSession: (session) => {
          if (session !== 0) this.sessions.push(session.toString(16).padStart(4, '0'))
        },
        busyMs: () => this.busyMs,
        lineMs: () => 0,
        send: (frame, length) => this.sent.push(toHex(frame.subarray(0, length))),
        setBaud: (baud) => this.bauds.push(baud),
      },
      {
        window: 4,
        receiveWindow: 8,
        keepaliveMs: 1000,
        baud: 115_200,
        random: () => ++random,
        wallUs: () => 1_700_000_000_000_000,
      },
      this,
    )
  }

  static linked(): Host {
    const host = new Host()
    host.receive(ANNOUNCE)
    host.taken()
    return host
  }

  receive(frame: string): void {
    const bytes = fromHex(`ee${frame}`)
    this.link.receive(bytes, 1, bytes.length, this.now)
  }

  tick(ms: number): void {
    this.now += ms
    if (this.link.dueAt <= this.now) this.link.poll(this.now)
  }

  /** What was sent since it was asked last. */
  taken(): string[] {
    const { sent } = this
    this.sent = []
    return sent
  }

  onAnnounce(announce: Announce): Admission {
    this.announced.push(announce)
    return this.admission
  }

  onStranger(reason: string): void {
    this.strangers.push(reason)
  }

  onRecords(bytes: Uint8Array, start: number, end: number, isReliable: boolean): void {
    this.records.push(`${isReliable ? 'R' : 'U'} ${toHex(bytes.subarray(start, end))}`)
  }

  pull(out: Uint8Array, at: number, limit: number, isReliable: boolean): number {
    this.limits.push(limit)
    const index = this.toSend.findIndex((entry) => entry.isReliable === isReliable)
    if (index < 0) return at
    const [{ records }] = this.toSend.splice(index, 1)
    const bytes = fromHex(records).subarray(0, limit - at)
    out.set(bytes, at)
    return at + bytes.length
  }

  onLost(reason: string, sleepSeconds?: number): void {
    this.lost.push(sleepSeconds === undefined ? reason : `${reason} (${sleepSeconds} s)`)
  }

  onLog(level: number, text: string): void {
    this.logs.push(`${level} ${text}`)
  }

  onPong(id: number): void {
    this.pongs.push(id)
  }

  onSpeed(baud: number, isChanged: boolean): void {
    this.speeds.push(`${baud} ${isChanged ? '' : 'not '}reached`)
  }
}

function sessionOf(welcome: string): string {
  return WELCOME.exec(welcome)?.[1] ?? `no WELCOME: ${welcome}`
}
