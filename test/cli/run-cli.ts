import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { until } from '../until.ts'

const BUNDLE = join(process.cwd(), 'dist', 'clasp-edge.cjs')
const LIMIT_MS = 30_000

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

/** A command that runs; what it prints can be awaited. */
export class RunningCommand {
  stdout = ''
  stderr = ''
  readonly child: ChildProcess
  readonly exited: Promise<Outcome>

  /** `bundle`: instead of the one in dist. */
  constructor(
    args: readonly string[],
    { env = {}, input, bundle = BUNDLE }: { env?: Record<string, string>; input?: string; bundle?: string } = {},
  ) {
    const { CLASP_URL: _, CLASP_TOKEN: __, FORCE_COLOR: ___, ...inherited } = process.env
    this.child = spawn(process.execPath, [bundle, ...args], { env: { ...inherited, ...env } })
    this.child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text
    })
    this.child.stdin?.on('error', () => {})
    if (input !== undefined) this.child.stdin?.end(input)
    const timer = setTimeout(() => this.child.kill('SIGKILL'), LIMIT_MS)
    this.exited = new Promise((resolve) => {
      this.child.once('close', (code) => {
        clearTimeout(timer)
        resolve({ code, stdout: this.stdout, stderr: this.stderr })
      })
    })
  }

  /** Waits until it has printed something that matches. */
  async printed(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null
    await until(() => {
      found = pattern.exec(this[stream])
      if (found === null && this.child.exitCode !== null) throw new Error(`ended: ${this.stdout}${this.stderr}`)
      return found !== null
    }, `${pattern} in ${stream}`)
    return found as unknown as RegExpExecArray
  }
}

/** Runs a command to its end. */
export function cli(args: readonly string[], options: { env?: Record<string, string>; input?: string } = {}) {
  return new RunningCommand(args, { input: '', ...options }).exited
}

/** A temporary folder with files, removed with the test. */
export async function folderWith(t: TestContext, files: Record<string, string> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'clasp-edge-cli-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  return folder
}

/** Loopback only, a free port, nothing on the network. */
export const QUIET = `
name: under test
listen: {host: 127.0.0.1, port: 0, udp: false}
discovery: {mdns: false, broadcast: false}
simulate: false
`

export interface RunningRouter extends RunningCommand {
  url: string
}

/** `clasp-edge run` with a configuration, stopped with the test. */
export async function startRouter(t: TestContext, config = QUIET, args: string[] = []): Promise<RunningRouter> {
  const folder = await folderWith(t, { 'config.yaml': config })
  const command = new RunningCommand(['run', '--config', join(folder, 'config.yaml'), ...args])
  t.after(async () => {
    command.child.kill('SIGINT')
    await command.exited
  })
  const [url] = await command.printed(/ws:\/\/127\.0\.0\.1:\d+\/clasp/)
  await command.printed(/try next/)
  return Object.assign(command, { url })
}
