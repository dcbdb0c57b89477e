import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { ensureNative } from '../../.scripts/native.mjs'

const WAIT_MS = 15_000

/** See firmware-protocol/c/host/node_main.c for what they mean. Exactly one of pty, port and udp. */
export interface SimulatedNodeOptions {
  pty?: string
  port?: string
  /** HOST:PORT of the router. */
  udp?: string
  /** 64 hexadecimal digits. */
  key?: string
  name?: string
  /** 16 hexadecimal digits. */
  uid?: string
  firmware?: string
  baud?: number
  maxBaud?: number
  lineRate?: number
  driftPpm?: number
  count?: number
  /** `board`, `bench:N`, `echo`, or a list of signals such as `level,f32,out+lossy,range=0:1`. */
  signals?: string | string[]
  rate?: number | 'max'
  lossy?: boolean
  sleepy?: boolean
  /** Default: another each time, as each boot must be told from the one before. */
  seed?: number
  quiet?: boolean
}

/** A line of the program: an answer, or something that happened. */
export interface NodeMessage {
  answer?: string
  /** Number from 1 of the node that it happened to, where there are several. */
  node?: number
  state?: 'announcing' | 'syncing' | 'running' | 'asleep'
  /** Address of a signal that got a value, with `value`, `type` and `why`. */
  input?: string
  value?: boolean | number | string | null
  type?: number
  why?: 'changed' | 'initial' | 'happened' | 'fellBack'
  atUs?: number
  match?: string
  id?: number
  refused?: string
  code?: number
  baud?: number
  result?: 'ok' | 'offline' | 'busy' | 'invalid'
  error?: string
}

/** Sums over all nodes of the process; `state` is that of the first. */
export interface NodeStats {
  state: 'announcing' | 'syncing' | 'running'
  running: number
  frames: number
  bad: number
  resent: number
  lostLink: number
  lostEvents: number
  bytesIn: number
  bytesOut: number
  polls: number
}

/** µs; null: the router's clock is not known yet. */
export interface NodeTime {
  estimateUs: number | null
  realUs: number
  errorUs: number | null
}

/** The firmware library in a process of its own, as one microcontroller or several. */
export class SimulatedNode {
  /** Everything that happened so far. */
  readonly happened: NodeMessage[] = []
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  private readonly answers: ((answer: NodeMessage | undefined) => void)[] = []
  private readonly watchers = new Set<() => void>()
  private readonly ended: Promise<void>
  private hasEnded = false
  private complaint = ''

  private constructor(program: string, options: SimulatedNodeOptions) {
    this.child = spawn(program, [...argumentsOf(options), '--stdin'], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stdin.on('error', () => {})
    this.child.stderr.on('data', (text) => {
      this.complaint += text
    })
    createInterface(this.child.stdout).on('line', (text) => this.receive(JSON.parse(text)))
    this.ended = new Promise((resolve) => {
      this.child.on('close', () => {
        this.hasEnded = true
        for (const settle of this.answers.splice(0)) settle(undefined)
        for (const look of this.watchers) look()
        resolve()
      })
    })
  }

  /** Runs when it resolves: a pseudo-terminal is there. It goes with the test. */
  static async start(options: SimulatedNodeOptions, t: TestContext): Promise<SimulatedNode> {
    const native = ensureNative()
    if (native.path === undefined) throw new Error(native.reason)
    const node = new SimulatedNode(native.path, options)
    t.after(() => node.stop())
    await node.stats()
    return node
  }

  /** Sends a command; its answer, which names no error. */
  async command(text: string): Promise<NodeMessage> {
    const answer = await new Promise<NodeMessage | undefined>((resolve) => {
      if (this.hasEnded) {
        resolve(undefined)
        return
      }
      this.answers.push(resolve)
      this.child.stdin.write(`${text}\n`)
    })
    if (answer === undefined) throw new Error(`the simulated node has ended: ${this.complaint}`)
    if (answer.error !== undefined) throw new Error(`the simulated node refuses "${text}": ${answer.error}`)
    return answer
  }

  async stats(): Promise<NodeStats> {
    return (await this.command('stats')) as unknown as NodeStats
  }

  async time(): Promise<NodeTime> {
    return (await this.command('time')) as unknown as NodeTime
  }

  /** The first message, of those that came or are to come, for which this holds. */
  async until(condition: (message: NodeMessage) => boolean, from = 0, withinMs = WAIT_MS): Promise<NodeMessage> {
    let at = from
    return new Promise((resolve, reject) => {
      const done = () => {
        this.watchers.delete(look)
        clearTimeout(timer)
      }
      const look = () => {
        for (; at < this.happened.length; at++) {
          if (!condition(this.happened[at])) continue
          done()
          resolve(this.happened[at])
          return
        }
        if (!this.hasEnded) return
        done()
        reject(new Error(`the simulated node has ended: ${this.complaint}`))
      }
      const timer = setTimeout(() => {
        done()
        reject(new Error(`the node did not say what was awaited within ${withinMs} ms: ${condition}`))
      }, withinMs)
      this.watchers.add(look)
      look()
    })
  }

  /** Resolves when it is (or these are) linked to a router. */
  async online(count = 1, withinMs = WAIT_MS): Promise<void> {
    const deadline = performance.now() + withinMs
    while ((await this.stats()).running < count) {
      if (performance.now() > deadline) throw new Error(`the node is not online within ${withinMs} ms`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** Ends it as the operating system would; resolves to its exit code. */
  async stop(): Promise<number | null> {
    if (!this.hasEnded) this.child.kill('SIGTERM')
    await this.ended
    return this.child.exitCode
  }

  private receive(message: NodeMessage): void {
    if (message.answer !== undefined) {
      this.answers.shift()?.(message)
      return
    }
    this.happened.push(message)
    for (const look of this.watchers) look()
  }
}

function argumentsOf({ signals, ...options }: SimulatedNodeOptions): string[] {
  const words = Object.entries(options).flatMap(([name, value]) => {
    const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    return value === undefined || value === false ? [] : value === true ? [option] : [option, String(value)]
  })
  if (typeof signals === 'string') words.push('--signals', signals)
  return Array.isArray(signals) ? [...words, ...signals.flatMap((signal) => ['--signal', signal])] : words
}
