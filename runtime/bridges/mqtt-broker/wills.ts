import type { IConnectPacket } from 'mqtt-packet'
import type { Publication } from './publication-flow.ts'
import { isSystemTopic } from './system-topics.ts'

/**
 * What is to be published when a client is lost. Bridges of mosquitto want to be announced below $SYS: that is not theirs
 * here, and no reason to refuse them.
 */
export function willOf({ will }: IConnectPacket, origin: string): Publication | null {
  if (will === undefined || isSystemTopic(will.topic)) return null
  const { topic, payload, qos = 0, retain: isRetained = false, properties } = will
  return { topic, payload: Buffer.from(payload), qos, isRetained, properties, origin }
}

/** Wills of clients that have gone, until their delay is over. Source: MQTT 5.0 §3.1.3.2.2. */
export class Wills {
  private readonly publish: (will: Publication) => void
  /** By client id. */
  private readonly waiting = new Map<string, { will: Publication; dueMs: number }>()

  constructor(publish: (will: Publication) => void) {
    this.publish = publish
  }

  delay(clientId: string, will: Publication, dueMs: number): void {
    this.waiting.set(clientId, { will, dueMs })
  }

  /** The client is back. */
  cancel(clientId: string): void {
    this.waiting.delete(clientId)
  }

  /** Its session has ended: it waits no longer. */
  release(clientId: string): void {
    const one = this.waiting.get(clientId)
    this.waiting.delete(clientId)
    if (one !== undefined) this.publish(one.will)
  }

  /** Publishes what is due; Infinity: all. */
  sweep(nowMs: number): void {
    for (const [clientId, { dueMs }] of this.waiting) if (dueMs <= nowMs) this.release(clientId)
  }
}
