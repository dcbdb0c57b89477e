import assert from 'node:assert/strict'
import { createSecretKey, type KeyObject } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { LinkType } from '../../firmware-protocol/link/constants.ts'
import {
  encodeDatagram,
  isAuthentic,
  readDatagramHead,
  type SessionKeys,
  sessionKeys,
} from '../../firmware-protocol/link/datagram.ts'
import { type Announce, decodeAnnounce } from '../../firmware-protocol/link/handshake.ts'
import { CDevice, Flag } from './c-device.ts'
import { fromHex, loadVectors, toHex } from './vectors.ts'

const [{ secret, hostNonce, uid }] = loadVectors<{
  keys: { secret: string; hostNonce: string; uid: string }[]
}>('link-datagrams.json').keys
const MACROS = { MRU: 128, MTU: 128, DATAGRAM: 1, AUTH: 1, TIME: 0, SAMPLING: 0 }
const COOKIE = '2122232425262728'
const TOKEN = 0xdeadbee1

describe('a device that speaks in datagrams', () => {
  for (const key of [undefined, secret]) {
    it(`proves its address by a cookie, and is welcomed ${key ? 'with' : 'without'} a key`, async (t) => {
      const host = await Host.open({ key }, t)
      if (host === undefined) return
      const first = await host.announced()
      assert.equal(first.announce.nonce?.length, 8)
      assert.equal(first.announce.cookie, undefined)
      assert.deepEqual([first.isSigned, first.token], [false, 0])

      const second = await host.challenge()
      assert.deepEqual(second.announce.nonce, first.announce.nonce)
      assert.equal(toHex(second.announce.cookie ?? new Uint8Array()), COOKIE)
      assert.equal(toHex(second.announce.hostNonce ?? new Uint8Array()), hostNonce)
      assert.ok(second.counter > first.counter)
      assert.equal(second.isSigned, key !== undefined)

      assert.deepEqual(await host.welcome(), ['8000'])
      await host.device.command('set 0 3f800000')
      assert.deepEqual(await host.run(5), ['400006003f800000'])
      assert.equal(host.token, TOKEN)
    })
  }

  it('ignores what is not signed with its key, also a WELCOME and a goodbye', async (t) => {
    const host = await Host.open({ key: secret }, t)
    if (host === undefined) return
    await host.challenge()
    const { keys } = host
    for (const wrong of [null, keys.toHost, createSecretKey(Buffer.alloc(32))]) {
      assert.deepEqual(await host.send(host.welcomeFrame, { key: wrong }), [], 'a WELCOME')
    }
    assert.deepEqual(await host.welcome(), ['8000'])
    for (const wrong of [null, keys.toHost, createSecretKey(Buffer.alloc(32))]) {
      assert.deepEqual(await host.send('40000f01', { key: wrong }), [])
      assert.deepEqual(await host.send('840001', { key: wrong }), [])
    }
    assert.deepEqual(host.seen, [])
    assert.deepEqual(await host.send('40000f01'), ['8001'])
    assert.deepEqual(host.seen, ['input 1 1 0 1 0'])
  })

  it('ignores a datagram with one bit that is another', async (t) => {
    const host = await Host.open({ key: secret }, t)
    if (host === undefined) return
    await host.challenge()
    await host.welcome()
    const good = host.datagram('40000f01')
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bytes = good.slice()
      bytes[bit >> 3] ^= 1 << (bit & 7)
      assert.deepEqual(await host.deliver(bytes), [], `bit ${bit}`)
    }
    assert.deepEqual(host.seen, [])
    assert.deepEqual(await host.deliver(good), ['8001'])
  })

  it('takes each datagram once, and none of another token', async (t) => {
    const host = await Host.open({ key: secret }, t)
    if (host === undefined) return
    await host.challenge()
    await host.welcome()
    const datagram = host.datagram('850007')
    assert.deepEqual(await host.deliver(datagram), ['860007'])
    assert.deepEqual(await host.deliver(datagram), [])
    assert.deepEqual(await host.send('850008', { token: TOKEN + 1 }), [])
    assert.deepEqual(await host.send('850009', { counter: 1000 }), ['860009'])
    assert.deepEqual(await host.send('85000a', { counter: 937 }), ['86000a'], '63 behind')
    assert.deepEqual(await host.send('85000b', { counter: 936 }), [], '64 behind')
    assert.deepEqual(await host.send('85000c', { counter: 937 }), [], 'seen before')
  })

  it('drops values that were overtaken, but not what is acknowledged', async (t) => {
    const host = await Host.open({}, t)
    if (host === undefined) return
    await host.challenge()
    await host.welcome()
    const [late, overtaken] = [host.datagram('00000f01'), host.datagram('40000f01')]
    await host.send('00100e01')
    await host.deliver(late)
    assert.deepEqual(host.seen, ['input 1 1 0 0 0'])
    await host.deliver(overtaken)
    assert.deepEqual(host.seen, ['input 1 1 0 0 0', 'input 1 1 0 1 0'])
  })

  it('takes another session only from a WELCOME that is newer', async (t) => {
    const host = await Host.open({ key: secret }, t)
    if (host === undefined) return
    await host.challenge()
    const welcome = host.datagram(host.welcomeFrame)
    assert.deepEqual(await host.deliver(welcome), ['8000'])
    assert.deepEqual(await host.send('40000f01'), ['8001'])
    // Somebody sends again what was once valid: the order of the session must not begin again.
    assert.deepEqual(await host.deliver(welcome), [])
    assert.deepEqual(await host.send('40100e01'), ['8002'])
  })

  it('leaves the head out where the carrier knows its peer', async (t) => {
    const host = await Host.open({ form: 2 }, t)
    if (host === undefined) return
    const { announce } = await host.announced()
    assert.equal(announce.nonce?.length, 8)
    assert.deepEqual(await host.welcome(), ['8000'])
    assert.deepEqual(await host.send('40000f01'), ['8001'])
  })
})

/** The host's end, with every step by hand. */
class Host {
  readonly device: CDevice
  /** What the device's program is told. */
  readonly seen: string[] = []
  /** Of the last datagram that the device sent, and that we sent. */
  token = 0
  counter = 0
  readonly welcomeFrame = '83000101000004a0080fa05eed000100060a24181e4000'
  private readonly isShort: boolean
  private readonly secret: string | undefined
  private sessionKeys: SessionKeys | null = null

  private constructor(device: CDevice, isShort: boolean, key: string | undefined) {
    this.device = device
    this.isShort = isShort
    this.secret = key
  }

  static async open(options: { key?: string; form?: number }, t: TestContext): Promise<Host | undefined> {
    const { key, form = 1 } = options
    const signals = [
      { address: 'temp', type: LinkType.f32, flags: Flag.out },
      { address: 'led', type: LinkType.bool, flags: Flag.in },
    ]
    const device = await CDevice.open({ macros: MACROS, signals, form, key, uid }, t)
    return device && new Host(device, form === 2, key)
  }

  get keys(): SessionKeys {
    assert.ok(this.sessionKeys)
    return this.sessionKeys
  }

  /** Its ANNOUNCE, and the head of the datagram. */
  async announced(): Promise<{ announce: Announce; isSigned: boolean; token: number; counter: number }> {
    const lines: string[] = []
    for (let n = 0; n < 70 && lines.length === 0; n++) lines.push(...(await this.device.command('run 20000')))
    const bytes = fromHex(lines[0].split(' ')[2])
    const head = readDatagramHead(bytes)
    assert.ok(head !== null, lines[0])
    assert.equal(bytes[head.start], 0x82)
    if (head.isSigned) assert.ok(isAuthentic(bytes, head.end, this.keys.toHost))
    const announce = decodeAnnounce(bytes, head.start + 2, head.end)
    assert.ok(typeof announce !== 'string', String(announce))
    return { announce, ...head }
  }

  /** Answers the first ANNOUNCE; resolves with the second. */
  async challenge() {
    const { announce } = await this.announced()
    if (this.secret !== undefined) {
      this.sessionKeys = sessionKeys(fromHex(this.secret), announce.nonce ?? new Uint8Array(), fromHex(hostNonce), uid)
    }
    await this.device.command(
      `rx ${toHex(this.datagram(`8e00${hostNonce}${COOKIE}`, { key: null, token: 0, counter: 0 }))}`,
    )
    return this.announced()
  }

  welcome(): Promise<string[]> {
    return this.send(this.welcomeFrame)
  }

  send(frame: string, other: { key?: KeyObject | null; token?: number; counter?: number } = {}): Promise<string[]> {
    return this.deliver(this.datagram(frame, other))
  }

  datagram(frame: string, other: { key?: KeyObject | null; token?: number; counter?: number } = {}): Uint8Array {
    const { key = this.sessionKeys?.toDevice ?? null, token = TOKEN, counter = ++this.counter } = other
    const bytes = fromHex(frame)
    return encodeDatagram(bytes, bytes.length, { isShort: this.isShort, token, counter }, key)
  }

  async deliver(datagram: Uint8Array): Promise<string[]> {
    await this.device.command(`rx ${toHex(datagram)}`)
    return this.run(10)
  }

  /** Frames that the device sends meanwhile; what it tells its program goes to `seen`. */
  async run(ms: number): Promise<string[]> {
    const frames: string[] = []
    for (const line of await this.device.command(`run ${ms * 1000}`)) {
      if (line.startsWith('input')) this.seen.push(line)
      if (!line.startsWith('tx')) continue
      const bytes = fromHex(line.split(' ')[2])
      const head = readDatagramHead(bytes)
      assert.ok(head !== null && head.isShort === this.isShort)
      assert.equal(head.isSigned, this.sessionKeys !== null)
      if (head.isSigned) assert.ok(isAuthentic(bytes, head.end, this.keys.toHost))
      this.token = head.token
      frames.push(toHex(bytes.subarray(head.start, head.end)))
    }
    return frames
  }
}
