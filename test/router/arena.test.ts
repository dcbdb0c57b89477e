import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Arena, fitsSameBlock } from '../../runtime/router/arena.ts'

const ZERO_LENGTH = new Uint8Array(0)
/** Sizes on both sides of every rounding step, up to the largest value. */
const size = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 0, max: 5000 }),
  fc.integer({ min: 0, max: 65_536 }),
  fc.constantFrom(0, 1, 8, 9, 256, 257, 320, 4096, 4097, 65_535, 65_536),
)

function filled(length: number, mark: number): Uint8Array {
  return new Uint8Array(length).fill(mark)
}

describe('the arena', () => {
  test('gives back every byte string as it was stored, whatever else is stored and released', () => {
    const step = fc.record({ bytes: size, releases: fc.boolean(), pick: fc.nat() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const arena = new Arena()
        const live: { ref: number; bytes: number; mark: number }[] = []
        for (const [i, { bytes, releases, pick }] of steps.entries()) {
          if (releases && live.length > 0) {
            const [gone] = live.splice(pick % live.length, 1)
            arena.release(gone.ref, gone.bytes)
            continue
          }
          const mark = (i % 255) + 1
          // The source need not start at 0.
          const source = new Uint8Array(bytes + 3)
          source.fill(mark, 3)
          live.push({ ref: arena.store(source, 3, bytes + 3), bytes, mark })
        }
        for (const { ref, bytes, mark } of live) assert.deepEqual(arena.view(ref, bytes), filled(bytes, mark))
        for (const { ref, bytes } of live) arena.release(ref, bytes)
        assert.equal(arena.bytesInUse, 0)
      }),
      { numRuns: 300 },
    )
  })

  test('replaces a value in place where it says that both fit the same block', () => {
    fc.assert(
      fc.property(size, size, (first, second) => {
        fc.pre(fitsSameBlock(first, second))
        const arena = new Arena()
        const before = arena.store(filled(40, 1), 0, 40)
        const ref = arena.store(filled(first, 2), 0, first)
        const behind = arena.store(filled(40, 3), 0, 40)
        const inUse = arena.bytesInUse
        arena.write(ref, filled(second, 4), 0, second)
        assert.deepEqual(arena.view(ref, second), filled(second, 4))
        assert.deepEqual(arena.view(before, 40), filled(40, 1))
        assert.deepEqual(arena.view(behind, 40), filled(40, 3))
        arena.release(ref, second)
        assert.equal(inUse - arena.bytesInUse, blockOf(first))
      }),
      { numRuns: 2000 },
    )
  })

  test('uses released blocks again, so that values which come and go take no new memory', () => {
    const arena = new Arena()
    const sizes = [8, 60, 300, 5000, 65_000]
    const first = new Set(sizes.map((bytes) => arena.allocate(bytes)))
    for (let round = 0; round < 100; round++) {
      for (const [i, ref] of [...first].entries()) arena.release(ref, sizes[i])
      const again = sizes.map((bytes) => arena.allocate(bytes))
      assert.deepEqual(new Set(again), first)
    }
  })

  test('loses at most a quarter to rounding above 24 bytes, and 8 bytes below', () => {
    const arena = new Arena()
    for (let bytes = 0; bytes <= 65_536; bytes++) {
      const block = blockOf(bytes, arena)
      assert.ok(block >= bytes)
      assert.ok(block - bytes <= Math.max(8, bytes / 4), `${bytes} bytes take ${block}`)
    }
  })

  test('holds blocks that fill several slabs', () => {
    const arena = new Arena()
    const refs = Array.from({ length: 100 }, (_, i) => arena.store(filled(65_536, i), 0, 65_536))
    for (const [i, ref] of refs.entries()) {
      assert.equal(arena.slab(ref)[arena.offset(ref)], i)
      assert.equal(arena.view(ref, 65_536)[65_535], i)
    }
    assert.equal(new Set(refs).size, 100)
    assert.equal(arena.bytesInUse, 100 * 65_536)
  })

  test('stores the empty byte string', () => {
    const arena = new Arena()
    const ref = arena.store(ZERO_LENGTH, 0, 0)
    assert.deepEqual(arena.view(ref, 0), ZERO_LENGTH)
    arena.release(ref, 0)
    assert.equal(arena.bytesInUse, 0)
  })
})

/** What a byte string of this length takes. */
function blockOf(bytes: number, arena = new Arena()): number {
  const ref = arena.allocate(bytes)
  const block = arena.bytesInUse
  arena.release(ref, bytes)
  return block
}
