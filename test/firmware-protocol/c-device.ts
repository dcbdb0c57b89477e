import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { compile, LIBRARY, sizes } from '../../.scripts/native.mjs'

/** With sanitizers: what would be wrong silently ends the program instead. */
const FLAGS = ['-O1', '-g', '-D_POSIX_C_SOURCE=200809L', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']

/** The C library as it is configured for a test: macros without their prefix CLASP_LINK_. */
export type Macros = Record<string, number>

/** One signal of the device, as `clasp_signal` has it. */
export interface CSignal {
  address: string
  type: number
  flags: number
  range?: readonly [number, number]
  unit?: string
  safe?: number
}

export interface CDeviceOptions {
  macros?: Macros
  signals: readonly CSignal[]
  /** 0 serial (default), 1 datagrams, 2 packets. */
  form?: number
  name?: string
  uid?: string
  nonce?: number
  baud?: number
  maxBaud?: number
  isSleepy?: boolean
  key?: string
  firmware?: string
}

/** Flags of a signal in clasp_link.h. */
export const Flag = {
  event: 1,
  stream: 2,
  gesture: 3,
  out: 0x08,
  in: 0x10,
  range: 0x20,
  safe: 0x40,
  lossy: 0x80,
} as const

/** A device of the C library that stands still unless it is told to run; the program is link_vectors.c. */
export class CDevice {
  private readonly child: ReturnType<typeof start>
  private readonly waiting: ((lines: string[]) => void)[] = []
  private lines: string[] = []
  private readonly ended: Promise<void>
  private errors = ''

  private constructor(program: string) {
    this.child = start(program)
    this.child.stdin.on('error', () => {})
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString()
    })
    createInterface(this.child.stdout).on('line', (line) => {
      if (line !== '.') this.lines.push(line)
      else {
        const { lines } = this
        this.lines = []
        this.waiting.shift()?.(lines)
      }
    })
    this.ended = new Promise((resolve) => {
      this.child.on('close', () => {
        for (const settle of this.waiting.splice(0)) settle(['ended'])
        resolve()
      })
    })
  }

  /** Undefined when there is no C compiler: the test says that it is skipped. The device goes with the test. */
  static async open(options: CDeviceOptions, t: TestContext): Promise<CDevice | undefined> {
    const program = compiled(options.macros ?? {})
    if (program === undefined) {
      t.skip('the C library is not tested: apt install gcc libc6-dev')
      return undefined
    }
    const device = new CDevice(program)
    t.after(() => device.close())
    for (const { address, type, flags, range, unit, safe } of options.signals) {
      const [least, most] = range ?? [0, 0]
      await device.command(`signal ${address} ${type} ${flags} ${least} ${most} ${unit || '-'} ${safe ?? 0}`)
    }
    const { form, name, uid, nonce, baud, maxBaud, isSleepy, key, firmware } = options
    const words = [form ?? 0, name ?? 'node1', uid ?? 'a1b2c3d4e5f60718', nonce ?? 0x5eed0001, baud ?? 115_200]
    const more = [maxBaud ?? 0, isSleepy ? 1 : 0, key ?? '-', firmware ?? '-']
    const refused = await device.command(`init ${[...words, ...more].join(' ')}`)
    if (refused.length > 0) throw new Error(`the device does not start: ${refused}`)
    return device
  }

  /** What happened because of it, a line each. Many may be under way at once: answers come in order. */
  async command(text: string): Promise<string[]> {
    const answer = new Promise<string[]>((resolve) => {
      if (this.child.exitCode === null && this.child.signalCode === null) this.waiting.push(resolve)
      else resolve(['ended'])
    })
    this.child.stdin.write(`${text}\n`)
    const lines = await answer
    if (lines[0] === 'ended') throw new Error(`the device ended at "${text.slice(0, 200)}": ${this.errors}`)
    return lines
  }

  async close(): Promise<void> {
    this.child.stdin.end()
    await this.ended
  }
}

function start(program: string) {
  return spawn(program, { stdio: ['pipe', 'pipe', 'pipe'] })
}

/** Path of the program, with the library configured so; undefined without a C compiler. */
function compiled(macros: Macros): string | undefined {
  const name = Object.entries(macros).map(([macro, value]) => `-${macro}${value}`)
  const sources = ['firmware-protocol/c/test/link_vectors.c', `${LIBRARY}/clasp_link.c`]
  return compile(`link-vectors/device${name.join('')}`, sources, [...FLAGS, ...sizes(macros)]).path
}
