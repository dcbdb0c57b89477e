/**
 * How many damaged frames of the link pass for good ones: real traffic, damaged in the ways in which serial lines do it,
 * through the receiver and the checks behind it. Prints a Markdown table.
 *
 *     node_modules/.bin/esbuild test/bench/link-escapes.ts --bundle --platform=node --format=esm --outfile=dist/link-escapes.mjs
 *     node dist/link-escapes.mjs
 *
 * `CLASP_ESCAPE_FRAMES`: damaged frames of each kind, 5 million by default; `CLASP_ESCAPE_SEED`.
 */
import { Control, CtrlBit, FrameClass, LinkType, Op } from '../../firmware-protocol/link/constants.ts'
import { valueEnd } from '../../firmware-protocol/link/link-value.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import { putSerialFrame, SerialReceiver, serialBytes } from '../../firmware-protocol/link/serial-frame.ts'
import { SeededRandom } from '../firmware-protocol/seeded-random.ts'

const FRAMES = Number(process.env.CLASP_ESCAPE_FRAMES ?? 5_000_000)
const SEED = Number(process.env.CLASP_ESCAPE_SEED ?? 1)
const SESSION = 0x3a7c
/** Distinct frames: with few of them the single errors would repeat themselves. */
const POOL = 200_000
/** Signals of the device: id and type. */
const DECLARED: readonly number[] = [6, 6, 6, 6, 6, 6, 6, 6, 3, 3, 3, 3, 12, 12, 1, 1]
/** Body sizes that control frames of the device may have. */
const CONTROL_BODIES: Readonly<Record<number, readonly [least: number, most: number]>> = {
  [Control.ack]: [0, 0],
  [Control.nak]: [0, 0],
  [Control.announce]: [26, 58],
  [Control.bye]: [1, 3],
  [Control.ping]: [0, 4],
  [Control.pong]: [0, 4],
  [Control.timeRequest]: [4, 4],
  [Control.baudOk]: [4, 4],
  [Control.baudTest]: [0, 8],
  [Control.log]: [2, 60],
}

interface Kind {
  name: string
  /** Damages `wire[0, length)` in place and returns its new length. The final delimiter is the last byte. */
  damage(wire: Uint8Array, length: number, random: SeededRandom): number
}

const kinds: readonly Kind[] = [
  {
    name: 'one flipped bit',
    damage(wire, length, random) {
      const bit = random.below(length * 8)
      wire[bit >> 3] ^= 1 << (bit & 7)
      return length
    },
  },
  { name: 'flipped bits, 1 in 1000', damage: (wire, length, random) => flip(wire, length, 1e-3, random) },
  { name: 'flipped bits, 1 in 100', damage: (wire, length, random) => flip(wire, length, 1e-2, random) },
  {
    name: 'a byte lost',
    damage(wire, length, random) {
      const at = random.below(length)
      wire.copyWithin(at, at + 1, length)
      return length - 1
    },
  },
  {
    name: 'a byte twice',
    damage(wire, length, random) {
      const at = random.below(length)
      wire.copyWithin(at + 1, at, length)
      return length + 1
    },
  },
  {
    name: 'a byte too many',
    damage(wire, length, random) {
      const at = random.below(length)
      wire.copyWithin(at + 1, at, length)
      wire[at] = random.below(256)
      return length + 1
    },
  },
  {
    name: 'up to 8 bytes of noise',
    damage(wire, length, random) {
      const at = random.below(length)
      const end = Math.min(length, at + 2 + random.below(7))
      for (let i = at; i < end; i++) wire[i] = random.below(256)
      return length
    },
  },
  {
    name: 'up to 8 bytes lost (overrun)',
    damage(wire, length, random) {
      const at = random.below(length)
      const count = Math.min(length - at, 2 + random.below(7))
      wire.copyWithin(at, at + count, length)
      return length - count
    },
  },
  {
    name: 'all of it noise (wrong speed)',
    damage(wire, length, random) {
      for (let i = 0; i < length; i++) wire[i] = random.below(256)
      return length
    },
  },
]

function flip(wire: Uint8Array, length: number, rate: number, random: SeededRandom): number {
  const bits = length * 8
  // The distance to the next one is geometric; the first is certain, since only damaged frames are of interest.
  for (
    let bit = random.below(bits);
    bit < bits;
    bit += 1 + Math.floor(Math.log(1 - random.fraction()) / Math.log(1 - rate))
  ) {
    wire[bit >> 3] ^= 1 << (bit & 7)
  }
  return length
}

/** A frame as such a device sends it. */
function aFrame(random: SeededRandom): Uint8Array {
  const dice = random.below(20)
  if (dice === 0) return Uint8Array.of(FrameClass.control | Control.ack, random.below(16))
  if (dice === 1) {
    return Uint8Array.from([FrameClass.control | Control.timeRequest, random.below(16), ...random.bytes(4)])
  }
  const body: number[] = []
  for (let n = random.pick([1, 1, 1, 2, 4, 8]); n > 0; n--) {
    const id = random.below(DECLARED.length)
    const type = DECLARED[id] === LinkType.bool ? random.pick([LinkType.false, LinkType.true]) : DECLARED[id]
    const bytes = random.bytes(8)
    // Measured values are rarely random: the upper bytes stay, the lower ones are often zero.
    if (type === LinkType.f32) bytes.set([0x41, 0xa0 | random.below(16), random.below(256), 0])
    if (type === LinkType.i16) bytes[0] = 0
    body.push((Op.value << 4) | type, id, ...bytes.subarray(0, valueEnd(bytes, 0, 8, type)))
  }
  return Uint8Array.from([random.pick([FrameClass.unreliable, FrameClass.reliable]), random.below(256), ...body])
}

interface Tally {
  damaged: number
  /** Frames with a right CRC that nobody sent. */
  passed: number
  /** Of these the ones that the link and the session would act on. */
  control: number
  values: number
}

/** What the receiver and the session check besides the CRC. */
function isActedOn(bytes: Uint8Array, start: number, end: number, reader: RecordReader): 'control' | 'values' | null {
  const [ctrl, kind] = [bytes[start], bytes[start] & FrameClass.mask]
  if (kind === FrameClass.mask) return null
  if (kind === FrameClass.control) {
    const body = end - start - 2
    const [least, most] = CONTROL_BODIES[ctrl & CtrlBit.subtype] ?? [1, 0]
    return body >= least && body <= most ? 'control' : null
  }
  if ((ctrl & CtrlBit.subtype) !== 0) return null
  reader.open(bytes, start + 2, end)
  let acted: 'values' | null = null
  while (reader.next()) {
    // Records in front of a malformed one count; ids that were never declared do not.
    if (reader.op <= Op.gesture && reader.id < DECLARED.length) acted = 'values'
  }
  return acted
}

function measure(kind: Kind, pool: readonly Uint8Array[], wires: readonly Uint8Array[]): Tally {
  const random = new SeededRandom(SEED)
  const tally: Tally = { damaged: 0, passed: 0, control: 0, values: 0 }
  const reader = new RecordReader()
  const line = new Uint8Array(1024)
  let sent: readonly Uint8Array[] = []
  const receiver = new SerialReceiver(256, {
    onFrame(bytes, start, end) {
      if (sent.some((frame) => isEqual(frame, bytes, start, end))) return
      tally.passed++
      const acted = isActedOn(bytes, start, end, reader)
      if (acted !== null) tally[acted]++
    },
    onText() {},
  })
  receiver.session = SESSION
  while (tally.damaged < FRAMES) {
    const [first, second] = [random.below(POOL), random.below(POOL)]
    line.set(wires[first])
    const length = kind.damage(line, wires[first].length, random)
    tally.damaged++
    // One that follows at once: a lost delimiter joins them.
    line.set(wires[second], length)
    line[length + wires[second].length] = 0
    sent = [pool[first], pool[second]]
    receiver.receive(line.subarray(0, length + wires[second].length + 1))
  }
  return tally
}

function isEqual(frame: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (frame.length !== end - start) return false
  for (let i = 0; i < frame.length; i++) if (frame[i] !== bytes[start + i]) return false
  return true
}

const random = new SeededRandom(SEED + 77)
const pool = Array.from({ length: POOL }, () => aFrame(random))
const wires = pool.map((frame) => {
  const out = new Uint8Array(serialBytes(frame.length))
  return out.slice(0, putSerialFrame(out, 0, frame, frame.length, SESSION, false))
})
const meanBytes = wires.reduce((sum, { length }) => sum + length, 0) / POOL
console.log(`${FRAMES} damaged frames of each kind, ${meanBytes.toFixed(1)} bytes each on average, seed ${SEED}\n`)
console.log('| Damage | right CRC by chance | acted on as values | as control |')
console.log('|---|---|---|---|')
const rate = (count: number) => (count === 0 ? '0' : `${count} (${(count / FRAMES).toExponential(1)})`)
for (const kind of kinds) {
  const { passed, values, control } = measure(kind, pool, wires)
  console.log(`| ${kind.name} | ${rate(passed)} | ${rate(values)} | ${rate(control)} |`)
}
