import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ExtendedBit, FIRST_HOST_ID, LinkType, Op, TimeKind } from '../../firmware-protocol/link/constants.ts'
import { valueEnd } from '../../firmware-protocol/link/link-value.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import { type SerialCounters, SerialReceiver } from '../../firmware-protocol/link/serial-frame.ts'
import { CDevice, type CSignal, Flag, type Macros } from './c-device.ts'
import { wireOf } from './link-wire.ts'
import { SeededRandom } from './seeded-random.ts'
import { fromHex, loadVectors, toHex } from './vectors.ts'

/** `CLASP_FUZZ_FRAMES=1000000` for the nightly run; a seed that failed is repeated with `CLASP_FUZZ_SEED`. */
const FRAMES = Number(process.env.CLASP_FUZZ_FRAMES ?? 20_000)
const SEED = Number(process.env.CLASP_FUZZ_SEED ?? 7330)
const SESSION = 0x3a7c

const { streams, ignored } = loadVectors<{
  streams: { name: string; session: string; mru: number; wire: string; frames: string[]; counters: SerialCounters }[]
  ignored: { name: string; frame: string }[]
}>('link-frames.json')
const { bodies, records } = loadVectors<{
  bodies: { name: string; hex: string; malformedAt?: number; toDevice: boolean }[]
  records: { hex: string }[]
}>('link-records.json')

const LARGE: Macros = { MRU: 1024, MTU: 1024, WINDOW: 8, SIGNALS: 160, '64BIT': 1, TIME: 0, SAMPLING: 0, EVENTS: 8 }
/** Of every type that a device can have, one in front of id 128 and one behind it. */
const TYPES = [
  LinkType.bool,
  LinkType.i8,
  LinkType.i16,
  LinkType.i32,
  LinkType.i64,
  LinkType.f32,
  LinkType.f64,
  LinkType.string,
  LinkType.unit8,
  LinkType.unit16,
]

describe('the C library', () => {
  it('finds the same frames among other bytes', async (t) => {
    for (const { name, session, mru, wire, counters } of streams) {
      if (mru === 256) continue
      const device = await linked(
        { macros: mru === 1024 ? LARGE : { TIME: 0 }, session: Number.parseInt(session, 16) },
        t,
      )
      if (device === undefined) return
      const [framesBefore, badBefore] = await device.counters()
      await device.feed(fromHex(wire))
      const [frames, bad] = await device.counters()
      const { crcErrors, malformed, oversize } = counters
      assert.deepEqual(
        [frames - framesBefore, bad - badBefore],
        [counters.frames, crcErrors + malformed + oversize],
        name,
      )
      await device.close()
    }
  })

  it('does not count frames with reserved bits', async (t) => {
    const device = await linked({ macros: { TIME: 0 } }, t)
    if (device === undefined) return
    const [before] = await device.counters()
    for (const { frame } of ignored) await device.feed(wireOf(fromHex(frame), SESSION))
    assert.deepEqual((await device.counters())[0], before)
  })

  it('reads records up to the first that is malformed', async (t) => {
    const device = await linked({ macros: { TIME: 0 } }, t)
    if (device === undefined) return
    for (const { name, hex, malformedAt, toDevice } of bodies) {
      if (!toDevice) continue
      const [, before] = await device.counters()
      await device.feed(wireOf(fromHex(`0000${hex}`), SESSION))
      assert.equal((await device.counters())[1] - before, malformedAt === undefined ? 0 : 1, name)
    }
  })

  it(`reads what is sent to it as it was meant (${FRAMES} frames, seed ${SEED})`, async (t) => {
    const device = await linked({ macros: LARGE, signals: signalsOf(Flag.in) }, t)
    if (device === undefined) return
    const random = new SeededRandom(SEED)
    let number = 0
    let told = 0
    for (let done = 0; done < FRAMES; done += 16) {
      const expected: string[] = []
      const wires: Uint8Array[] = []
      for (let n = 0; n < 16; n++) {
        const isReliable = random.below(2) === 0
        let body = bodyFor(random)
        while (!isForDevice(body)) body = bodyFor(random)
        const frame = Uint8Array.from([
          isReliable ? 0x40 : 0,
          isReliable ? (number++ & 15) << 4 : random.next() & 0xf0,
          ...body,
        ])
        expected.push(...inputs(frame, 2))
        const wire = wireOf(frame, SESSION)
        wires.push(wire)
        if (random.below(4) === 0) wires.push(damaged(wire, random))
      }
      const lines: string[] = await device.feed(Buffer.concat(wires))
      assert.deepEqual(
        lines.filter((line) => !line.startsWith('tx')),
        expected,
        `frames ${done} to ${done + 15}: ${wires.map(toHex)}`,
      )
      told += expected.length
    }
    assert.ok(told > FRAMES, 'most frames say nothing')
  })

  it(`sends what is read as it was meant (${FRAMES} frames, seed ${SEED})`, async (t) => {
    const signals = [...signalsOf(Flag.out), ...signalsOf(Flag.out | Flag.lossy), ...signalsOf(Flag.out | Flag.stream)]
    const device = await linked({ macros: LARGE, signals }, t)
    if (device === undefined) return
    const random = new SeededRandom(SEED + 1)
    const host = new Collector()
    const known = new Map<number, string>()
    for (let turn = 0; host.frames < FRAMES; turn++) {
      const changes = new Map<number, string>()
      for (let n = 1 + random.below(12); n > 0; n--) {
        const id = random.below(signals.length)
        const { type, flags } = signals[id]
        const { text, hex } = valueFor(type, random)
        const value = hex ?? text
        void device.command(`set ${id} ${text}`)
        // A later value of this turn may be the one that the host has already: it is sent all the same.
        // A text may be another one in the same place, so that it counts as changed each time.
        const isSent = (flags & 7) === Flag.stream || type === LinkType.string || known.get(id) !== value
        if (isSent || changes.has(id)) changes.set(id, value)
        known.set(id, value)
      }
      if (random.below(4) === 0) {
        const [id, count] = [signals.length - 20 + random.below(20), 1 + random.below(200)]
        const { type } = signals[id]
        if (type !== LinkType.string && type !== LinkType.f64 && type !== LinkType.i64) {
          const samples = Array.from({ length: count }, () => valueFor(type, random))
          host.blocks.push(`${id} ${samples.map(({ hex, text }) => hex ?? text).join(' ')}`)
          // It leaves at once, in front of the values.
          host.take(await device.command(`stream ${id} 100 ${count} ${samples.map(({ text }) => text).join(' ')}`))
        }
      }
      host.take(await device.command('run 3000'))
      assert.deepEqual(host.blocks, [], `turn ${turn}: samples are missing`)
      assert.deepEqual([...host.values].sort(), [...changes].sort(), `turn ${turn}`)
      host.values.clear()
      await device.command(`rx ${toHex(wireOf(Uint8Array.of(0x80, host.expected), SESSION))}`)
    }
  })
})

interface LinkedDevice {
  command(text: string): Promise<string[]>
  /** What happens because of these bytes. */
  feed(bytes: Uint8Array): Promise<string[]>
  counters(): Promise<number[]>
  close(): Promise<void>
}

async function linked(
  options: { macros: Macros; signals?: CSignal[]; session?: number },
  t: TestContext,
): Promise<LinkedDevice | undefined> {
  const { macros, session = SESSION, signals = [{ address: 'led', type: LinkType.bool, flags: Flag.in }] } = options
  const device = await CDevice.open({ macros, signals }, t)
  if (device === undefined) return undefined
  const feed = async (bytes: Uint8Array) => {
    const lines: string[] = []
    // The library looks at 512 bytes in each poll, and the program takes 4 KB in a line.
    for (let at = 0; at < bytes.length; at += 4096) {
      const chunk = bytes.subarray(at, at + 4096)
      void device.command(`rx ${toHex(chunk)}`)
      lines.push(...(await device.command(`run ${1000 * Math.ceil(chunk.length / 512)}`)))
    }
    return lines
  }
  await device.command('run 100000')
  const number = session.toString(16).padStart(4, '0')
  await feed(wireOf(fromHex(`83000101${number}0400080fa05eed000100060a24181e4000`), 0))
  const counters = async () => (await device.command('counters'))[0].split(' ').slice(1).map(Number)
  return { command: (text) => device.command(text), feed, counters, close: () => device.close() }
}

function signalsOf(flags: number): CSignal[] {
  return ['a', 'b'].flatMap((half) => TYPES.map((type) => ({ address: `${half}${type}f${flags}`, type, flags })))
}

/** Some records, whole, cut, or with a byte that is another. */
function bodyFor(random: SeededRandom): Uint8Array {
  let body: number[] = []
  for (let n = random.below(6); n >= 0; n--) body.push(...recordFor(random))
  if (random.below(4) === 0) body = body.slice(0, random.below(body.length + 1))
  if (random.below(4) === 0 && body.length > 0) body[random.below(body.length)] = random.below(256)
  return Uint8Array.from(body.slice(0, 1020))
}

/** Arrays and bundles go to the host only: devices need not know where they end. */
function isForDevice(body: Uint8Array): boolean {
  const reader = new RecordReader()
  reader.open(body, 0, body.length)
  do {
    const [op, type] = [body[reader.at] >>> 4, body[reader.at] & 15]
    if ((op === Op.time && type >= TimeKind.bundle) || (op <= Op.gesture && type === LinkType.array)) return false
  } while (reader.next())
  return true
}

function recordFor(random: SeededRandom): number[] {
  if (random.below(8) === 0) return [...fromHex(random.pick(records).hex)]
  const op = random.pick([Op.value, Op.extended, Op.event, Op.stream, Op.gesture])
  const type = random.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15])
  const id = random.pick([random.below(20), 130 + random.below(20), FIRST_HOST_ID + random.below(16_384)])
  const record = [(op << 4) | type, ...(id < 0x80 ? [id] : [0x80 | (id >>> 8), id & 0xff])]
  if (op === Op.extended) {
    const flags = random.below(64)
    const extras = ((flags & ExtendedBit.revision) !== 0 ? 4 : 0) + ((flags & ExtendedBit.ttl) !== 0 ? 4 : 0)
    record.push(flags, ...random.bytes(extras))
  }
  if (op === Op.gesture) record.push(...random.bytes(2))
  if (type === LinkType.string || type === LinkType.bytes) {
    const length = random.pick([0, random.below(20), 120 + random.below(16), random.below(800)])
    record.push(...(length < 0x80 ? [length] : [0x80 | (length >>> 8), length & 0xff]), ...random.bytes(length))
  } else {
    const bytes = random.below(3) === 0 ? new Uint8Array(8) : random.bytes(8)
    // Whether an i8 or a bool is 1 byte long and so on: `valueEnd` says.
    record.push(...bytes.subarray(0, valueEnd(bytes, 0, 8, type)))
  }
  return record
}

/** What the device's program is told of this frame; the device has the ids 0 to 19. */
function inputs(frame: Uint8Array, start: number): string[] {
  const lines: string[] = []
  const reader = new RecordReader()
  reader.open(frame, start, frame.length)
  while (reader.next()) {
    const { op, id } = reader
    if (op === Op.result && reader.code !== 0) lines.push(`refused ${id} ${reader.code}`)
    if (op === Op.declare) {
      const at = reader.valueAt
      const end = at + 2 + frame[at + 1]
      if (at + 2 > frame.length || end > frame.length) break
      lines.push(`match ${id} ${toHex(frame.subarray(at + 2, end)) || '-'}`)
      reader.at = end
    }
    // What only a device says.
    if (op === Op.block || op === Op.declared || op === Op.get || op === Op.subscribe || op === Op.info) break
    if (op > Op.gesture || (id >= 20 && id < FIRST_HOST_ID)) continue
    const isInitial = op === Op.extended && (reader.flags & ExtendedBit.initial) !== 0
    lines.push(
      `input ${id} ${valueText(reader)} 0`.replace(' why ', op >= Op.event ? ' 2 ' : isInitial ? ' 1 ' : ' 0 '),
    )
  }
  return lines
}

/** Type, a place for the reason, value: as link_vectors.c prints them. */
function valueText({ bytes, valueAt, valueEnd: end, type }: RecordReader): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  switch (type) {
    case LinkType.bool:
      return `1 why ${bytes[valueAt] === 0 ? 0 : 1}`
    case LinkType.false:
      return '1 why 0'
    case LinkType.true:
      return '1 why 1'
    case LinkType.i8:
      return `2 why ${view.getInt8(valueAt)}`
    case LinkType.i16:
      return `3 why ${view.getInt16(valueAt)}`
    case LinkType.i32:
      return `4 why ${view.getInt32(valueAt)}`
    case LinkType.i64:
      return `5 why ${view.getBigInt64(valueAt)}`
    case LinkType.f32:
    case LinkType.f64:
      return `${type} why ${toHex(bytes.subarray(valueAt, end))}`
    case LinkType.unit8:
      return `12 why ${floatHex(Math.fround(bytes[valueAt]) / 255)}`
    case LinkType.unit16:
      return `13 why ${floatHex(view.getUint16(valueAt) / 65_535)}`
    case LinkType.string:
    case LinkType.bytes:
      return `${type} why ${toHex(bytes.subarray(valueAt + (bytes[valueAt] < 0x80 ? 1 : 2), end)) || '-'}`
    default:
      return `${type} why 0`
  }
}

function floatHex(value: number): string {
  const view = new DataView(new ArrayBuffer(4))
  view.setFloat32(0, value)
  return view.getUint32(0).toString(16).padStart(8, '0')
}

/** A value as link_vectors.c reads it, and as it must be on the wire; `hex` is absent where both are the same. */
function valueFor(type: number, random: SeededRandom): { text: string; hex?: string } {
  const hex = toHex(random.below(4) === 0 ? new Uint8Array(8) : random.bytes(8))
  switch (type) {
    case LinkType.bool:
      return random.below(2) === 0 ? { text: '0', hex: '' } : { text: '1', hex: 'true' }
    case LinkType.i8:
      return { text: `${(Number.parseInt(hex.slice(0, 2), 16) << 24) >> 24}`, hex: hex.slice(0, 2) }
    case LinkType.i16:
      return { text: `${(Number.parseInt(hex.slice(0, 4), 16) << 16) >> 16}`, hex: hex.slice(0, 4) }
    case LinkType.i32:
      return { text: `${Number.parseInt(hex.slice(0, 8), 16) | 0}`, hex: hex.slice(0, 8) }
    case LinkType.i64:
      return { text: `${BigInt.asIntN(64, BigInt(`0x${hex}`))}`, hex }
    case LinkType.f32:
      return { text: hex.slice(0, 8) }
    case LinkType.f64:
      return { text: hex }
    case LinkType.unit8: {
      const byte = random.below(256)
      return { text: floatHex(byte / 255), hex: byte.toString(16).padStart(2, '0') }
    }
    case LinkType.unit16: {
      const word = random.below(65_536)
      return { text: floatHex(word / 65_535), hex: word.toString(16).padStart(4, '0') }
    }
    default: {
      const content = random.bytes(random.below(100)).map((byte) => byte || 1)
      return { text: toHex(content) || '-', hex: content.length.toString(16).padStart(2, '0') + toHex(content) }
    }
  }
}

/** A frame that arrives damaged: it must not count. */
function damaged(wire: Uint8Array, random: SeededRandom): Uint8Array {
  const bytes = wire.slice(1)
  const at = random.below(bytes.length - 1)
  bytes[at] = bytes[at] === 0xff ? 0xfe : bytes[at] + 1
  return Uint8Array.from([0, ...bytes, 0])
}

/** The host's end of a line to a device that sends: the newest values, and the samples that still have to come. */
class Collector {
  frames = 0
  expected = 0
  readonly values = new Map<number, string>()
  /** Id and samples of blocks that were sent. */
  readonly blocks: string[] = []
  private readonly reader = new RecordReader()
  private readonly receiver: SerialReceiver

  constructor() {
    this.receiver = new SerialReceiver(1024, {
      onFrame: (bytes, start, end) => this.frame(bytes, start, end),
      onText: (text) => assert.fail(`text: ${text}`),
    })
    this.receiver.session = SESSION
  }

  take(lines: readonly string[]): void {
    for (const line of lines) {
      assert.ok(line.startsWith('tx '), line)
      this.receiver.receive(fromHex(line.split(' ')[2]))
    }
    const { crcErrors, malformed, oversize } = this.receiver.counters
    assert.equal(crcErrors + malformed + oversize, 0, 'the device sends what is no frame')
  }

  private frame(bytes: Uint8Array, start: number, end: number): void {
    this.frames++
    if ((bytes[start] & 0xc0) === 0x80) return
    if ((bytes[start] & 0x40) !== 0) {
      assert.equal(bytes[start + 1] >>> 4, this.expected)
      this.expected = (this.expected + 1) & 15
    }
    const { reader } = this
    reader.open(bytes, start + 2, end)
    while (reader.next()) {
      const { id, type, valueAt, valueEnd: stop } = reader
      const hex = toHex(bytes.subarray(valueAt, stop))
      if (reader.op === Op.block) this.block(hex, reader)
      else this.values.set(id, type === LinkType.true ? 'true' : hex)
    }
    assert.equal(reader.at, end, 'a malformed record')
  }

  private block(hex: string, { id, type, count }: RecordReader): void {
    const size = hex.length / count
    const samples = (hex.match(new RegExp(`.{${size}}`, 'g')) ?? []).map((sample) =>
      type !== LinkType.bool ? sample : sample === '01' ? 'true' : '',
    )
    assert.equal(`${id} ${samples.join(' ')}`, this.blocks.shift())
  }
}
