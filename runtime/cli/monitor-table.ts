import type { Delivery } from '../client/subscription.ts'
import { showTime } from './amounts.ts'
import { contents } from './delivery-text.ts'
import { cut } from './table.ts'
import { printable, type Terminal } from './terminal.ts'

export const SORTS = ['address', 'rate', 'recent'] as const
export type Sort = (typeof SORTS)[number]

export interface MonitorRow {
  address: string
  last: Delivery
  /** Milliseconds, monotonic; undefined while only the held value is known. */
  changedAt: number | undefined
  /** Updates per second, smoothed. */
  rate: number
  /** Session id, and the revision that it wrote. */
  writer: string | undefined
  writerRevision: Delivery['revision']
}

/** Addresses beyond it are counted and not shown. */
const MAX_ROWS = 20_000
/** Weight of the newest second in the rate. */
const SMOOTHING = 0.5

/** `timeline`, `10000.0/s`, `23 h 59 min`, and as much of a name as fits beside them in 80 columns. */
const KIND_WIDTH = 8
const RATE_WIDTH = 9
const AGE_WIDTH = 11
const WRITER_WIDTH = 14

/** What a monitor knows: the last value, rate, age and writer of every address. Does no input or output. */
export class MonitorTable {
  sort: Sort = 'address'
  filter = ''
  /** Names by session id. */
  writerNames: ReadonlyMap<string, string> = new Map()
  private readonly rows = new Map<string, MonitorRow>()
  private readonly counts = new Map<MonitorRow, number>()
  private hidden = 0
  private countedAt: number

  constructor(now: number) {
    this.countedAt = now
  }

  get size(): number {
    return this.rows.size
  }

  /** Updates that found no place. */
  get hiddenUpdates(): number {
    return this.hidden
  }

  onDelivery(delivery: Delivery, now: number): void {
    const { address, isInitial, writer, revision } = delivery
    let row = this.rows.get(address)
    if (row === undefined) {
      if (this.rows.size >= MAX_ROWS) {
        this.hidden++
        return
      }
      row = { address, last: delivery, changedAt: undefined, rate: 0, writer: undefined, writerRevision: undefined }
      this.rows.set(address, row)
    }
    row.last = delivery
    if (writer !== undefined) this.onWriter(address, writer, revision)
    if (isInitial) return
    row.changedAt = now
    this.counts.set(row, (this.counts.get(row) ?? 0) + 1)
  }

  onWriter(address: string, writer: string | undefined, revision: Delivery['revision']): void {
    const row = this.rows.get(address)
    if (row === undefined) return
    row.writer = writer
    row.writerRevision = revision
  }

  /** Brings the rates up to date; to be called about once a second. */
  countRates(now: number): void {
    const seconds = (now - this.countedAt) / 1000
    if (seconds <= 0) return
    this.countedAt = now
    for (const row of this.rows.values()) {
      const rate = (this.counts.get(row) ?? 0) / seconds
      row.rate = row.rate === 0 ? rate : row.rate + SMOOTHING * (rate - row.rate)
      if (row.rate < 0.05) row.rate = 0
    }
    this.counts.clear()
  }

  /** The rows that pass the filter, in order, at most `limit`. */
  visible(limit = MAX_ROWS): MonitorRow[] {
    const wanted = this.filter.toLowerCase()
    const rows = [...this.rows.values()].filter(({ address }) => address.toLowerCase().includes(wanted))
    const byAddress = (a: MonitorRow, b: MonitorRow) => (a.address < b.address ? -1 : 1)
    rows.sort((a, b) => {
      if (this.sort === 'rate' && a.rate !== b.rate) return b.rate - a.rate
      if (this.sort === 'recent' && a.changedAt !== b.changedAt) return (b.changedAt ?? 0) - (a.changedAt ?? 0)
      return byAddress(a, b)
    })
    return rows.slice(0, limit)
  }

  /** Titles and rows for a width in characters. */
  lines(terminal: Terminal, width: number, limit: number, now: number): string[] {
    const rows = this.visible(limit)
    const right = KIND_WIDTH + RATE_WIDTH + AGE_WIDTH + WRITER_WIDTH + 5
    const addressWidth = Math.max(12, Math.min(Math.floor((width - right) * 0.6), longest(rows)))
    const valueWidth = Math.max(8, width - right - addressWidth)
    const line = (address: string, value: string, kind: string, rate: string, age: string, writer: string) =>
      [
        cut(printable(address), addressWidth).padEnd(addressWidth),
        cut(printable(value), valueWidth).padEnd(valueWidth),
        cut(kind, KIND_WIDTH).padEnd(KIND_WIDTH),
        rate.padStart(RATE_WIDTH),
        age.padStart(AGE_WIDTH),
        cut(printable(writer), WRITER_WIDTH),
      ]
        .join(' ')
        .slice(0, width)
        .trimEnd()
    const title = (name: string, sort: Sort) => (this.sort === sort ? `${name}*` : name)
    const heading = line(
      title('ADDRESS', 'address'),
      'VALUE',
      'TYPE',
      title('RATE', 'rate'),
      title('AGE', 'recent'),
      'WRITER',
    )
    return [
      terminal.paint('bold', heading),
      ...rows.map(({ address, last, rate, changedAt, writer }) => {
        const kind = last.signal === 'param' ? (last.value?.type ?? '') : last.signal
        const age = changedAt === undefined ? 'held' : showTime(now - changedAt)
        const name = writer === undefined ? '' : (this.writerNames.get(writer) ?? writer.slice(0, 8))
        return line(address, contents(last), kind, rate === 0 ? '' : `${rate.toFixed(1)}/s`, age, name)
      }),
    ]
  }
}

function longest(rows: readonly MonitorRow[]): number {
  return rows.reduce((most, { address }) => Math.max(most, address.length), 0)
}
