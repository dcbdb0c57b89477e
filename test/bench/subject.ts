import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LoadOptions, LoadResult } from './load.ts'

const BUNDLE = join('dist', 'clasp-edge.cjs')
/** HELLO without name or token, as a bare frame. */
export const HELLO = Buffer.from('530100070101e000000000', 'hex')
export const ROUNDS = Number(process.env.CLASP_BENCH_ROUNDS ?? 3)

/** A router in a process of its own. */
export interface Router {
  process: ChildProcess
  port: number
  /** From the start of the process to the first WELCOME. */
  startMs: number
}

/** Runs a load in a further process: this program again. */
export function loadInChild(options: LoadOptions): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ['--load'], { serialization: 'json' })
    child.once('message', (result) => {
      resolve(result as unknown as LoadResult)
      child.disconnect()
    })
    child.once('error', reject)
    child.once('exit', (code) => code !== 0 && reject(new Error(`the load generator ended with ${code}`)))
    child.send(options)
  })
}

/**
 * The built router on a free port, with limits that let a benchmark through and everything else at its default; `more` is
 * YAML behind that.
 */
export async function startRouter(more = ''): Promise<Router> {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-edge-bench-'))
  const port = await freePort()
  const config = join(folder, 'config.yaml')
  writeFileSync(
    config,
    `listen: { host: 127.0.0.1, port: ${port}, udp: false }\ndiscovery: { mdns: false, broadcast: false }\nsimulate: false\nlimits: { messagesPerSecond: 100000000 }\nlog: { level: warn }\n${more}`,
  )
  const start = performance.now()
  const child = spawn(process.execPath, [BUNDLE, 'run', '--config', config], { stdio: ['ignore', 'ignore', 'inherit'] })
  const startMs = await firstWelcome(port, start)
  rmSync(folder, { recursive: true })
  return { process: child, port, startMs }
}

/** Dials until the router answers HELLO with WELCOME. */
async function firstWelcome(port: number, start: number): Promise<number> {
  for (;;) {
    const isWelcome = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(HELLO))
      socket.on('error', () => resolve(false))
      socket.on('data', (data: Buffer) => {
        socket.destroy()
        resolve(data[4] === 0x02)
      })
    })
    if (isWelcome) return performance.now() - start
    if (performance.now() - start > 10_000) throw new Error('the router did not start')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

export function stopRouter({ process: child }: Router): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
