import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { KnownTexts } from '../../firmware-protocol/wire/known-texts.ts'
import { decodeUtf8, isValidUtf8, putUtf8, utf8Length } from '../../firmware-protocol/wire/utf8.ts'

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function platformDecode(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

function agreesWithThePlatform(bytes: Uint8Array): void {
  const text = platformDecode(bytes)
  // Surrounded by continuation bytes, which must not be looked at.
  const framed = Uint8Array.of(0xbf, ...bytes, 0xbf)
  assert.equal(isValidUtf8(framed, 1, 1 + bytes.length), text !== undefined, Buffer.from(bytes).toString('hex'))
  if (text !== undefined) assert.equal(decodeUtf8(framed, 1, 1 + bytes.length), text)
}

describe('UTF-8', () => {
  it('of every lead byte with every second byte is judged as by the platform', () => {
    for (let lead = 0; lead < 256; lead++) {
      for (let second = 0; second < 256; second++) {
        for (const tail of [[], [0x80], [0x80, 0xbf], [0x80, 0xc0], [0x41, 0x80]]) {
          agreesWithThePlatform(Uint8Array.of(lead, second, ...tail))
        }
      }
    }
  })

  it('that was read lately is read as it is, also where many texts share a place', () => {
    const known = new KnownTexts()
    const check = (text: string) => {
      const bytes = new TextEncoder().encode(`-${text}-`)
      // The second time it is known, unless it is too long or not ASCII.
      for (const time of ['first', 'second']) assert.equal(known.textOf(bytes, 1, bytes.length - 1), text, time)
    }
    for (const round of [0, 1]) for (let i = 0; i < 10_000; i++) check(`/${(i * 7) >> round}/x`)
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 70 }), check))
  })

  it('of any bytes is judged and read as by the platform', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc.string({ unit: 'binary', maxLength: 80 }).map((text) => new TextEncoder().encode(text)),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
        agreesWithThePlatform(Uint8Array.from(pieces.flatMap((bytes) => [...bytes])))
      }),
      { numRuns: 2000 },
    )
  })

  it('of any text is written as by the platform, unpaired surrogates as U+FFFD', () => {
    const unit = fc.oneof(
      fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
      fc.constantFrom('\ud83d', '\ude00', '\u{1f600}', 'a', 'ä', '\ufeff'),
    )
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 40 }), (units) => {
        const text = units.join('')
        const expected = new TextEncoder().encode(text)
        assert.equal(utf8Length(text), expected.length)
        const out = new Uint8Array(expected.length + 2)
        assert.equal(putUtf8(out, 1, text), 1 + expected.length)
        assert.deepEqual(out.subarray(1, 1 + expected.length), expected)
      }),
      { numRuns: 2000 },
    )
  })

  it('keeps a leading byte order mark', () => {
    assert.equal(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), 0, 4), '\ufeffa')
  })
})
