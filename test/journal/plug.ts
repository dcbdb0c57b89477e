import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import type { Client } from '../../runtime/client/client.ts'
import { connect } from '../../runtime/client/connect.ts'
import { until } from '../until.ts'

const BUNDLE = join(process.cwd(), 'dist', 'clasp-edge.cjs')
const START_LIMIT_MS = 60_000
const PAGE_LIMIT_MS = 15_000

/** Loopback only, nothing expires by itself, everything below /sync and /events goes into the history. */
const CONFIG = (folder: string) => `
name: plugged
listen: {host: 127.0.0.1, port: 0, udp: false}
discovery: {mdns: false, broadcast: false}
simulate: false
state: {paramTtl: 0s, selfInterval: 1s}
journal:
  enabled: true
  folder: ${folder}
  writeBudget: 0
  durability:
    - {pattern: /sync/**, mode: sync}
    - {pattern: /batched/**, mode: batched}
    - {pattern: /memory/**, mode: memory}
  record:
    - {pattern: /sync/**, kinds: [param], maxRate: 0}
    - {pattern: /events/**, kinds: [event], maxRate: 0}
    - {pattern: /memory/**, kinds: []}
    - {pattern: /**, kinds: [param, event]}
  retention: {age: 0s, entries: 0, bytes: 0}
`

/** What the journal tells at `/status`. */
export interface JournalReport {
  summary: string
  facts: Record<string, string | number | boolean>
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-edge-plug-'))
  // A router that a failed test has left may still be writing.
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/** `clasp-edge run` as a process of its own, on the journal of a folder, whose plug can be pulled. */
export class PluggedRouter {
  readonly child: ChildProcess
  /** What it said on standard error. */
  log = ''
  private readonly startedAt = performance.now()
  private readonly clients: Client[] = []
  private port = 0
  private exited = false
  private readonly end: Promise<void>

  /** Starts the process and ends it with the test. */
  constructor(t: TestContext, journalFolder: string) {
    const folder = temporaryFolder(t)
    const config = join(folder, 'config.yaml')
    writeFileSync(config, CONFIG(journalFolder))
    this.child = spawn(process.execPath, [BUNDLE, 'run', '--config', config], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout?.setEncoding('utf8').on('data', (output: string) => {
      this.port ||= Number(/ws:\/\/127\.0\.0\.1:(\d+)\/clasp/.exec(output)?.[1] ?? 0)
    })
    this.child.stderr?.setEncoding('utf8').on('data', (output: string) => {
      this.log += output
    })
    this.end = new Promise((resolve) => {
      this.child.once('close', () => {
        this.exited = true
        resolve()
      })
    })
    t.after(() => this.pull())
  }

  /** A router that serves. */
  static async start(t: TestContext, journalFolder: string): Promise<PluggedRouter> {
    const router = new PluggedRouter(t, journalFolder)
    await router.ready()
    return router
  }

  /** Resolves when `/readyz` says so, with the ms since the process was started. */
  async ready(): Promise<number> {
    await until(
      () => {
        if (this.exited) throw new Error(`the router ended at its start: ${this.log}`)
        return this.port > 0
      },
      'router that listens',
      START_LIMIT_MS,
    )
    const page = await this.page('/readyz')
    if (page !== 'ready\n') throw new Error(`/readyz answered ${page}`)
    return performance.now() - this.startedAt
  }

  /** By WebSocket or TCP. Ends with the router. */
  async connect(name: string, scheme: 'ws' | 'tcp' = 'ws'): Promise<Client> {
    const client = await connect(`${scheme}://127.0.0.1:${this.port}`, { name })
    this.clients.push(client)
    return client
  }

  async journal(): Promise<JournalReport> {
    const report = JSON.parse(await this.page('/status')) as { parts: { journal: JournalReport } }
    return report.parts.journal
  }

  /** On a connection of its own: the port may have been that of a router that is gone. */
  private page(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const request = get({ host: '127.0.0.1', port: this.port, path, agent: false, timeout: PAGE_LIMIT_MS })
      request.on('timeout', () => request.destroy(new Error(`no answer to ${path}: ${this.log}`)))
      request.on('error', reject)
      request.on('response', (response) => text(response).then(resolve, reject))
    })
  }

  /** Waits until the journal's figures are as wanted. */
  async journalIs(isWanted: (facts: JournalReport['facts']) => boolean, what: string): Promise<JournalReport> {
    const deadline = performance.now() + START_LIMIT_MS
    for (;;) {
      const report = await this.journal()
      if (isWanted(report.facts)) return report
      if (performance.now() > deadline) throw new Error(`no ${what}: ${JSON.stringify(report)}\n${this.log}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** SIGKILL; resolves when nothing of the process is left. */
  async pull(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.end
    await this.disconnect()
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    await this.end
    await this.disconnect()
  }

  private async disconnect(): Promise<void> {
    await Promise.all(this.clients.splice(0).map((client) => client.close()))
  }
}
