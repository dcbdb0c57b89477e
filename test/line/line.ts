import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

export type End = 'a' | 'b'

/** Bits per second, 10 a byte; 0 = no limit; `follow` = what the sending end has set, garbage when the other differs. */
export type Baud = number | 'follow'

export interface LineOptions {
  /** Where the two ends appear, as symlinks. */
  a: string
  b: string
  /** Default 0. */
  baud?: Baud
  /** Decides which bytes suffer. Default 1. */
  seed?: number
}

/** Chances for each byte. */
export interface Faults {
  /** One bit turned over. */
  flip?: number
  drop?: number
  dup?: number
  /** A random byte before this one. */
  insert?: number
}

/** Counts of bytes. */
export interface WayStats {
  /** Written by the sending end. */
  carried: number
  /** Handed to the receiving end. */
  delivered: number
  /** Lost because nobody had the receiving end open. */
  unheard: number
  /** Made garbage because the ends had different baud rates. */
  garbled: number
  flipped: number
  dropped: number
  duplicated: number
  inserted: number
  /** Sent and not yet received. */
  onWire: number
}

export interface EndStats {
  /** Somebody has the port open. */
  isOpen: boolean
  /** The rate that is set; 0 = unplugged. */
  baud: number
}

export type LineStats = Record<'a->b' | 'b->a', WayStats> & Record<End, EndStats>

type Answer = { ok: true } | { error: string } | LineStats

const SOURCE = 'test/line/line.c'
const FOLDER = 'dist/line'

/** Two serial ports with a cable between them that is slow and faulty at command; the program is line.c. */
export class Line {
  readonly a: string
  readonly b: string
  private readonly child: ReturnType<typeof startLine>
  private readonly waiting: ((answer: Answer | undefined) => void)[] = []
  private readonly ended: Promise<void>

  private constructor(program: string, options: LineOptions) {
    this.a = options.a
    this.b = options.b
    this.child = startLine(program, options)
    // What is written to a process that has ended gets its answer from `ended`.
    this.child.stdin.on('error', () => {})
    createInterface(this.child.stdout).on('line', (text) => this.waiting.shift()?.(JSON.parse(text)))
    this.ended = new Promise((resolve) => {
      this.child.on('close', () => {
        for (const settle of this.waiting.splice(0)) settle(undefined)
        resolve()
      })
    })
  }

  /** Both ends exist when it resolves. The line goes with the test. */
  static async open(options: LineOptions, t: TestContext): Promise<Line> {
    const line = new Line(await compiled(), options)
    t.after(() => line.close())
    await line.answer()
    return line
  }

  /** The end vanishes as a USB adapter does: who has it open gets a hang-up, and the symlink is gone. */
  async unplug(end: End): Promise<void> {
    await this.command(`unplug ${end}`)
  }

  async plug(end: End): Promise<void> {
    await this.command(`plug ${end}`)
  }

  /** For one direction, or for both. What is not named becomes 0. */
  async setFaults(way: 'a->b' | 'b->a' | 'both', faults: Faults): Promise<void> {
    const words = Object.entries(faults).map(([kind, chance]) => ` ${kind}=${chance}`)
    for (const one of way === 'both' ? ['a->b', 'b->a'] : [way]) {
      await this.command(`faults ${one}${words.join('')}`)
    }
  }

  async setBaud(baud: Baud): Promise<void> {
    await this.command(`baud ${baud}`)
  }

  async stats(): Promise<LineStats> {
    return (await this.command('stats')) as LineStats
  }

  /** Both ends vanish. */
  async close(): Promise<void> {
    this.child.stdin.end()
    await this.ended
  }

  private command(text: string): Promise<Answer> {
    const answer = this.answer()
    this.child.stdin.write(`${text}\n`)
    return answer
  }

  private async answer(): Promise<Answer> {
    const answer = await new Promise<Answer | undefined>((resolve) => {
      if (this.child.exitCode === null) this.waiting.push(resolve)
      else resolve(undefined)
    })
    if (answer === undefined) throw new Error(`the line between ${this.a} and ${this.b} has ended`)
    if ('error' in answer) throw new Error(`the line refuses: ${answer.error}`)
    return answer
  }
}

function startLine(program: string, options: LineOptions) {
  const words = ['--a', options.a, '--b', options.b, '--baud', `${options.baud ?? 0}`, '--seed', `${options.seed ?? 1}`]
  return spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] })
}

let compiling: Promise<string> | undefined

/** Path of the program, compiled for this version of its source. Tests run from the folder of the project. */
function compiled(): Promise<string> {
  // Once in a process: two compilers at one file would leave one that is still written to.
  compiling ??= compile()
  return compiling
}

async function compile(): Promise<string> {
  const hash = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 12)
  const program = `${FOLDER}/line-${hash}`
  if (existsSync(program)) return program
  mkdirSync(FOLDER, { recursive: true })
  // Several tests may compile it at once.
  const own = `${program}.${process.pid}`
  const flags = ['-std=c99', '-O2', '-Wall', '-Wextra', '-Wpedantic', '-Werror']
  try {
    await promisify(execFile)('cc', [...flags, '-o', own, SOURCE])
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new Error(isMissing ? 'these tests need a C compiler: apt install gcc libc6-dev' : String(error))
  }
  renameSync(own, program)
  return program
}
