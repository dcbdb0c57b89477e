import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeAnnounce, encodeWelcome, type Welcome } from '../../firmware-protocol/link/handshake.ts'
import { fromHex, loadVectors, present, toHex } from './vectors.ts'

interface AnnounceVector {
  name: string
  body: string
  announce?: Record<string, unknown>
  problem?: boolean
}

const { announce: announces, welcome: welcomes } = loadVectors<{
  announce: AnnounceVector[]
  welcome: { name: string; welcome: Welcome; body: string }[]
}>('link-handshake.json')

describe('an ANNOUNCE', () => {
  for (const { name, body, announce, problem } of announces) {
    it(`${problem ? 'is refused' : 'is read'}: ${name}`, () => {
      const read = decode(fromHex(body))
      if (problem) assert.equal(typeof read, 'string')
      else assert.deepEqual(read, announce)
    })
  }

  it('that is shorter than its fixed part and its name is refused', () => {
    const whole = fromHex(announces[0].body)
    for (let length = 0; length < whole.length; length++) {
      assert.equal(typeof decode(whole.subarray(0, length)), 'string', `${length} bytes`)
    }
  })

  it('of any bytes is read or refused, and its name is always one part of an address', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...announces.map(({ body }) => fromHex(body))),
        fc.array(fc.tuple(fc.nat(), fc.nat(255))),
        fc.uint8Array({ maxLength: 40 }),
        (original, changes, behind) => {
          const bytes = Uint8Array.from([...original, ...behind])
          for (const [at, byte] of changes) bytes[at % Math.max(1, bytes.length)] = byte
          const announce = decodeAnnounce(bytes, 0, bytes.length)
          if (typeof announce === 'string') return
          assert.match(announce.name, /^[^/*#+\s\p{Cc}]+$/u)
          assert.ok(announce.mru >= 64 && announce.window >= 1 && announce.window <= 8)
        },
      ),
      { numRuns: 5000 },
    )
  })
})

describe('a WELCOME', () => {
  for (const { name, welcome, body } of welcomes) {
    it(`is written: ${name}`, () => {
      assert.equal(toHex(encodeWelcome(welcome)), body)
    })
  }
})

function decode(body: Uint8Array): unknown {
  // In the middle of a frame, as it comes.
  const bytes = Uint8Array.from([0x82, 0, ...body, 0xaa, 0x55])
  const announce = decodeAnnounce(bytes, 2, 2 + body.length)
  if (typeof announce === 'string') return announce
  const { nonce, cookie, hostNonce, ...rest } = announce
  const hex = (field: Uint8Array | undefined) => field && toHex(field)
  return present({ ...rest, nonce: hex(nonce), cookie: hex(cookie), hostNonce: hex(hostNonce) })
}
