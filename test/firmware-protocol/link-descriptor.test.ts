import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MAX_DESCRIPTOR_BYTES, Op } from '../../firmware-protocol/link/constants.ts'
import { type Declaration, type Descriptor, DescriptorBuilder } from '../../firmware-protocol/link/descriptor.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import { fromHex, loadVectors, present, toHex, toValue, type VectorValue } from './vectors.ts'

interface DescriptorVector {
  name: string
  records: string
  hash: string
  signals: (Omit<Declaration, 'default'> & { default?: VectorValue })[]
  firmware?: string
  hardware?: string
  vendor?: string
}

const { descriptors, refused } = loadVectors<{
  descriptors: DescriptorVector[]
  refused: { name: string; records: string; hash: string }[]
}>('link-descriptor.json')

describe('a descriptor', () => {
  for (const { name, records, hash, signals, firmware, hardware, vendor } of descriptors) {
    it(`is collected: ${name}`, () => {
      const built = build(fromHex(records), Number.parseInt(hash, 16))
      assert.ok(typeof built !== 'string', String(built))
      assert.deepEqual(
        present(built.signals),
        present(signals.map((signal) => ({ ...signal, default: signal.default && toValue(signal.default) }))),
      )
      assert.deepEqual([built.firmware, built.hardware, built.vendor], [firmware, hardware, vendor])
      assert.equal(toHex(built.bytes), records)
    })
  }

  for (const { name, records, hash } of refused) {
    it(`is refused: ${name}`, () => {
      const built = build(fromHex(records), Number.parseInt(hash, 16))
      assert.equal(typeof built, 'string')
      assert.notEqual(built, '')
    })
  }

  it('may come in any number of frames', () => {
    fc.assert(
      fc.property(fc.constantFrom(...descriptors), fc.nat(3), ({ records, hash }, parts) => {
        const builder = new DescriptorBuilder()
        let bytes = fromHex(records)
        for (let n = 0; n < parts && bytes.length > 0; n++) {
          const reader = new RecordReader()
          reader.open(bytes, 0, bytes.length)
          assert.ok(reader.next())
          assert.equal(builder.add(reader), null)
          bytes = bytes.slice(reader.at)
        }
        add(builder, bytes)
        assert.notEqual(typeof builder.finish(Number.parseInt(hash, 16)), 'string')
      }),
    )
  })

  it('of more than 64 KB is refused', () => {
    const builder = new DescriptorBuilder()
    const info = Uint8Array.from([0xd0, 1, 255, ...new Uint8Array(255).fill(0x61)])
    const most = Math.floor(MAX_DESCRIPTOR_BYTES / info.length)
    for (let n = 0; n < most; n++) assert.equal(add(builder, info), null)
    assert.match(String(add(builder, info)), /more than 65536 bytes/)
  })

  it('of any bytes is either collected or refused, and never reads past its record', () => {
    const corpus = [...descriptors, ...refused]
      .map(({ records }) => fromHex(records))
      .filter(({ length }) => length > 0)
    fc.assert(
      fc.property(fc.constantFrom(...corpus), fc.array(fc.tuple(fc.nat(), fc.nat(255))), (original, changes) => {
        const bytes = original.slice()
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        const alone = build(bytes, 0)
        const longer = new DescriptorBuilder()
        const problem = add(longer, Uint8Array.from([...bytes, 0xf0]), bytes.length)
        assert.equal(problem ?? longer.finish(0), alone)
      }),
      { numRuns: 5000 },
    )
  })
})

/** Adds all records; a reason when one of them is not right. */
function add(builder: DescriptorBuilder, bytes: Uint8Array, end = bytes.length): string | null {
  const reader = new RecordReader()
  reader.open(bytes, 0, end)
  while (reader.next()) {
    if (reader.op !== Op.declare && reader.op !== Op.info) return 'another record'
    const problem = builder.add(reader)
    if (problem !== null) return problem
  }
  return reader.at < end ? 'malformed' : null
}

function build(bytes: Uint8Array, hash: number): Descriptor | string {
  const builder = new DescriptorBuilder()
  return add(builder, bytes) ?? builder.finish(hash)
}
