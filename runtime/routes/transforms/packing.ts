import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { bigOf, float, int, numberOf } from '../numbers.ts'
import type { Settings } from '../settings.ts'
import type { Outcome, Step } from '../step.ts'
import type { TransformTable } from './transform.ts'

/** Numbers in Bytes: `u16le`, `i32be`, `f32le` and the like; those of one byte need no order. Source: bridges.md §18.3. */

interface Packing {
  readonly name: string
  readonly kind: 'u' | 'i' | 'f'
  readonly bytes: number
  readonly isLittle: boolean
}

const packings: readonly Packing[] = (['u', 'i', 'f'] as const).flatMap((kind) =>
  (kind === 'f' ? [4, 8] : [1, 2, 4, 8]).flatMap((bytes) => {
    const name = `${kind}${bytes * 8}`
    if (bytes === 1) return [{ name, kind, bytes, isLittle: true }]
    return [true, false].map((isLittle) => ({ name: `${name}${isLittle ? 'le' : 'be'}`, kind, bytes, isLittle }))
  }),
)

function readPacking(settings: Settings): Packing {
  // Where `type` is the name of the transform.
  const key = settings.has('format') ? 'format' : 'type'
  const name = settings.choice(
    key,
    packings.map((packing) => packing.name),
  )
  return packings.find((packing) => packing.name === name) as Packing
}

/** Bytes that are too short have no result; other values pass. */
function readUnpack(settings: Settings): Step {
  const packing = readPacking(settings)
  const offset = settings.number('offset', 0, { isWhole: true, min: 0, max: 65_535 })
  return {
    run(value) {
      if (value.type !== 'bytes') return value
      return value.value.length < offset + packing.bytes ? 'failed' : unpacked(value.value, offset, packing)
    },
  }
}

function unpacked(bytes: Uint8Array, offset: number, { kind, bytes: width, isLittle }: Packing): Outcome {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (kind === 'f') {
    const number = width === 4 ? view.getFloat32(offset, isLittle) : view.getFloat64(offset, isLittle)
    return Number.isFinite(number) ? float(number) : 'failed'
  }
  let bits = 0n
  for (let i = 0; i < width; i++) {
    bits = (bits << 8n) | BigInt(view.getUint8(isLittle ? offset + width - 1 - i : offset + i))
  }
  if (kind === 'i') return int(BigInt.asIntN(width * 8, bits))
  // An Int has no room for the largest unsigned numbers.
  return bits < 2n ** 63n ? int(bits) : float(Number(bits))
}

/** Whole numbers outside the type are kept within it. */
function readPack(settings: Settings): Step {
  const packing = readPacking(settings)
  return {
    run(value, _state, moment) {
      const number = numberOf(value, moment)
      if (number === undefined) return value
      if (packing.kind === 'f') return packedFloat(number, packing)
      return packedWhole(bigOf(value, moment) ?? 0n, packing)
    },
  }
}

function packedFloat(number: number, { bytes, isLittle }: Packing): Value {
  const view = new DataView(new ArrayBuffer(bytes))
  if (bytes === 4) view.setFloat32(0, number, isLittle)
  else view.setFloat64(0, number, isLittle)
  return { type: 'bytes', value: new Uint8Array(view.buffer) }
}

function packedWhole(number: bigint, { kind, bytes, isLittle }: Packing): Value {
  const bits = BigInt(bytes * 8)
  const [least, most] = kind === 'u' ? [0n, (1n << bits) - 1n] : [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n]
  let rest = BigInt.asUintN(Number(bits), number < least ? least : number > most ? most : number)
  const result = new Uint8Array(bytes)
  for (let i = 0; i < bytes; i++) {
    result[isLittle ? i : bytes - 1 - i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return { type: 'bytes', value: result }
}

export const packing: TransformTable = { unpack: readUnpack, pack: readPack }
