import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Timer } from '../../router/clock.ts'
import type { BridgeContext } from '../bridge.ts'

/** Memory cards bear so many writes only, and anybody on the network can ask for them. */
const WRITE_PAUSE_MS = 1000

/** What consoles have set at one port; what is missing is as configured. */
export interface RemotePort {
  portAddress?: number
  isDisabled?: boolean
  merge?: 'htp' | 'ltp'
  onLoss?: RemoteLook
  /** Base64 of 512 levels. */
  recorded?: string
}

export type RemoteLook = 'hold' | 'zero' | 'full' | 'recorded'

export interface RemoteSettings {
  shortName?: string
  longName?: string
  /** By direction and configured universe: `output/5`. */
  ports: Record<string, RemotePort>
}

const LOOKS: readonly string[] = ['hold', 'zero', 'full', 'recorded']

/** Remote settings in a file, so that a restart keeps them, as Art-Net wants it. Without a folder they end with the bridge. */
export class RemoteStore {
  readonly settings: RemoteSettings
  private readonly path: string | undefined
  private readonly clock: Clock
  private readonly onProblem: (message: string) => void
  private kept: string
  private writtenAt = Number.NEGATIVE_INFINITY
  private pause: Timer | null = null
  private work: Promise<void> = Promise.resolve()

  private constructor(
    settings: RemoteSettings,
    path: string | undefined,
    clock: Clock,
    onProblem: (message: string) => void,
  ) {
    this.settings = settings
    this.path = path
    this.clock = clock
    this.onProblem = onProblem
    this.kept = JSON.stringify(settings)
  }

  static async load({
    folder,
    id,
    problem,
    clock,
  }: Pick<BridgeContext, 'folder' | 'id' | 'problem' | 'clock'>): Promise<RemoteStore> {
    const onProblem = (message: string) => problem('remote_settings', message)
    if (folder === undefined) return new RemoteStore({ ports: {} }, undefined, clock, onProblem)
    const path = join(folder, `artnet-${id}.json`)
    return new RemoteStore(await read(path, onProblem), path, clock, onProblem)
  }

  /** The settings may have changed. */
  save(): void {
    if (this.pause !== null) return
    const left = this.writtenAt + WRITE_PAUSE_MS - this.clock.now()
    if (left > 0) this.pause = this.clock.timer(left, () => this.write())
    else this.write()
  }

  /** Resolves when all is kept. */
  saved(): Promise<void> {
    this.write()
    return this.work
  }

  private write(): void {
    this.pause?.cancel()
    this.pause = null
    this.writtenAt = this.clock.now()
    this.work = this.work.then(() => this.keep())
  }

  private async keep(): Promise<void> {
    const { path } = this
    const text = JSON.stringify(this.settings)
    if (path === undefined || text === this.kept) return
    try {
      await mkdir(join(path, '..'), { recursive: true })
      await writeFile(`${path}.new`, text)
      await rename(`${path}.new`, path)
      this.kept = text
    } catch (error) {
      this.onProblem(`remote settings cannot be kept in ${path}: ${(error as Error).message}`)
    }
  }
}

async function read(path: string, onProblem: (message: string) => void): Promise<RemoteSettings> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    // Nobody has set anything yet.
    return { ports: {} }
  }
  try {
    return settingsOf(JSON.parse(text))
  } catch {
    onProblem(`${path} is damaged: the bridge begins with its configuration`)
    return { ports: {} }
  }
}

/** Of what was read, only what is as it should be. */
function settingsOf(read: Readonly<Record<string, unknown>>): RemoteSettings {
  const settings: RemoteSettings = { ports: {} }
  if (isText(read.shortName, 17)) settings.shortName = read.shortName
  if (isText(read.longName, 63)) settings.longName = read.longName
  for (const [key, value] of Object.entries(read.ports ?? {})) settings.ports[key] = portOf(value)
  return settings
}

function portOf({ portAddress, isDisabled, merge, onLoss, recorded }: Readonly<Record<string, unknown>>): RemotePort {
  const port: RemotePort = {}
  if (Number.isInteger(portAddress) && Number(portAddress) >= 0 && Number(portAddress) < 0x8000) {
    port.portAddress = Number(portAddress)
  }
  if (isDisabled === true) port.isDisabled = true
  if (merge === 'htp' || merge === 'ltp') port.merge = merge
  if (LOOKS.includes(String(onLoss))) port.onLoss = onLoss as RemoteLook
  if (isText(recorded, 1000)) port.recorded = recorded
  return port
}

function isText(value: unknown, most: number): value is string {
  return typeof value === 'string' && value.length <= most
}
