import type { DeviceClock } from '../device.ts'
import { ModbusError } from './modbus-error.ts'
import type { ModbusLink } from './modbus-link.ts'

const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 60_000

interface SlaveOptions {
  retries: number
  /** For the operator: where it is asked, and what to look at when it does not answer. */
  advice: string
  clock: DeviceClock
  /** It does not answer any more, or answers again. */
  onChange(slave: ModbusSlave): void
}

/** One slave of a line. While it is away it is asked less and less often, so that the others do not wait for it. */
export class ModbusSlave {
  readonly address: number
  /** Why it is away; '' when it is there. */
  problem = ''
  /** It is left alone until then; monotonic ms. */
  retryAt = Number.NEGATIVE_INFINITY
  private readonly link: ModbusLink
  private readonly options: SlaveOptions
  /** Requests without an answer since the last one that had one. */
  private misses = 0

  constructor(address: number, link: ModbusLink, options: SlaveOptions) {
    this.address = address
    this.link = link
    this.options = options
  }

  get isAway(): boolean {
    return this.misses > this.options.retries
  }

  /**
   * Asks again when there is no answer, as long as that is wanted and until it counts as away. Rejects with a ModbusError.
   */
  async request(pdu: Uint8Array, isWanted: () => boolean): Promise<Uint8Array> {
    for (;;) {
      try {
        const answer = await this.link.request(this.address, pdu)
        this.present()
        return answer
      } catch (error) {
        if (!(error instanceof ModbusError)) throw error
        // A refusal is an answer.
        if (error.exception !== 0) this.present()
        else this.miss(error)
        if (error.exception !== 0 || this.isAway || !isWanted()) throw error
      }
    }
  }

  private present(): void {
    const wasAway = this.isAway
    this.misses = 0
    if (!wasAway) return
    this.problem = ''
    this.retryAt = Number.NEGATIVE_INFINITY
    this.options.onChange(this)
  }

  private miss({ message }: ModbusError): void {
    const { clock, advice, retries, onChange } = this.options
    this.misses++
    if (!this.isAway) return
    const doublings = Math.min(this.misses - retries - 1, 16)
    this.retryAt = clock.now() + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** doublings)
    if (this.problem !== '') return
    this.problem = `slave ${this.address} is away: ${message} ${advice}`
    onChange(this)
  }
}
