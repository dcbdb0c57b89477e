import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { cFilesOf, compile, LIBRARY, sizes } from '../../.scripts/native.mjs'

const HOST = 'firmware-protocol/c/host'
const PORT_FILES = ['port.c', 'pace.c', 'pty_port.c', 'serial_port.c', 'udp_port.c']
const SIZES = { SIGNALS: 32, MRU: 256, MTU: 256, WINDOW: 8, EVENTS: 8, '64BIT': 1 }

/** What it counted; see proof-device.c. */
export interface ProofStats {
  /** Events sent, the last number. */
  emitted: number
  blocks: number
  /** Events received, the last number, how many were missing, or came again. */
  orders: number
  lastOrder: number
  skipped: number
  repeated: number
  /** Values whose check was not right, and params that went back. */
  wrong: number
  back: number
  inputs: number
  bad: number
  resent: number
  lostLink: number
  lostEvents: number
  isRunning: boolean
  bytesIn: number
  bytesOut: number
  /** Of the params, of `text`, of what came last on in0 … in3 and `label`. */
  round: number
  text: number
  ins: number[]
  label: number
}

export interface ProofState {
  state: 'announcing' | 'syncing' | 'running'
  emitted: number
  order: number
}

/** The device of proof-device.c in a process of its own. */
export class ProofDevice {
  /** Each time that its link came or went. */
  readonly states: ProofState[] = []
  onState: (state: ProofState) => void = () => {}
  private readonly child: ChildProcessByStdio<Writable, Readable, null>
  private readonly answers: ((answer: ProofStats | undefined) => void)[] = []
  private readonly ended: Promise<void>

  private constructor(program: string, port: string, seed: number) {
    this.child = spawn(program, [port, String(seed)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child.stdin.on('error', () => {})
    createInterface(this.child.stdout).on('line', (text) => this.receive(JSON.parse(text)))
    this.ended = new Promise((resolve) => {
      this.child.on('close', () => {
        for (const settle of this.answers.splice(0)) settle(undefined)
        resolve()
      })
    })
  }

  /** The seed is its boot nonce. It goes with the test. */
  static async start(port: string, seed: number, t: TestContext): Promise<ProofDevice> {
    const files = cFilesOf('.', HOST).filter((path) => PORT_FILES.some((name) => path.endsWith(`/${name}`)))
    const sources = [`${LIBRARY}/clasp_link.c`, ...files, 'test/firmware/proof-device.c']
    const native = compile('proof-device', sources, ['-O2', ...sizes(SIZES)])
    if (native.path === undefined) throw new Error(native.reason)
    const device = new ProofDevice(native.path, port, seed)
    t.after(() => device.stop())
    await device.command('stats')
    return device
  }

  /** `go` and `stop` start and end its traffic; each is answered by what it counted so far. */
  async command(text: 'go' | 'stop' | 'stats'): Promise<ProofStats> {
    const answer = await new Promise<ProofStats | undefined>((resolve) => {
      if (this.child.exitCode !== null) {
        resolve(undefined)
        return
      }
      this.answers.push(resolve)
      this.child.stdin.write(`${text}\n`)
    })
    if (answer === undefined) throw new Error('the proof device has ended')
    return answer
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    await this.ended
  }

  private receive(message: ProofState | (ProofStats & { answer: true })): void {
    if ('answer' in message) {
      this.answers.shift()?.(message)
      return
    }
    this.states.push(message)
    this.onState(message)
  }
}
