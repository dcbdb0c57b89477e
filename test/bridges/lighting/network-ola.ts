import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { until } from '../../until.ts'
import { freePort } from '../free-port.ts'

interface OlaPort {
  readonly id: string
  readonly is_output: boolean
}

/** All that come with it; one whose file is missing would be enabled. */
const PLUGINS =
  'artnet dmx4linux dummy e131 espnet ftdidmx gpio karate kinet milinst nanoleaf opendmx openpixelcontrol osc pathport renard sandnet shownet spi stageprofi uartdmx usbdmx usbserial'
/** `nobody`: OLA refuses to run as root. */
const NOBODY = 65_534

/** Why tests with OLA are skipped; false: it is installed. */
export function olaMissing(): string | false {
  return spawnSync('which', ['olad']).status !== 0 && 'NOT TESTED: no olad (apt install ola)'
}

/** The Open Lighting Architecture with one network protocol on loopback, spoken to by its web pages' own API. */
export class NetworkOla {
  private readonly base: string

  private constructor(webPort: number) {
    this.base = `http://127.0.0.1:${webPort}`
  }

  /** `settings`: lines of the plugin's file. */
  static async start(t: TestContext, plugin: 'artnet' | 'e131', settings: readonly string[]): Promise<NetworkOla> {
    const config = mkdtempSync(join(tmpdir(), 'ola-'))
    for (const name of PLUGINS.split(' ')) {
      const lines = name === plugin ? ['enabled = true', ...settings] : ['enabled = false']
      writeFileSync(join(config, `ola-${name}.conf`), `${lines.join('\n')}\n`, { mode: 0o666 })
    }
    const isRoot = process.getuid?.() === 0
    if (isRoot) chownSync(config, NOBODY, NOBODY)
    const [web, rpc] = [await freePort(), await freePort()]
    const ports = ['--http-port', `${web}`, '--rpc-port', `${rpc}`, '--interface', '127.0.0.1']
    const child = spawn('olad', ['--config-dir', config, ...ports, '--no-register-with-dns-sd', '--log-level', '3'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(isRoot && { uid: NOBODY, gid: NOBODY }),
    })
    let log = ''
    child.stderr.on('data', (chunk) => {
      log += chunk
    })
    t.after(async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit')
        child.kill('SIGTERM')
        await gone
      }
      rmSync(config, { recursive: true, force: true })
    })
    await until(() => /Started .*(Art|E1\.31|E131|sACN)/i.test(log) || child.exitCode !== null, 'start of the plugin')
    if (child.exitCode !== null) throw new Error(`OLA ended: ${log}`)
    return new NetworkOla(web)
  }

  /** Gives a universe to the first port that sends to the network, or hears from it. */
  async patch(universe: number, direction: 'sends' | 'hears'): Promise<void> {
    const ports = (await (await fetch(`${this.base}/json/get_ports`)).json()) as OlaPort[]
    const port = ports.find(({ is_output }) => is_output === (direction === 'sends'))
    if (port === undefined) throw new Error(`OLA has no port: ${JSON.stringify(ports)}`)
    await this.post('new_universe', { id: `${universe}`, name: `universe ${universe}`, add_ports: port.id })
  }

  async setDmx(universe: number, levels: readonly number[]): Promise<void> {
    await this.post('set_dmx', { u: `${universe}`, d: levels.join(',') })
  }

  async untilDmx(universe: number, isWanted: (levels: readonly number[]) => boolean): Promise<readonly number[]> {
    let levels: number[] = []
    for (let tries = 0; tries < 600; tries++) {
      levels = ((await (await fetch(`${this.base}/get_dmx?u=${universe}`)).json()) as { dmx: number[] }).dmx
      if (isWanted(levels)) return levels
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error(`OLA has ${levels.length} slots: ${levels.slice(0, 8)}`)
  }

  private async post(path: string, fields: Record<string, string>): Promise<void> {
    const answer = await fetch(`${this.base}/${path}`, { method: 'POST', body: new URLSearchParams(fields) })
    if (!answer.ok) throw new Error(`OLA refuses ${path}: ${answer.status}`)
    await answer.text()
  }
}
