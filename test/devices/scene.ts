import type { TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Plain } from '../../devices/device.ts'
import { SimulatedI2c } from '../../devices/i2c/simulated-i2c.ts'
import { SimulatedLines } from '../../devices/io/simulated-lines.ts'
import { SimulatedPorts } from '../../devices/serial/simulated-ports.ts'
import type { Message, SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { type DeviceHost, startDevices } from '../../runtime/devices/device-host.ts'
import { plainOf, wireValue } from '../../runtime/devices/wire-value.ts'
import type { LocalSession, LocalSessionOptions } from '../../runtime/router/local-session.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { Router } from '../../runtime/router/router.ts'
import { SteppedClock } from '../router/stepped-clock.ts'

export interface Happened {
  address: string
  value: Plain | undefined
  phase?: string
}

export interface SceneOptions {
  sysfs?: string
  dev?: string
  /** Path of the programs of drivers; without it there are none. */
  program?: string
  prepare?(scene: Scene): void
}

/** Devices as the configuration names them, on lines that are made up, at a router of which the time stands still. */
export class Scene {
  readonly clock = new SteppedClock()
  readonly lines = new SimulatedLines(this.clock)
  /** Chips are absent until they are attached. */
  readonly i2c = new SimulatedI2c()
  readonly serial = new SimulatedPorts()
  /** What params are, as a client sees them. */
  readonly params = new Map<string, Plain | undefined>()
  /** Every SET, in order. */
  readonly sets: Happened[] = []
  /** Events, samples of streams, and gestures, in order. */
  readonly events: Happened[] = []
  /** What was announced. */
  readonly signals: SignalDefinition[] = []
  private readonly router: Router
  private readonly client: LocalSession
  private host: DeviceHost | null = null

  private constructor(t: TestContext) {
    this.router = new Router({ ...defaultRouterOptions, name: 'scene' }, { clock: this.clock, log: silentLog })
    this.client = this.router.openLocal({ name: 'client', onMessage: (message) => this.receive(message) })
    this.client.send({ type: 'SUBSCRIBE', id: 1, pattern: '/**', types: [] })
    t.after(async () => {
      await this.stop()
      this.router.stop()
    })
  }

  /**
   * `yaml`: the list below `devices:`. With `simulate: false` a device takes the same lines, buses and ports for those of
   * the kernel. `prepare` attaches chips before devices start.
   */
  static async start(
    t: TestContext,
    yaml: string,
    { sysfs = '/nowhere', dev = '/nowhere', program, prepare = () => {} }: SceneOptions = {},
  ): Promise<Scene> {
    const scene = new Scene(t)
    prepare(scene)
    const { devices } = await parseConfig(`devices:\n${yaml.replace(/^/gm, '  ')}\n`, 'test.yaml')
    scene.host = await startDevices(
      { entries: devices, simulate: true, watchdogMs: 100, lingerMs: 0 },
      {
        router: {
          openLocal: (options) => scene.openLocal(options),
          paramAt: (address) => scene.router.paramAt(address),
          sessions: scene.router.sessions,
          sessionObservers: scene.router.sessionObservers,
        },
        clock: scene.clock,
        log: silentLog,
        program: null,
        lines: scene.lines,
        simulatedLines: scene.lines,
        i2c: scene.i2c,
        simulatedI2c: scene.i2c,
        serial: scene.serial,
        simulatedSerial: scene.serial,
        sysfs,
        dev,
        findProgram: async () => program ?? null,
      },
    )
    await scene.settle()
    return scene
  }

  get devices(): DeviceHost {
    return this.host as DeviceHost
  }

  async stop(): Promise<void> {
    await this.host?.stop()
  }

  /** What was sent has arrived. */
  async settle(): Promise<void> {
    for (let i = 0; i < 6; i++) await turn()
  }

  /** In steps, so that what a timer sends arrives before the next one fires. */
  async pass(ms: number, stepMs = ms): Promise<void> {
    for (let at = 0; at < ms; at += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - at))
      await this.settle()
    }
  }

  async drive(line: string, isOn: boolean): Promise<void> {
    this.lines.drive(line, isOn)
    await this.settle()
  }

  async send(message: Message): Promise<void> {
    this.client.send(message)
    await this.settle()
  }

  async set(address: string, value: Plain): Promise<void> {
    await this.send({ type: 'SET', address, value: wireValue(value, 'i64') })
  }

  async publish(address: string, payload: Plain): Promise<void> {
    await this.send({ type: 'PUBLISH', address, signal: 'event', payload: wireValue(payload, 'i64') })
  }

  /** Another client. */
  connect(name: string): LocalSession {
    return this.router.openLocal({ name })
  }

  /** The member of the payloads at an address, in order. */
  told(address: string, member = 'type'): (Plain | undefined)[] {
    const at = this.events.filter((event) => event.address === address)
    return at.map(({ value }) => (typeof value === 'object' && value !== null ? value[member] : value))
  }

  private openLocal(options: LocalSessionOptions): LocalSession {
    const session = this.router.openLocal(options)
    return {
      id: session.id,
      send: (message) => {
        if (message.type === 'ANNOUNCE') this.signals.push(...message.signals)
        session.send(message)
      },
      close: () => session.close(),
    }
  }

  private receive(message: Message): void {
    if (message.type === 'SET') {
      const value = plainOf(message.value)
      this.params.set(message.address, value)
      this.sets.push({ address: message.address, value })
    } else if (message.type === 'SNAPSHOT') {
      for (const { address, value } of message.params) this.params.set(address, plainOf(value))
    } else if (message.type === 'PUBLISH') {
      const value = message.payload ?? message.value
      const { address, phase } = message
      this.events.push({ address, value: value === undefined ? undefined : plainOf(value), phase })
    }
  }
}
