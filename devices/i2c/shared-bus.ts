import { constants } from 'node:os'
import type { Lines } from '../io/lines.ts'
import type { WatchOptions } from '../process/watched-process.ts'
import { type I2cBus, I2cError, type I2cGuard } from './bus.ts'
import { MAX_TRANSFER } from './bus-messages.ts'
import type { BusPlace, Machine } from './bus-place.ts'
import { type Answer, BusProcess } from './bus-process.ts'
import { recoverBus } from './bus-recovery.ts'
import { explainOpenFailure, explainStuck, explainTransferFailure } from './i2c-failure.ts'
import { StuckCount } from './stuck-count.ts'

const { EAGAIN, ENOSPC } = constants.errno
/** Others are reserved; see the table of reserved addresses in UM10204 (I2C-bus specification), §3.1.12. */
const FIRST_ADDRESS = 0x08
const LAST_ADDRESS = 0x77
/** As clasp-i2c has room for: each write counts two more. */
const GUARD_BYTES = 2048
export interface SharedBusOptions extends WatchOptions, Machine {
  /** Path of clasp-i2c; null: it is not installed. */
  program(): Promise<string | null>
  /** Where a stuck bus may be freed by hand; see `bus-recovery.ts`. Without it nobody tries. */
  lines?: Lines
  /** What became of a stuck bus, for the log. */
  tell?(message: string): void
}

interface User {
  onLost(error: I2cError): void
}

/** A bus of the kernel with all its users, and what is done when it is stuck. */
export class SharedBus {
  private readonly place: BusPlace
  private readonly options: SharedBusOptions
  private readonly users = new Set<User>()
  private readonly guards = new Map<number, { user: User; onForced(): void }>()
  private process: BusProcess | null = null
  private starting: Promise<void> | null = null
  /** The bus is being stopped or freed; it can be opened again then. */
  private closing: Promise<void> | null = null
  private openers = 0
  private isStopped = false
  /** Its process was killed and has not gone: the kernel does not let go of it. */
  private isHung = false
  private readonly stuck = new StuckCount()

  constructor(place: BusPlace, options: SharedBusOptions) {
    this.place = place
    this.options = options
  }

  get pid(): number | undefined {
    return this.process?.pid
  }

  async open(onLost: (error: I2cError) => void): Promise<I2cBus> {
    this.openers++
    try {
      while (this.closing !== null) await this.closing
      if (this.isHung) throw this.hung()
      if (this.isStopped) throw new I2cError('lost', 'the devices are being stopped')
      this.starting ??= this.start()
      await this.starting
    } finally {
      this.openers--
    }
    if (this.process === null) throw this.gone('it ended at once')
    const user: User = { onLost }
    this.users.add(user)
    return {
      name: this.place.name,
      transfer: (address, bytes, readBytes) => this.transfer(user, address, bytes, readBytes),
      guard: (address, writes, onForced) => this.guard(user, address, writes, onForced),
      scan: () => this.scan(user),
      close: () => this.release(user),
    }
  }

  async stop(): Promise<void> {
    this.isStopped = true
    this.users.clear()
    await this.starting?.catch(() => {
      // Whoever opened the bus hears of it.
    })
    this.closeProcess()
    await this.closing
  }

  private async start(): Promise<void> {
    try {
      const { options, place } = this
      const program = await options.program()
      if (program === null) {
        throw new I2cError(
          'missing',
          'clasp-i2c, which speaks on I2C buses, is not installed: install gcc and build again',
        )
      }
      const process: BusProcess = new BusProcess(program, place.path, options, {
        onForced: (address, errno) => this.onForced(process, address, errno),
        onHung: () => this.onHung(process),
        onEnded: (reason) => this.onEnded(process, reason),
      })
      this.process = process
      const errno = await process.opened.catch((reason: Error) => {
        throw this.gone(reason.message)
      })
      if (errno !== 0) throw await explainOpenFailure(place, errno, options)
    } catch (error) {
      this.process = null
      this.starting = null
      throw error
    }
  }

  private async release(user: User): Promise<void> {
    this.users.delete(user)
    for (const [address, guard] of this.guards) {
      if (guard.user !== user) continue
      this.guards.delete(address)
      this.process?.unguard(address).catch(() => {
        // With the process the guard has gone too.
      })
    }
    if (this.process === null || this.users.size > 0 || this.openers > 0) return
    this.closeProcess()
    await this.closing
  }

  private closeProcess(): void {
    const { process } = this
    if (process === null) return
    this.process = null
    this.starting = null
    this.close(process.stop())
  }

  private close(work: Promise<void>): void {
    const closing = work.finally(() => {
      if (this.closing === closing) this.closing = null
    })
    this.closing = closing
  }

  private async transfer(user: User, address: number, bytes: Uint8Array, readBytes: number): Promise<Uint8Array> {
    const process = this.processOf(user)
    if (bytes.length > MAX_TRANSFER || readBytes > MAX_TRANSFER) {
      throw new I2cError('unsupported', `more than ${MAX_TRANSFER} bytes in one transaction of an I2C bus: use several`)
    }
    const answer = await this.answer(process, process.transfer(address, bytes, readBytes))
    if (answer.errno !== 0) throw await this.failure(process, address, answer.errno)
    this.stuck.worked()
    return answer.bytes
  }

  private async guard(
    user: User,
    address: number,
    writes: readonly Uint8Array[],
    onForced: () => void,
  ): Promise<I2cGuard> {
    const process = this.processOf(user)
    if (writes.reduce((sum, { length }) => sum + 2 + length, 0) > GUARD_BYTES) {
      throw new I2cError('unsupported', `a safe state of more than ${GUARD_BYTES} bytes cannot be guarded: use less`)
    }
    const { errno } = await this.answer(process, process.guard(address, writes))
    if (errno === EAGAIN) {
      const what = `another clasp-edge looks after outputs on the I2C bus ${this.place.name}`
      throw new I2cError('failed', `${what}: stop it, or wait until it has made them safe`)
    }
    if (errno === ENOSPC) {
      throw new I2cError(
        'unsupported',
        `the I2C bus ${this.place.name} has more outputs than can be guarded: use another`,
      )
    }
    if (errno !== 0) throw await this.failure(process, address, errno)
    const guard = { user, onForced }
    this.guards.set(address, guard)
    const isInForce = () => this.process === process && this.guards.get(address) === guard
    return {
      change: (changed) => {
        // When it fails the process has gone, of which its users hear.
        if (isInForce()) process.guard(address, changed).catch(() => {})
      },
      close: async () => {
        if (!isInForce()) return
        this.guards.delete(address)
        await process.unguard(address).catch(() => {})
      },
    }
  }

  /** One probe after the other, so that others get their turn in between. */
  private async scan(user: User): Promise<number[]> {
    const found: number[] = []
    for (let address = FIRST_ADDRESS; address <= LAST_ADDRESS; address++) {
      const process = this.processOf(user)
      const { errno } = await this.answer(process, process.probe(address))
      if (errno === 0) {
        found.push(address)
        continue
      }
      const error = await this.failure(process, address, errno)
      if (error.code === 'stuck' || error.code === 'unsupported' || error.code === 'lost') throw error
    }
    // Nobody answers everywhere, but a data line that is held low looks like it.
    if (found.length > LAST_ADDRESS - FIRST_ADDRESS) throw await explainStuck(this.place, this.options)
    this.stuck.worked()
    return found
  }

  private processOf(user: User): BusProcess {
    if (this.process !== null && this.users.has(user)) return this.process
    throw new I2cError('lost', `the I2C bus ${this.place.name} is closed`)
  }

  private answer(process: BusProcess, answer: Promise<Answer>): Promise<Answer> {
    return answer.catch((reason: Error) => {
      throw process.isHung ? this.hung() : this.gone(reason.message)
    })
  }

  private async failure(process: BusProcess, address: number, errno: number): Promise<I2cError> {
    const error = await explainTransferFailure(this.place, address, errno, this.options)
    if (error.code === 'stuck') this.onStuck(process, error)
    // Somebody was asked and nobody answered: the wires are well.
    else if (error.code === 'absent') this.stuck.worked()
    else if (error.code === 'lost' && process === this.process) this.lose(error)
    return error
  }

  private onStuck(process: BusProcess, error: I2cError): void {
    if (process !== this.process) return
    const { clock, lines, tell } = this.options
    const remedy = this.stuck.count(clock.now())
    if (remedy === undefined) return
    this.lose(error)
    if (remedy === 'reopen' || lines === undefined) return
    const freed = async () => {
      await this.closing
      const { text } = await recoverBus(this.place, { ...this.options, lines })
      tell?.(text)
    }
    this.close(freed())
  }

  private onHung(process: BusProcess): void {
    if (process !== this.process) return
    this.isHung = true
    this.process = null
    this.starting = null
    process.isHung = true
    process.kill().then(() => {
      this.isHung = false
    })
    this.tellLost(this.hung())
  }

  private onEnded(process: BusProcess, reason: string): void {
    if (process !== this.process) return
    this.process = null
    this.starting = null
    this.tellLost(this.gone(reason))
  }

  /** All users have to open the bus again. */
  private lose(error: I2cError): void {
    this.closeProcess()
    this.tellLost(error)
  }

  private tellLost(error: I2cError): void {
    const users = [...this.users]
    this.users.clear()
    this.guards.clear()
    for (const { onLost } of users) onLost(error)
  }

  private onForced(process: BusProcess, address: number, errno: number): void {
    if (process !== this.process) return
    // It leaves guarded chips alone until it hears that this is known here.
    process.resume()
    const guard = this.guards.get(address)
    guard?.onForced()
    if (guard === undefined || errno === 0) return
    this.users.delete(guard.user)
    explainTransferFailure(this.place, address, errno, this.options).then((error) => guard.user.onLost(error))
  }

  private gone(reason: string): I2cError {
    return new I2cError('lost', `the program of the I2C bus ${this.place.name} (clasp-i2c) is gone: ${reason}`)
  }

  private hung(): I2cError {
    const what = `the kernel hangs in a transaction of the I2C bus ${this.place.name}`
    return new I2cError('stuck', `${what}: see dmesg; if it stays so, restart the board`)
  }
}
