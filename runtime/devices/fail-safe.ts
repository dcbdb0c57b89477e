import type { Plain } from '../../devices/device.ts'
import type { FailSafeOptions, SafeReason } from '../../devices/fail-safe.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { LocalSession } from '../router/local-session.ts'
import type { SessionObserver } from '../router/session-observer.ts'
import type { DeviceRouter } from './device-router.ts'
import { writtenValue } from './wire-value.ts'

/** A param that is required may run out without a word. */
const LOOK_AGAIN_MS = 1000
const TRUTH = { datatype: 'bool' } as const

/** The output that is looked after. */
export interface FailSafeOutput {
  /** `keepsWish`: params stay what they are, because `goOn` will follow. */
  makeSafe(reason: SafeReason, keepsWish: boolean): void
  /** Writes to the device what its params say. */
  goOn(): void
}

/**
 * When an output has to be safe because of what happens around it: nobody writes, its owner or the hub has gone, what it
 * requires does not hold. Source: bridges.md §20.6, §20.8.
 */
export class FailSafe implements SessionObserver {
  private readonly options: FailSafeOptions
  private readonly router: DeviceRouter
  private readonly clock: Clock
  private readonly output: FailSafeOutput
  private owner = { id: '', name: '' }
  private ownerTimer: Timer | null = null
  private deadman: Timer | null = null
  private lookTimer: Timer | null = null
  private follower: LocalSession | null = null
  /** Why it is safe and will go on by itself; empty: it is not. */
  private readonly waitsFor = new Set<SafeReason>()
  /** What it requires was so when it was looked at last. */
  private isHolding = false
  private isHubLost = false

  constructor(options: FailSafeOptions, router: DeviceRouter, clock: Clock, output: FailSafeOutput) {
    this.options = options
    this.router = router
    this.clock = clock
    this.output = output
    if (options.ownerTimeout > 0) router.sessionObservers.add(this)
    if (options.requires !== undefined) this.follow(options.requires)
  }

  /** Why it is safe has not passed: one that is opened anew has to stay so. */
  get mustStaySafe(): boolean {
    return this.waitsFor.size > 0 || (this.isHubLost && this.options.onHubLoss === 'safe')
  }

  /** It goes on by itself then. */
  get willGoOn(): boolean {
    return this.options.resume === 'auto'
  }

  /** Whether this may be written: without what it requires, an output can only be switched off. */
  allows(value: Plain): boolean {
    this.isHolding = this.mayBeOn
    return value === false || this.isHolding
  }

  /** Somebody has written to it. `writer`: id of the session, as far as it is known. */
  onWrite(writer: string | undefined): void {
    this.waitsFor.clear()
    const { deadman, ownerTimeout } = this.options
    this.deadman?.cancel()
    if (deadman > 0) this.deadman = this.clock.timer(deadman, () => this.fall('deadman', false))
    if (writer !== undefined && ownerTimeout > 0) this.own(writer)
  }

  onHubLost(): void {
    this.isHubLost = true
    if (this.options.onHubLoss === 'safe') this.fall('link', this.options.resume === 'auto')
  }

  onHubBack(): void {
    this.isHubLost = false
    this.stopWaitingFor('link')
  }

  /** It was opened anew, and its params say what it will be. */
  stayUntilBack(): void {
    if (this.isHubLost && this.options.onHubLoss === 'safe') this.waitsFor.add('link')
  }

  /** A client that comes back is a new session; its name is all that it has in common with the one of before. */
  onSessionStart(id: string, name: string): void {
    const { owner, router } = this
    if (name === '' || name !== owner.name || router.sessions.has(owner.id)) return
    owner.id = id
    this.ownerTimer?.cancel()
    this.stopWaitingFor('owner')
  }

  onSessionEnd(id: string): void {
    if (id === this.owner.id) this.startOwnerTimer()
  }

  close(): void {
    this.router.sessionObservers.delete(this)
    this.follower?.close()
    for (const timer of [this.ownerTimer, this.deadman, this.lookTimer]) timer?.cancel()
  }

  private own(id: string): void {
    const session = this.router.sessions.get(id)
    this.owner = { id, name: session?.name ?? '' }
    this.ownerTimer?.cancel()
    // It wrote and left, or wrote before the last start of the router.
    if (session === undefined) this.startOwnerTimer()
  }

  private startOwnerTimer(): void {
    const { ownerTimeout, resume } = this.options
    this.ownerTimer?.cancel()
    this.ownerTimer = this.clock.timer(ownerTimeout, () => this.fall('owner', resume === 'auto'))
  }

  private fall(reason: SafeReason, keepsWish: boolean): void {
    // A wish that was given up for another reason does not come back.
    if (keepsWish) this.waitsFor.add(reason)
    else this.waitsFor.clear()
    this.output.makeSafe(reason, keepsWish)
  }

  private stopWaitingFor(reason: SafeReason): void {
    if (!this.waitsFor.delete(reason) || this.waitsFor.size > 0 || !this.mayBeOn) return
    this.output.goOn()
  }

  /** Whether what it requires is so now. */
  private get mayBeOn(): boolean {
    const { requires, requiresValue } = this.options
    if (requires === undefined) return true
    const found = this.router.paramAt(requires)
    return found !== undefined && writtenValue(found.value, TRUTH) === requiresValue
  }

  private follow(requires: string): void {
    const onMessage = () => this.look()
    this.follower = this.router.openLocal({ name: 'what an output requires', onMessage })
    this.follower.send({ type: 'SUBSCRIBE', id: 1, pattern: requires, types: ['param'] })
    const lookAgain = () => {
      this.look()
      this.lookTimer = this.clock.timer(LOOK_AGAIN_MS, lookAgain)
    }
    lookAgain()
  }

  private look(): void {
    const { mayBeOn } = this
    const isLost = this.isHolding && !mayBeOn
    this.isHolding = mayBeOn
    if (isLost) this.fall('require', false)
  }
}
