import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Message, Signal } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { BridgeKind } from '../../runtime/bridges/bridge.ts'
import { BridgeHost } from '../../runtime/bridges/bridge-host.ts'
import type { BridgeReport } from '../../runtime/bridges/bridge-status.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'
import type { LocalSession } from '../../runtime/router/local-session.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { Router } from '../../runtime/router/router.ts'
import { WebRoutes } from '../../runtime/transports/web-routes.ts'
import { until } from '../until.ts'

export interface Heard {
  signal: Signal
  address: string
  value: Value
  phase?: string
}

export interface BridgeSceneOptions {
  clock?: Clock
  kinds?: readonly BridgeKind[]
  /** Folder where programs of bridges are. */
  programs?: string
}

/** Bridges as the configuration names them, at a router, with a client of that router. */
export class BridgeScene {
  readonly clock: Clock
  readonly router: Router
  readonly web = new WebRoutes()
  readonly host: BridgeHost
  /** Everything the client hears, in order; its own writes, too. */
  readonly heard: Heard[] = []
  private readonly client: LocalSession

  private constructor(t: TestContext, { clock = systemClock, kinds, programs }: BridgeSceneOptions) {
    this.clock = clock
    this.router = new Router({ ...defaultRouterOptions, name: 'scene' }, { clock, log: silentLog })
    const folder = mkdtempSync(join(tmpdir(), 'bridge-'))
    this.host = new BridgeHost({
      router: this.router,
      clock,
      log: silentLog,
      folder,
      web: this.web,
      findProgram: async (name) => (programs === undefined ? null : join(programs, name)),
      random: () => 0.5,
      kinds,
    })
    this.client = this.router.openLocal({ name: 'client', onMessage: (message) => this.receive(message) })
    this.client.send({ type: 'SUBSCRIBE', id: 1, pattern: '/**', types: [] })
    t.after(async () => {
      await this.host.stop()
      this.router.stop()
      rmSync(folder, { recursive: true, force: true })
    })
  }

  /** `yaml`: the list below `bridges:`. */
  static async start(t: TestContext, yaml: string, options: BridgeSceneOptions = {}): Promise<BridgeScene> {
    const scene = new BridgeScene(t, options)
    await scene.apply(yaml)
    return scene
  }

  async apply(yaml: string): Promise<void> {
    const { bridges } = await parseConfig(`bridges:\n${yaml.replace(/^/gm, '  ')}\n`, 'test.yaml')
    await this.host.apply(bridges)
    await this.settle()
  }

  report(id: string): BridgeReport {
    const report = this.host.reports.find((one) => one.id === id)
    if (report === undefined) throw new Error(`there is no bridge ${id}`)
    return report
  }

  /** What was sent within the process has arrived. */
  async settle(): Promise<void> {
    for (let i = 0; i < 6; i++) await turn()
  }

  async send(message: Message): Promise<void> {
    this.client.send(message)
    await this.settle()
  }

  set(address: string, value: Value): Promise<void> {
    return this.send({ type: 'SET', address, value })
  }

  event(address: string, payload: Value): Promise<void> {
    return this.send({ type: 'PUBLISH', address, signal: 'event', payload })
  }

  /** The last value of a param as the client heard it. */
  param(address: string): Value | undefined {
    return this.heard.findLast((one) => one.signal === 'param' && one.address === address)?.value
  }

  async untilParam(address: string, isWanted: (value: Value) => boolean = () => true): Promise<Value> {
    await until(() => {
      const value = this.param(address)
      return value !== undefined && isWanted(value)
    }, `a value at ${address}`)
    return this.param(address) as Value
  }

  private receive(message: Message): void {
    if (message.type === 'SET') {
      this.heard.push({ signal: 'param', address: message.address, value: message.value })
    } else if (message.type === 'SNAPSHOT') {
      for (const { address, value } of message.params) this.heard.push({ signal: 'param', address, value })
    } else if (message.type === 'PUBLISH') {
      const { signal = 'event', address, value, payload, phase } = message
      this.heard.push({ signal, address, value: value ?? payload ?? { type: 'null' }, phase })
    }
  }
}

/** Waits until nothing more comes to any of them. */
export async function untilQuiet(...scenes: BridgeScene[]): Promise<void> {
  let before = -1
  await until(() => {
    const heard = scenes.reduce((sum, scene) => sum + scene.heard.length, 0)
    const isQuiet = heard === before
    before = heard
    return isQuiet
  }, 'quiet')
}
