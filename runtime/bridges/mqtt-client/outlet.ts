import type { BridgeContext } from '../bridge.ts'
import { EchoWindow } from '../echo-window.ts'
import type { BrokerLink } from './broker-link.ts'
import type { MqttClientOptions } from './mqtt-client-kind.ts'
import { Outbox, type OutgoingMessage } from './outbox.ts'
import { payloadDigest } from './payload-digest.ts'

/** Messages that are not acknowledged yet. */
const WINDOW = 20

/** What goes to the broker: a few at a time, the rest waits. */
export class Outlet {
  private readonly context: BridgeContext<MqttClientOptions>
  private readonly outbox: Outbox
  private readonly echo: EchoWindow
  private link: BrokerLink | null = null
  private inflight = 0
  private isStopped = false

  constructor(context: BridgeContext<MqttClientOptions>) {
    const { clock, options, counters } = context
    this.context = context
    this.echo = new EchoWindow(options.echoWindow, clock)
    this.outbox = new Outbox({
      clock,
      maxEntries: options.maxQueued,
      eventAgeMs: options.eventAge,
      onDropped: () => counters.outDropped++,
    })
  }

  open(link: BrokerLink): void {
    this.link = link
  }

  /** Hands all that waits to the connection, and `last` behind it. */
  stop(last: OutgoingMessage): void {
    this.isStopped = true
    const { link } = this
    if (link?.isConnected !== true) return
    for (let next = this.outbox.shift(); next !== undefined; next = this.outbox.shift()) link.publish(next, () => {})
    link.publish(last, () => {})
  }

  /** Sends it when there is room. */
  send(message: OutgoingMessage): void {
    this.outbox.push(message)
    this.drain()
  }

  /** Whether a message that came is only what was sent; never in version 5, whose brokers do not send it back. */
  isEcho(topic: string, payload: Buffer): boolean {
    return this.link?.version === 4 && this.echo.takes(topic, payloadDigest(payload))
  }

  private drain(): void {
    const { link } = this
    if (link === null) return
    while (link.isConnected && this.inflight < WINDOW) {
      const message = this.outbox.shift()
      if (message === undefined) return
      this.inflight++
      if (link.version === 4) this.echo.remember(message.topic, payloadDigest(message.payload))
      link.publish(message, (error) => {
        this.inflight--
        if (error !== undefined && !link.isConnected && message.isState) {
          this.outbox.restore(message)
        } else if (error !== undefined && !this.isStopped) {
          this.context.counters.outDropped++
          this.context.problem('publish', `the broker does not take ${message.topic}: ${error.message}`)
        }
        this.drain()
      })
    }
  }
}
