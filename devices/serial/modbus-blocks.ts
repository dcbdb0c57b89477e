import { type Area, MOST_BITS } from './modbus-pdu.ts'
import { isBits, type Register, wordCount } from './modbus-registers.ts'

/** Neighbours that are read with one request. */
export interface Block {
  readonly slave: number
  readonly area: Area
  readonly first: number
  readonly count: number
  readonly everyMs: number
  readonly rows: readonly Register[]
}

/**
 * Joins registers of a slave that touch each other and are read as often; never more than `most` of them, nor 2000 bits.
 * Gaps are not read: many slaves refuse a request that covers a register that they do not have.
 */
export function blocksOf(rows: readonly Register[], most: number): Block[] {
  const sorted = [...rows].sort((one, other) => one.register - other.register)
  const blocks: Block[] = []
  for (const row of sorted) {
    const end = row.register + wordCount(row)
    const limit = isBits(row) ? MOST_BITS : most
    const at = blocks.findIndex(
      ({ slave, area, first, count, everyMs }) =>
        slave === row.slave &&
        area === row.area &&
        everyMs === row.every &&
        row.register <= first + count &&
        end - first <= limit,
    )
    if (at === -1) {
      blocks.push(blockOf(row))
    } else {
      const { first, count, rows: joined, ...block } = blocks[at]
      blocks[at] = { ...block, first, count: Math.max(count, end - first), rows: [...joined, row] }
    }
  }
  return blocks
}

export function blockOf(row: Register): Block {
  const { slave, area, register, every } = row
  return { slave, area, first: register, count: wordCount(row), everyMs: every, rows: [row] }
}

/** Those of a row, of the registers or bits that a block has read. */
export function wordsOf({ first }: Block, row: Register, read: readonly number[]): readonly number[] {
  return read.slice(row.register - first, row.register - first + wordCount(row))
}
