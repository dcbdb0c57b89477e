import type { Message, Ttl } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Client } from '../../runtime/client/client.ts'
import { ClientError } from '../../runtime/client/client-error.ts'
import type { SeededRandom } from '../firmware-protocol/seeded-random.ts'
import type { PluggedRouter } from './plug.ts'
import { type Ledger, textOf, type Write } from './plug-ledger.ts'

const RING = 8
const BRIEF: Ttl = { mode: 'absolute', seconds: 1 }
const BRIEF_SLIDING: Ttl = { mode: 'sliding', seconds: 1 }
const LASTING: Ttl = { mode: 'sliding', seconds: 3600 }

type SetOptions = Parameters<Client['set']>[2]

/** Clients that write all the time, as fast as they are answered or at a rate, until the router is gone. */
export class Load {
  /** What one session wrote to `/sync/ring/…`, each after the ACK of the one before. */
  readonly ring: Write[] = []
  private readonly ledger: Ledger
  private readonly random: SeededRandom
  private readonly lanes: Promise<void>[] = []

  private constructor(ledger: Ledger, random: SeededRandom) {
    this.ledger = ledger
    this.random = random
  }

  static async start(router: PluggedRouter, ledger: Ledger, random: SeededRandom): Promise<Load> {
    const load = new Load(ledger, random)
    const [first, second, third, ring, bundler, rated, fleeting] = await Promise.all([
      router.connect('first'),
      router.connect('second', 'tcp'),
      router.connect('third', 'tcp'),
      router.connect('ring', 'tcp'),
      router.connect('bundler'),
      router.connect('rated', 'tcp'),
      router.connect('fleeting'),
    ])
    for (let lane = 0; lane < 3; lane++) {
      load.lane(first, () => load.set(first, `/sync/first/${random.below(5)}`))
      load.lane(second, () => load.set(second, `/sync/second/${random.below(5)}`))
    }
    for (const client of [second, third]) load.lane(client, () => load.set(client, `/sync/shared/${random.below(2)}`))
    load.lane(third, () =>
      load.set(third, `/sync/locked/${random.below(3)}`, random.pick([{ lock: true }, { unlock: true }])),
    )
    load.lane(third, () => load.set(third, '/sync/lasting/0', { ttl: LASTING }))
    load.lane(ring, () => load.ringStep(ring))
    load.lane(bundler, () => load.bundle(bundler))
    load.lane(fleeting, () => load.set(fleeting, `/sync/brief/${random.below(3)}`, { ttl: BRIEF }), 40)
    load.lane(rated, () => load.set(rated, `/batched/brief/${random.below(3)}`, { ttl: BRIEF_SLIDING }), 40)
    load.lane(rated, () => load.set(rated, `/batched/${random.below(60)}`), 3)
    load.lane(rated, () => load.set(rated, `/memory/${random.below(20)}`), 10)
    load.lane(rated, () => load.set(rated, `/show/${random.below(60)}`), 5)
    load.lane(rated, () => load.event(rated, `/events/${random.below(3)}`), 5)
    return load
  }

  /** One session that writes round the ring, alone. */
  static ringOnly(client: Client, ledger: Ledger, random: SeededRandom): Load {
    const load = new Load(ledger, random)
    load.lane(client, () => load.ringStep(client))
    return load
  }

  /** Resolves when every client knows that its router is gone. */
  async ended(): Promise<void> {
    await Promise.all(this.lanes)
  }

  /** Does one thing after the other, without a pause or every so many ms. */
  private lane(client: Client, step: () => Promise<void>, everyMs = 0): void {
    const run = async () => {
      while (client.isOpen) {
        const done = step().catch((error) => {
          if (!(error instanceof ClientError) || error.kind !== 'closed') this.ledger.problem('load', String(error))
        })
        if (everyMs === 0) await done
        else await new Promise((resolve) => setTimeout(resolve, everyMs * 2 * this.random.fraction()))
      }
    }
    this.lanes.push(run())
  }

  private async set(client: Client, address: string, options: SetOptions = {}): Promise<void> {
    const { ttl } = options
    const ttlMs = ttl === undefined || ttl.mode === 'never' ? Infinity : ttl.seconds * 1000
    const write = this.ledger.send(address, client.router.session, ttlMs)
    const ack = await client.set(address, textValue(write), options)
    this.ledger.acknowledge(write, Number(ack.revision))
  }

  private async ringStep(client: Client): Promise<void> {
    const write = this.ledger.send(`/sync/ring/${this.ring.length % RING}`, client.router.session)
    this.ring.push(write)
    const ack = await client.set(write.address, textValue(write))
    this.ledger.acknowledge(write, Number(ack.revision))
  }

  private async bundle(client: Client): Promise<void> {
    const bundle = this.ledger.nextBundle()
    const addresses = ['/sync/pair/left', '/sync/pair/right']
    const writes = addresses.map((address) => this.ledger.send(address, client.router.session, Infinity, bundle))
    const messages = writes.map((write): Message => ({ type: 'SET', address: write.address, value: textValue(write) }))
    await client.bundle(messages)
    for (const write of writes) this.ledger.acknowledge(write)
  }

  private async event(client: Client, address: string): Promise<void> {
    const write = this.ledger.send(address, client.router.session)
    await client.publish({ address, signal: 'event', value: textValue(write) })
    this.ledger.acknowledge(write)
  }
}

function textValue({ token }: Write): Value {
  return { type: 'string', value: textOf(token) }
}
