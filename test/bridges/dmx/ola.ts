import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { until } from '../../until.ts'
import { freePort } from '../free-port.ts'

/** A port of a device that OLA has found. */
export interface OlaPort {
  readonly device: string
  readonly id: string
  readonly is_output: boolean
}

/** Each has a file; one that is missing is enabled. */
const PLUGINS =
  'artnet dmx4linux dummy e131 espnet ftdidmx gpio karate kinet milinst nanoleaf opendmx openpixelcontrol osc pathport renard sandnet shownet spi stageprofi uartdmx usbdmx'
/** `nobody`: OLA refuses to run as root. */
const NOBODY = 65_534

/** Why tests with OLA are skipped; false: it is installed. */
export function olaMissing(): string | false {
  return spawnSync('which', ['olad']).status !== 0 && 'NOT TESTED: no olad (apt install ola)'
}

/** The daemon of the Open Lighting Architecture with one serial port for its widgets, spoken to by its web pages' own API. */
export class Ola {
  private readonly base: string
  private log = ''

  private constructor(child: ChildProcess, port: number) {
    this.base = `http://127.0.0.1:${port}`
    child.stderr?.on('data', (chunk) => {
      this.log += chunk
    })
  }

  /** `widget`: path of the serial port, whose name begins with ttyUSB. `folder`: for its settings. */
  static async start(t: TestContext, widget: string, folder: string): Promise<Ola> {
    const config = join(folder, 'ola')
    mkdirSync(config)
    for (const name of PLUGINS.split(' ')) writeFileSync(join(config, `ola-${name}.conf`), 'enabled = false\n')
    const devices = `device_dir = ${folder}\ndevice_prefix = ttyUSB\n`
    writeFileSync(join(config, 'ola-usbserial.conf'), `enabled = true\n${devices}`)
    const isRoot = process.getuid?.() === 0
    if (isRoot) for (const path of [folder, config, realpathSync(widget)]) chownSync(path, NOBODY, NOBODY)
    const [web, rpc] = [await freePort(), await freePort()]
    const ports = ['--http-port', `${web}`, '--rpc-port', `${rpc}`, '--interface', '127.0.0.1']
    const args = ['--config-dir', config, ...ports, '--no-register-with-dns-sd', '--log-level', '3']
    const child = spawn('olad', args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(isRoot && { uid: NOBODY, gid: NOBODY }),
    })
    t.after(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      // It takes the lock of its port with it.
      child.kill('SIGTERM')
      await gone
    })
    const ola = new Ola(child, web)
    await until(() => ola.log.includes('HTTP Server started') || child.exitCode !== null, 'web server of OLA')
    return ola
  }

  /** Those of the widget, once OLA has accepted it. */
  async widgetPorts(): Promise<OlaPort[]> {
    await until(() => /Started Serial USB/.test(this.log), `start of the plugin; OLA says ${this.log}`)
    for (;;) {
      const ports = (await (await this.get('json/get_ports')).json()) as OlaPort[]
      if (ports.length > 0) return ports
      if (this.log.includes('no more detectors')) throw new Error(`OLA refuses the widget: ${this.log}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async patch(universe: number, port: OlaPort): Promise<void> {
    await this.post('new_universe', { id: `${universe}`, name: `universe ${universe}`, add_ports: port.id })
  }

  async setDmx(universe: number, levels: readonly number[]): Promise<void> {
    await this.post('set_dmx', { u: `${universe}`, d: levels.join(',') })
  }

  async dmx(universe: number): Promise<number[]> {
    return ((await (await this.get(`get_dmx?u=${universe}`)).json()) as { dmx: number[] }).dmx
  }

  private get(path: string): Promise<Response> {
    return fetch(`${this.base}/${path}`)
  }

  private async post(path: string, fields: Record<string, string>): Promise<void> {
    const answer = await fetch(`${this.base}/${path}`, { method: 'POST', body: new URLSearchParams(fields) })
    if (!answer.ok) throw new Error(`OLA refuses ${path}: ${answer.status}`)
    await answer.text()
  }
}
