import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import type { Plain } from '../../../devices/device.ts'
import type { Client } from '../../../runtime/client/client.ts'
import { connect } from '../../../runtime/client/connect.ts'
import { plainOf, wireValue } from '../../../runtime/devices/wire-value.ts'
import { programPath } from './programs.ts'
import { until } from './until.ts'

const CONNECT_MS = 60_000

const BUNDLE = programPath('clasp-edge.cjs')

/** A command of the product; resolves to what it says. Rejects with what it complains of. */
export async function command(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [BUNDLE, ...args])
  return stdout
}

/** The program as it is installed, with devices on this machine's kernel, and a client of it. */
export class Product {
  readonly child: ChildProcess
  readonly params = new Map<string, Plain>()
  readonly events: { address: string; value: Plain }[] = []
  private said = ''
  private client: Client | null = null

  private constructor(t: TestContext, config: string) {
    const folder = mkdtempSync(join(tmpdir(), 'clasp-product-'))
    writeFileSync(join(folder, 'config.yaml'), config)
    this.child = spawn(process.execPath, [BUNDLE, 'run', '--config', 'config.yaml'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (text) => {
        this.said += text
      })
    }
    t.after(() => {
      this.client?.close()
      this.child.kill('SIGCONT')
      this.child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    })
  }

  /** `devices` and what else is to be configured, as YAML. */
  static async start(t: TestContext, settings: string): Promise<Product> {
    const product = new Product(
      t,
      `name: under test
listen: {host: 127.0.0.1, port: 0, udp: false}
discovery: {mdns: false, broadcast: false}
journal: {enabled: false}
simulate: false
${settings}`,
    )
    const { child } = product
    await until(() => product.port !== undefined || child.exitCode !== null, 'start of the router')
    if (product.port === undefined) throw new Error(product.said)
    await product.connect()
    return product
  }

  /** Again after the connection has ended. */
  async connect(): Promise<void> {
    this.client?.close()
    const client = await connect(`tcp://127.0.0.1:${this.port}`, { name: 'test', timeoutMs: CONNECT_MS })
    this.client = client
    await client.subscribe(['/**'], (delivery) => {
      const { address, signal } = delivery
      const value = delivery.value === undefined ? null : plainOf(delivery.value)
      if (signal === 'param') this.params.set(address, value ?? null)
      else this.events.push({ address, value: value ?? null })
    })
  }

  async set(address: string, value: Plain): Promise<void> {
    await this.client?.set(address, wireValue(value, 'i64'))
  }

  async publish(address: string, payload: Plain): Promise<void> {
    await this.client?.publish({ address, signal: 'event', payload: wireValue(payload, 'i64') })
  }

  /** Of its listener, as soon as that is known. */
  get port(): string | undefined {
    return /port=(\d+)/.exec(this.said)?.[1]
  }
}
