import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DecodeError, EncodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { isLegacy } from '../../firmware-protocol/wire/legacy.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { canonicalBytes, isCanonical, valueEnd } from '../../firmware-protocol/wire/value-bytes.ts'
import { PublishView } from '../../runtime/router/publish-view.ts'
import { SetView } from '../../runtime/router/set-view.ts'
import { type FrameVector, fromHex, loadVectors } from './vectors.ts'

/** `CLASP_FUZZ_FRAMES=1000000` for the nightly run; a seed that failed is repeated with `CLASP_FUZZ_SEED`. */
const FRAMES = Number(process.env.CLASP_FUZZ_FRAMES ?? 60_000)
const SEED = Number(process.env.CLASP_FUZZ_SEED ?? 7330)

describe('mutated frames', () => {
  it(`never break the codec or the router's views (${FRAMES} frames, seed ${SEED})`, () => {
    const random = xorshift(SEED)
    const corpus = [
      ...loadVectors<FrameVector[]>('frames.json').map(({ hex }) => fromHex(hex)),
      ...loadVectors<{ hex: string }[]>('malformed.json').map(({ hex }) => fromHex(hex)),
    ].filter(({ length }) => length < 4096)
    const set = new SetView()
    const publish = new PublishView()
    let decodedCount = 0
    for (let n = 0; n < FRAMES; n++) {
      const frame = mutate(corpus, random)
      try {
        const decoded = decodeFrame(frame)
        if (decoded instanceof DecodeError) {
          assert.ok(
            decoded.offset >= 0 && decoded.offset <= frame.length,
            `offset ${decoded.offset} of ${frame.length}`,
          )
          assert.ok(decoded.reason !== '')
        } else {
          decodedCount++
          roundTrip(decoded.message, isLegacy(frame[(frame[1] & 0x20) !== 0 ? 12 : 4]))
        }
        const isSet = set.read(frame, Math.min(4, frame.length), frame.length)
        if (isSet) assert.ok(set.valueEnd <= set.source.length && set.addressEnd <= frame.length)
        const isPublish = publish.read(frame, Math.min(4, frame.length), frame.length)
        if (isPublish) assert.ok(publish.end <= publish.source.length && publish.addressEnd <= publish.end)
        const code = frame[0] % 13
        const end = valueEnd(frame, code, 1, frame.length)
        if (end > 0 && !isCanonical(frame, code, 1, end)) canonicalBytes(frame, code, 1, end)
      } catch (error) {
        throw new Error(`frame ${n} of seed ${SEED}: ${Buffer.from(frame).toString('hex')}`, { cause: error })
      }
    }
    assert.ok(decodedCount > FRAMES / 20, `only ${decodedCount} decoded: the mutations are too wild`)
  })
})

/**
 * What was decoded encodes, and decodes to the same message. Only the legacy form holds what has no compact encoding, and
 * fields that are lost in it: there the second encoding must equal the first.
 */
function roundTrip(message: Message, legacy: boolean): void {
  let again: Uint8Array
  try {
    again = encodeFrame(message, { qos: 0 })
  } catch (error) {
    if (error instanceof EncodeError && legacy) return
    throw error
  }
  const decoded = decodeFrame(again)
  assert.ok(!(decoded instanceof DecodeError), 'what was encoded does not decode')
  if (!legacy) assert.deepEqual(withoutEmptyOptions(decoded.message), withoutEmptyOptions(message))
  assert.deepEqual(encodeFrame(decoded.message, { qos: 0 }), again)
}

/** Unassigned option bits of SUBSCRIBE decode to empty options, which encode as none. */
function withoutEmptyOptions(message: Message): unknown {
  if (message.type === 'BUNDLE') return { ...message, messages: message.messages.map(withoutEmptyOptions) }
  if (message.type !== 'SUBSCRIBE') return message
  const { options, ...rest } = message
  return options === undefined || Object.keys(options).length === 0 ? rest : message
}

function mutate(corpus: readonly Uint8Array[], random: () => number): Uint8Array {
  let frame = corpus[random() % corpus.length].slice()
  for (let changes = 1 + (random() % 3); changes > 0; changes--) {
    if (frame.length === 0) return frame
    const at = random() % frame.length
    switch (random() % 6) {
      case 0:
        frame[at] ^= 1 << (random() % 8)
        break
      case 1:
        frame[at] = random()
        break
      case 2:
        frame = frame.slice(0, at)
        break
      case 3: {
        const other = corpus[random() % corpus.length]
        const cut = random() % (other.length + 1)
        frame = Uint8Array.from([...frame.slice(0, at), ...other.slice(cut)])
        break
      }
      case 4:
        frame = Uint8Array.from([...frame.slice(0, at), random(), ...frame.slice(at)])
        break
      default:
        frame[at] = [0, 0xff, 0x7f, 0x80][random() % 4]
    }
  }
  if (frame.length >= 4 && random() % 8 > 0) {
    // A length that fits lets the mutation reach the message.
    const payload = frame.length - ((frame[1] & 0x20) !== 0 ? 12 : 4)
    if (payload >= 0) {
      frame[0] = 0x53
      frame[2] = payload >>> 8
      frame[3] = payload
    }
  }
  return frame
}

function xorshift(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}
