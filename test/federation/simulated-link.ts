import type { LeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { Chance, differences, hubValues, Site, type SiteSetup, type Test } from './proof-scene.ts'
import { SimulatedTime } from './simulated-time.ts'
import { UpstreamHub, type UpstreamSetup } from './upstream-hub.ts'

export interface LinkSetup {
  hub?: UpstreamSetup
  uplink?: Partial<LeafOptions>
  site?: Omit<SiteSetup, 'clock' | 'uplink'>
  /** The hub has a clock of its own, so that one of them can be set. */
  hasTwoClocks?: boolean
}

/** A leaf at the scripted upstream hub, in time that the test lets pass. */
export class SimulatedLink {
  readonly time: SimulatedTime
  readonly clock: SteppedClock
  readonly hubClock: SteppedClock
  readonly hub: UpstreamHub
  site: Site
  private readonly test: Test
  private readonly setup: LinkSetup

  /** The leaf begins to connect; see `active`. */
  static async start(t: Test, setup: LinkSetup = {}): Promise<SimulatedLink> {
    const clock = new SteppedClock()
    const hubClock = setup.hasTwoClocks === true ? new SteppedClock() : clock
    const hub = await UpstreamHub.start(t, { ...setup.hub, clock: hubClock })
    const link = new SimulatedLink(t, setup, clock, hubClock, hub, await startSite(t, setup, clock, hub))
    return link
  }

  private constructor(
    t: Test,
    setup: LinkSetup,
    clock: SteppedClock,
    hubClock: SteppedClock,
    hub: UpstreamHub,
    site: Site,
  ) {
    this.test = t
    this.setup = setup
    this.clock = clock
    this.hubClock = hubClock
    this.hub = hub
    this.site = site
    this.time = new SimulatedTime(...new Set([clock, hubClock]))
  }

  /** Lets time pass until the link is up. */
  async active(withinMs?: number): Promise<number> {
    return this.time.until(
      () => this.site.isActive,
      () => `active link, but ${this.state}`,
      withinMs,
    )
  }

  /** Lets time pass until the link is up and both sides hold the same; resolves with the time that took, ms. */
  async equal(withinMs?: number): Promise<number> {
    return this.time.until(
      () => this.site.isSettled && this.differences().length === 0,
      () => `equality, but ${this.state}, ${this.differences().join('; ')}`,
      withinMs,
    )
  }

  /** Lets time pass until the leaf has noticed that the link is gone. */
  async lost(withinMs?: number): Promise<number> {
    return this.time.until(() => !this.site.isActive, 'loss of the link', withinMs)
  }

  differences(): string[] {
    return differences(this.site.values('/site-a'), hubValues(this.hub, '/site-a'))
  }

  /** A restart of the leaf that loses the params, as without a journal; the link's memory stays. */
  async restartSite(): Promise<void> {
    const { store } = this.site
    await this.site.stop()
    this.site = await startSite(this.test, { ...this.setup, site: { ...this.setup.site, store } }, this.clock, this.hub)
  }

  private get state(): string {
    const { state, queue, lastError } = this.site.status
    return `${state} with ${queue.params} waiting (${lastError})`
  }
}

function startSite(t: Test, { uplink, site }: LinkSetup, clock: SteppedClock, hub: UpstreamHub): Promise<Site> {
  const chance = new Chance(1)
  return Site.start(t, { random: () => chance.next(), ...site, clock, uplink: { url: hub.url, ...uplink } })
}
