import type { SetParam } from '../../../firmware-protocol/wire/message.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { HubSession } from './hub-session.ts'

const ANSWER_MS = 10_000
/** It expires at the hub when we are gone, so that others see it. */
const TTL_SECONDS = 180

export interface HeartbeatParts {
  clock: Clock
  session: HubSession
  intervalMs: number
  /** Both or one of the two signs of life stayed away. */
  onFailed(words: string): void
}

/**
 * A counter at the hub, written again and again: its ACK proves that the hub takes what we send, its echo that we still
 * get what others send. A hub that has forgotten the session answers, but sends nothing more. Source: federation.md §13.10.
 */
export class Heartbeat {
  readonly address: string
  beats = 0
  private readonly parts: HeartbeatParts
  private timer: Timer | null = null
  private count = 0
  private isEchoed = false
  private onEcho: (() => void) | null = null
  private isStopped = false

  constructor(controlPrefix: string, parts: HeartbeatParts) {
    this.address = `${controlPrefix}hb`
    this.parts = parts
  }

  onSet({ value }: SetParam): void {
    if (value.type !== 'i64' || Number(value.value) !== this.count) return
    this.isEchoed = true
    this.onEcho?.()
  }

  /** Beats once, and then again and again when that went well. False when it did not; `onFailed` has been called then. */
  async start(): Promise<boolean> {
    const isAlive = await this.beat()
    if (isAlive && !this.isStopped) this.wait()
    return isAlive
  }

  stop(): void {
    this.isStopped = true
    this.timer?.cancel()
    this.timer = null
    this.onEcho?.()
  }

  private wait(): void {
    this.timer = this.parts.clock.timer(this.parts.intervalMs, () => {
      this.beat().then((isAlive) => {
        if (isAlive && !this.isStopped) this.wait()
      })
    })
  }

  private async beat(): Promise<boolean> {
    const { clock, session, onFailed } = this.parts
    this.count++
    this.beats++
    this.isEchoed = false
    let isAcknowledged = false
    let isOver = false
    await new Promise<void>((resolve) => {
      const settle = () => {
        if (isAcknowledged && this.isEchoed) resolve()
      }
      this.onEcho = () => (this.isStopped ? resolve() : settle())
      this.timer = clock.timer(ANSWER_MS, resolve)
      const send = () => {
        const value = { type: 'i64', value: this.count } as const
        session.set(this.address, value, { mode: 'sliding', seconds: TTL_SECONDS }).then((answer) => {
          if (isOver) return
          if (answer.kind === 'discarded') return send()
          if (answer.kind !== 'stored') return resolve()
          isAcknowledged = true
          settle()
        })
      }
      send()
    })
    isOver = true
    this.onEcho = null
    this.timer?.cancel()
    this.timer = null
    if (this.isStopped) return false
    if (isAcknowledged && this.isEchoed) return true
    onFailed(
      isAcknowledged
        ? 'the hub answers, but has stopped sending updates to this session; connecting anew'
        : `the hub did not answer a heartbeat within ${ANSWER_MS / 1000} s; connecting anew`,
    )
    return false
  }
}
