import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BridgeContext } from '../bridge.ts'

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
  private readonly onProblem: (message: string) => void
  private kept: string
  private saving: Promise<void> | null = null

  private constructor(settings: RemoteSettings, path: string | undefined, onProblem: (message: string) => void) {
    this.settings = settings
    this.path = path
    this.onProblem = onProblem
    this.kept = JSON.stringify(settings)
  }

  static async load({ folder, id, problem }: Pick<BridgeContext, 'folder' | 'id' | 'problem'>): Promise<RemoteStore> {
    const onProblem = (message: string) => problem('remote_settings', message)
    if (folder === undefined) return new RemoteStore({ ports: {} }, undefined, onProblem)
    const path = join(folder, `artnet-${id}.json`)
    return new RemoteStore(await read(path, onProblem), path, onProblem)
  }

  /** The settings may have changed. */
  save(): void {
    this.saving ??= this.write().finally(() => {
      this.saving = null
    })
  }

  async saved(): Promise<void> {
    await this.saving
  }

  private async write(): Promise<void> {
    const { path } = this
    while (path !== undefined && JSON.stringify(this.settings) !== this.kept) {
      this.kept = JSON.stringify(this.settings)
      try {
        await mkdir(join(path, '..'), { recursive: true })
        await writeFile(`${path}.new`, this.kept)
        await rename(`${path}.new`, path)
      } catch (error) {
        this.onProblem(`remote settings cannot be kept in ${path}: ${(error as Error).message}`)
      }
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
