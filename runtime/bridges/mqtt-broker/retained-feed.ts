import type { BrokerSession } from './broker-session.ts'
import type { Outgoing, Qos } from './outgoing.ts'
import type { RetainedMessages } from './retained-messages.ts'
import type { Subscription } from './subscription-tree.ts'

/** One for each session. */
export class RetainedFeeds {
  private readonly feeds = new WeakMap<BrokerSession, RetainedFeed>()
  private readonly open: () => RetainedFeed

  constructor(retained: RetainedMessages, onProblem: (message: string) => void) {
    this.open = () => new RetainedFeed(retained, onProblem)
  }

  /** `name` is the filter as it was given. */
  add(name: string, subscription: Subscription): void {
    const feed = this.feeds.get(subscription.session) ?? this.open()
    this.feeds.set(subscription.session, feed)
    feed.add(name, subscription)
  }
}

/** Tells one session what is retained, filter by filter and no faster than it takes it, so that nothing is dropped. */
class RetainedFeed {
  private readonly retained: RetainedMessages
  private readonly onProblem: (message: string) => void
  /** By filter as it was given. */
  private readonly waiting = new Map<string, Subscription>()
  private isRunning = false

  constructor(retained: RetainedMessages, onProblem: (message: string) => void) {
    this.retained = retained
    this.onProblem = onProblem
  }

  add(name: string, subscription: Subscription): void {
    this.waiting.delete(name)
    this.waiting.set(name, subscription)
    if (!this.isRunning) void this.run()
  }

  private async run(): Promise<void> {
    this.isRunning = true
    for (const [name, subscription] of this.waiting) {
      this.waiting.delete(name)
      try {
        await this.tell(name, subscription)
      } catch (error) {
        this.onProblem(`${name}: ${(error as Error).message}`)
      }
    }
    this.isRunning = false
  }

  private async tell(name: string, subscription: Subscription): Promise<void> {
    const { session, filter } = subscription
    if (!session.isReady && !(await session.whenReady())) return
    await this.retained.read(filter, (message) => {
      // It may have changed its mind meanwhile.
      if (session.subscriptions.get(name) !== subscription) return false
      deliverRetained(message, subscription)
      return session.isReady || session.whenReady()
    })
  }
}

export function deliverRetained(message: Outgoing, { session, qos, identifier }: Subscription): void {
  if (!session.rights.canRead(message.parts.topic)) return
  session.deliver(message, Math.min(message.parts.qos, qos) as Qos, true, identifier > 0 ? [identifier] : [])
}
