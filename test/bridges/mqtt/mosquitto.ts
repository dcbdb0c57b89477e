import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freePort } from '../free-port.ts'
import { ForeignProgram } from './foreign-program.ts'

/** The broker mosquitto on a free port of the loopback interface; `lines` are more of its configuration. */
export class Mosquitto {
  readonly port: number
  readonly host = '127.0.0.1'
  private readonly t: TestContext
  private readonly config: string
  private program: ForeignProgram | null = null

  private constructor(t: TestContext, port: number, config: string) {
    this.t = t
    this.port = port
    this.config = config
  }

  static async start(
    t: TestContext,
    lines: (folder: string) => string = () => 'allow_anonymous true',
  ): Promise<Mosquitto> {
    const folder = mkdtempSync(join(tmpdir(), 'mosquitto-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const port = await freePort()
    const config = join(folder, 'mosquitto.conf')
    writeFileSync(config, `listener ${port} 127.0.0.1\n${lines(folder)}\n`)
    const broker = new Mosquitto(t, port, config)
    await broker.run()
    return broker
  }

  async run(): Promise<void> {
    this.program = ForeignProgram.start(this.t, 'mosquitto', ['-c', this.config])
    for (let tries = 0; !(await answers(this.port)); tries++) {
      if (tries > 1000) throw new Error(`mosquitto does not listen: ${this.log}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  async stop(): Promise<void> {
    this.program?.child.kill('SIGTERM')
    await this.program?.ended()
  }

  get log(): string {
    return this.program?.errors ?? ''
  }

  publish(...args: string[]): Promise<string> {
    return ForeignProgram.run(this.t, 'mosquitto_pub', ['-h', this.host, '-p', String(this.port), ...args])
  }

  async subscribe(...args: string[]): Promise<ForeignProgram> {
    const usual = ['-oL', 'mosquitto_sub', '-h', this.host, '-p', String(this.port), '-d']
    const program = ForeignProgram.start(this.t, 'stdbuf', [...usual, ...args])
    await program.says('Subscribed')
    return program
  }
}

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
