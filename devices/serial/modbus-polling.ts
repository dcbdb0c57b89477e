import type { DeviceContext, Plain } from '../device.ts'
import { type Block, blockOf, blocksOf, wordsOf } from './modbus-blocks.ts'
import { ILLEGAL_ADDRESS, ModbusError } from './modbus-error.ts'
import type { ModbusLink } from './modbus-link.ts'
import { bitsOf, readRequest, registersOf } from './modbus-pdu.ts'
import { decodeRegister, isBits, type Register, typeOf } from './modbus-registers.ts'
import { ModbusSlave } from './modbus-slave.ts'
import { writeRegister } from './modbus-write.ts'

const LONGEST_PAUSE_MS = 60_000
/** A slave that says so often in a row that it is busy has no values. */
const MOST_BUSY = 3

export interface PollingOptions {
  rows: readonly Register[]
  /** Registers that are read at once. */
  most: number
  retries: number
  /** See `ModbusSlave`. */
  advice: string
}

interface PolledBlock {
  block: Block
  dueAt: number
  failures: number
  /** Why it cannot be read; '' when it can. */
  problem: string
}

interface PendingWrite {
  value: Plain
  /** Tried until it has worked: nobody else would repeat it. */
  isSafe: boolean
  /** Safe value whose place it took before that was written. */
  unwritten?: number
}

type PollingContext = Pick<DeviceContext, 'name' | 'clock' | 'set' | 'problem' | 'failing'>

/**
 * What happens on a line of Modbus slaves, one request after the other: what is to be written first, then the readings,
 * the one that is due for longest before the others.
 */
export class ModbusPolling {
  private readonly link: ModbusLink
  private readonly context: PollingContext
  private readonly slaves = new Map<number, ModbusSlave>()
  private readonly writes = new Map<Register, PendingWrite>()
  private readonly seen = new Map<Register, Plain>()
  /** Safe for a while: their params stay what clients want them to be again. */
  private readonly wished = new Set<Register>()
  private blocks: PolledBlock[]
  private told = ''
  private isReading = true
  private isStopped = false
  private wakeUp: (() => void) | null = null
  private onWritten: (() => void) | null = null

  constructor(link: ModbusLink, { rows, most, retries, advice }: PollingOptions, context: PollingContext) {
    this.link = link
    this.context = context
    const { clock } = context
    for (const { slave } of rows) {
      if (this.slaves.has(slave)) continue
      const onChange = (changed: ModbusSlave) => this.onSlave(changed)
      this.slaves.set(slave, new ModbusSlave(slave, link, { retries, advice, clock, onChange }))
    }
    this.blocks = blocksOf(rows, most).map((block) => ({ block, dueAt: clock.now(), failures: 0, problem: '' }))
  }

  /** Resolves when it was stopped. */
  async run(): Promise<void> {
    while (!this.isStopped) {
      const pauseMs = await this.step()
      if (pauseMs > 0 && !this.isStopped) await this.sleep(pauseMs)
    }
  }

  /** The last one counts when several come before the line is free. */
  write(row: Register, value: Plain): void {
    this.wished.delete(row)
    if (this.slaveOf(row).isAway) {
      this.refuse(row, this.slaveOf(row).problem)
      return
    }
    const before = this.writes.get(row)
    this.writes.set(row, { value, isSafe: false, unwritten: before?.isSafe ? Number(before.value) : before?.unwritten })
    this.wakeUp?.()
  }

  /** As `write`, until it has worked. `keepsWish`: its param stays what it is until the next `write`. */
  writeSafe(row: Register, value: number, keepsWish: boolean): void {
    this.writes.set(row, { value, isSafe: true })
    this.wished.delete(row)
    if (keepsWish) this.wished.add(row)
    else this.context.set(row.name, typeOf(row) === 'bool' ? value !== 0 : value)
    this.wakeUp?.()
  }

  /** Nothing is read any more. Resolves when all that is to be written was written or tried, or after so long. */
  async finish(withinMs: number): Promise<void> {
    this.isReading = false
    if (this.writes.size === 0) return
    this.link.giveUp()
    let timer: { cancel(): void } | undefined
    await new Promise<void>((resolve) => {
      timer = this.context.clock.timer(withinMs, resolve)
      this.onWritten = resolve
      this.wakeUp?.()
    })
    timer?.cancel()
  }

  stop(): void {
    this.isStopped = true
    this.wakeUp?.()
  }

  /** Returns for how long there is nothing to do, ms. */
  private async step(): Promise<number> {
    if (!this.isReading) return this.finishOne()
    const now = this.context.clock.now()
    let nextAt = now + LONGEST_PAUSE_MS
    for (const [row, write] of this.writes) {
      const { retryAt } = this.slaveOf(row)
      if (retryAt <= now) {
        await this.doWrite(row, write)
        return 0
      }
      nextAt = Math.min(nextAt, retryAt)
    }
    let next: PolledBlock | undefined
    for (const polled of this.blocks) {
      const at = Math.max(polled.dueAt, this.slaves.get(polled.block.slave)?.retryAt ?? 0)
      if (at > nextAt || (next !== undefined && at === nextAt)) continue
      next = polled
      nextAt = at
    }
    if (next === undefined || nextAt > now) return nextAt - now
    await this.read(next)
    return 0
  }

  /** Of what is still to be written; that for slaves which are away comes last, and is tried once. */
  private async finishOne(): Promise<number> {
    const writes = [...this.writes]
    const [row, write] = writes.find(([one]) => !this.slaveOf(one).isAway) ?? writes[0] ?? []
    if (row === undefined || write === undefined) return LONGEST_PAUSE_MS
    await this.doWrite(row, write)
    if (this.writes.get(row) !== write) return 0
    // The others first: one that does not answer may not answer again.
    this.writes.delete(row)
    if (!this.slaveOf(row).isAway) this.writes.set(row, write)
    if (this.writes.size === 0) this.onWritten?.()
    return 0
  }

  private async sleep(ms: number): Promise<void> {
    let timer: { cancel(): void } | undefined
    await new Promise<void>((resolve) => {
      timer = this.context.clock.timer(ms, resolve)
      this.wakeUp = resolve
    })
    timer?.cancel()
    this.wakeUp = null
  }

  private async read(polled: PolledBlock): Promise<void> {
    const { block } = polled
    const { clock } = this.context
    const startedAt = clock.now()
    try {
      const words = await this.wordsAt(block)
      polled.failures = 0
      this.tellBlock(polled, '')
      for (const row of block.rows) this.show(row, decodeRegister(row, wordsOf(block, row, words)))
      // Readings that are late are not made up for.
      polled.dueAt = Math.max(polled.dueAt + block.everyMs, startedAt + block.everyMs / 2)
    } catch (error) {
      if (this.isStopped || !this.isReading) return
      if (!(error instanceof ModbusError)) throw error
      this.onUnread(polled, error)
    }
  }

  private onUnread(polled: PolledBlock, error: ModbusError): void {
    const { block } = polled
    const { clock } = this.context
    if (error.exception === ILLEGAL_ADDRESS && block.rows.length > 1) {
      // Some slaves read every register, but not these together.
      const singles = block.rows.map((row) => ({ block: blockOf(row), dueAt: clock.now(), failures: 0, problem: '' }))
      this.blocks = this.blocks.flatMap((one) => (one === polled ? singles : [one]))
      return
    }
    // It is asked again: at once after what had to be written, or when it may be back.
    if (error.exception === 0) return
    polled.failures++
    polled.dueAt =
      clock.now() + Math.min(Math.max(block.everyMs, LONGEST_PAUSE_MS), block.everyMs * 2 ** polled.failures)
    if (error.isBusy && polled.failures < MOST_BUSY) return
    const names = block.rows.map(({ name }) => name).join(', ')
    for (const row of block.rows) this.forget(row)
    this.tellBlock(polled, `${names} of slave ${block.slave} cannot be read: ${error.message}`)
  }

  private async doWrite(row: Register, write: PendingWrite): Promise<void> {
    const slave = this.slaveOf(row)
    const place = `${this.context.name}: ${row.name}`
    const isDone = () => {
      if (this.writes.get(row) === write) this.writes.delete(row)
      if (this.writes.size === 0) this.onWritten?.()
    }
    try {
      await writeRegister(slave, row, write.value, () => this.isReading)
    } catch (error) {
      if (this.isStopped) return
      if (!(error instanceof ModbusError)) throw error
      // One that is away gets its safe value when it is back.
      if (!write.isSafe || error.exception !== 0) isDone()
      if (!write.isSafe) this.refuse(row, error.message)
      else if (error.exception !== 0) this.context.problem('failsafe', `${place} is not safe: ${error.message}`)
      if (write.unwritten !== undefined && !this.writes.has(row)) this.writeSafe(row, write.unwritten, false)
      return
    }
    const isLast = this.writes.get(row) === write
    isDone()
    if (!this.isReading) return
    const actual = await this.readBack(row)
    if (isLast) this.show(row, actual ?? write.value)
  }

  /** Null: it cannot be read, as is usual for commands. */
  private async readBack(row: Register): Promise<Plain> {
    try {
      return decodeRegister(row, await this.wordsAt(blockOf(row)))
    } catch (error) {
      if (!(error instanceof ModbusError)) throw error
      return null
    }
  }

  private async wordsAt({ slave, area, first, count, rows }: Block): Promise<readonly number[]> {
    // What is to be written does not wait until a slave counts as away.
    const isWanted = () => this.isReading && this.writes.size === 0
    const answer = await (this.slaves.get(slave) as ModbusSlave).request(readRequest(area, first, count), isWanted)
    return isBits(rows[0]) ? bitsOf(answer, count) : registersOf(answer)
  }

  private slaveOf({ slave }: Register): ModbusSlave {
    return this.slaves.get(slave) as ModbusSlave
  }

  private show(row: Register, value: Plain): void {
    // What waits to be written is newer.
    if (this.writes.has(row)) return
    this.seen.set(row, value)
    if (!this.wished.has(row)) this.context.set(row.name, value)
  }

  private forget(row: Register): void {
    this.seen.delete(row)
    if (row.access === 'r') this.context.set(row.name, null)
  }

  /** Clients see what it is instead of what they wanted. */
  private refuse(row: Register, reason: string): void {
    const { name, set, problem } = this.context
    problem('write', `${name}: ${row.name} was not written: ${reason}`)
    set(row.name, this.seen.get(row) ?? null)
  }

  private onSlave(slave: ModbusSlave): void {
    // No slave answers when the line is closed.
    if (this.isStopped || !this.isReading) return
    const now = this.context.clock.now()
    for (const polled of this.blocks) {
      if (polled.block.slave !== slave.address) continue
      if (slave.isAway) for (const row of polled.block.rows) this.forget(row)
      else polled.dueAt = Math.min(polled.dueAt, now)
    }
    this.tell()
  }

  private tellBlock(polled: PolledBlock, problem: string): void {
    if (polled.problem === problem) return
    polled.problem = problem
    this.tell()
  }

  /** All that does not work, as one text. */
  private tell(): void {
    const problems = [...this.slaves.values(), ...this.blocks].map(({ problem }) => problem)
    const told = problems.filter((problem) => problem !== '').join('; ')
    if (told === this.told) return
    this.told = told
    this.context.failing(told === '' ? '' : `${this.context.name}: ${told}`)
  }
}
