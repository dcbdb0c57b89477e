import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { ConflictPolicy } from '../../runtime/federation/leaf/reconcile.ts'
import { int } from '../router/fixture.ts'
import { Chance, isEqual, shown, type Test } from './proof-scene.ts'
import { SimulatedLink } from './simulated-link.ts'

const ADDRESSES = 6
const ROUNDS = 4
const OPERATIONS = 12
const POLICIES: ConflictPolicy[] = ['owner', 'lww', 'hub']
/** Above the interval of comparisons. */
const CONVERGED_MS = 120_000

interface Write {
  value: Value
  atMs: number
}

/** What a round leaves at an address: the last write of each side, and what was there before. */
interface Story {
  base: Value | undefined
  /** The value was made by the leaf. */
  isBaseLocal: boolean
  local?: Write
  foreign?: Write
}

/**
 * Random local and foreign writes, outages, restarts of the hub, lost connections, a tight frame limit and dropped
 * broadcasts, the same for the same seed. After each round the two sides must be equal, and what they agree on must be what
 * the policy says where the round allows one answer only: when all its writes were made while the link was down.
 */
export async function runSchedule(t: Test, seed: number): Promise<{ violations: string[]; story: string[] }> {
  const chance = new Chance(seed)
  const policy = POLICIES[seed % POLICIES.length]
  const link = await SimulatedLink.start(t, {
    uplink: {
      policy: [{ pattern: '/site-a/**', conflict: policy }],
      verifyIntervalMs: 30_000,
      rate: chance.pick([0, 'auto' as const, 20]),
    },
  })
  const schedule = new Schedule(link, chance, policy)
  await link.active()
  for (let round = 0; round < ROUNDS; round++) await schedule.round()
  return { violations: schedule.violations, story: [`policy ${policy}`, ...schedule.story] }
}

class Schedule {
  readonly violations: string[] = []
  readonly story: string[] = []
  private readonly link: SimulatedLink
  private readonly chance: Chance
  private readonly policy: ConflictPolicy
  private stories = new Map<string, Story>()
  private readonly written = new Map<string, Value[]>()
  private count = 0
  private nowMs = 0

  constructor(link: SimulatedLink, chance: Chance, policy: ConflictPolicy) {
    this.link = link
    this.chance = chance
    this.policy = policy
  }

  async round(): Promise<void> {
    const { chance, link } = this
    for (const story of this.stories.values()) Object.assign(story, { local: undefined, foreign: undefined })
    link.hub.rateLimit = chance.pick([0, 0, 30, 10])
    if (chance.below(3) > 0) await this.offline()
    else await this.online()
    await this.converge()
  }

  private async offline(): Promise<void> {
    const { chance, link } = this
    await link.hub.kill()
    await link.lost()
    const restart = chance.pick(['kept', 'kept', 'empty'] as const)
    this.story.push(`offline, the hub comes back ${restart}`)
    if (restart === 'empty') link.hub.state.clear()
    for (let i = 0; i < OPERATIONS; i++) {
      this.write(chance.below(2) === 0)
      await this.pass(1 + chance.below(2000))
    }
    await link.hub.reopen({ state: 'kept' })
    await link.equal(CONVERGED_MS)
    for (const [address, story] of this.stories) this.check(address, this.expected(story, restart === 'kept'))
  }

  private async online(): Promise<void> {
    const { chance, link } = this
    this.story.push('online')
    for (let i = 0; i < OPERATIONS; i++) {
      const event = chance.below(10)
      if (event === 0) for (const { connection } of link.hub.openSessions) connection.cut()
      else if (event === 1) link.hub.faults.dropBroadcasts(1 + chance.below(4))
      else if (event === 2) await link.hub.restart({ state: chance.pick(['kept', 'empty', 'snapshot'] as const) })
      else if (event === 3) for (const session of link.hub.openSessions) link.hub.makeZombie(session)
      else for (let n = chance.below(6); n >= 0; n--) this.write(chance.below(2) === 0)
      this.story.push(`event ${event}`)
      await this.pass(chance.below(500))
    }
    link.hub.faults.dropBroadcasts(0)
  }

  private write(isLocal: boolean): void {
    const { link } = this
    const address = `/site-a/p${this.chance.below(ADDRESSES)}`
    const value = int(++this.count)
    const story = this.stories.get(address) ?? { base: undefined, isBaseLocal: false }
    this.stories.set(address, story)
    this.written.set(address, [...(this.written.get(address) ?? []), value])
    if (isLocal) link.site.set(address, value)
    else if (typeof link.hub.set(address, value) === 'string') return
    story[isLocal ? 'local' : 'foreign'] = { value, atMs: this.nowMs }
    this.story.push(`${isLocal ? 'leaf' : 'other'} ${address} ${this.count}`)
  }

  private async pass(ms: number): Promise<void> {
    this.nowMs += ms
    await this.link.time.pass(ms, 200)
  }

  private async converge(): Promise<void> {
    const { link } = this
    await link.equal(CONVERGED_MS)
    // Equal for good, not for a moment on the way.
    await this.pass(70_000)
    await link.equal(CONVERGED_MS)
    for (const [address, story] of this.stories) {
      const value = link.site.get(address)
      const known = this.written.get(address) ?? []
      // What others set can be lost with the hub before the leaf has heard of it.
      const mayBeLost = story.base === undefined && story.local === undefined
      if (!known.some((one) => isEqual(one, value)) && !(value === undefined && mayBeLost)) {
        this.violations.push(`${address} holds ${shown(value)}, which nobody set there`)
      }
      story.isBaseLocal = isEqual(story.local?.value, value) || (story.isBaseLocal && isEqual(story.base, value))
      story.base = value
    }
  }

  private check(address: string, expected: Value | undefined): void {
    const value = this.link.site.get(address)
    if (!isEqual(value, expected)) {
      this.violations.push(`${address} is ${shown(value)}, by policy ${this.policy} it should be ${shown(expected)}`)
      this.story.push(`violation at ${address}`)
    }
  }

  /** Who wins at an address after a round in which the link was down while both sides wrote. */
  private expected({ base, local, foreign }: Story, isKept: boolean): Value | undefined {
    if (foreign === undefined) return local?.value ?? base
    if (local === undefined) {
      // Not changed here: the owner insists only where the hub has lost what it knew.
      return !isKept && base !== undefined && this.policy === 'owner' ? base : foreign.value
    }
    if (this.policy === 'owner') return local.value
    if (this.policy === 'hub') return foreign.value
    return local.atMs > foreign.atMs ? local.value : foreign.value
  }
}
