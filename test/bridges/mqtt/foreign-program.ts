import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { until } from '../../until.ts'

/** A program that the test did not write, with what it prints. */
export class ForeignProgram {
  readonly child: ChildProcess
  output = ''
  errors = ''

  private constructor(child: ChildProcess) {
    this.child = child
    child.stdout?.on('data', (chunk) => {
      this.output += chunk
    })
    child.stderr?.on('data', (chunk) => {
      this.errors += chunk
    })
  }

  static start(t: TestContext, program: string, args: readonly string[]): ForeignProgram {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    t.after(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    })
    return new ForeignProgram(child)
  }

  /** Runs it to its end; rejects with what it printed when it fails. */
  static async run(t: TestContext, program: string, args: readonly string[]): Promise<string> {
    const one = ForeignProgram.start(t, program, args)
    const [code] = await once(one.child, 'close')
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${one.errors}${one.output}`)
    return one.output
  }

  get lines(): string[] {
    return this.output.split('\n').filter((line) => line !== '')
  }

  says(text: string): Promise<void> {
    return until(
      () => this.output.includes(text) || this.errors.includes(text),
      `"${text}" from ${this.child.spawnfile}`,
    )
  }

  async ended(): Promise<number> {
    if (this.child.exitCode === null) await once(this.child, 'exit')
    return this.child.exitCode ?? -1
  }
}

/** Why tests with these programs are skipped; false: all are installed. */
export function missing(programs: readonly string[], packages: string): string | false {
  const absent = programs.filter((program) => spawnSync('which', [program]).status !== 0)
  return absent.length > 0 && `NOT TESTED: no ${absent.join(', ')} (apt install ${packages})`
}
