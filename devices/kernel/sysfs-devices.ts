import { readdir, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { readOptional } from './sysfs-file.ts'

/** A device as the kernel shows it, and what it can be called by: the most telling name first. */
export interface SysfsDevice {
  readonly folder: string
  readonly names: readonly string[]
}

/** The devices of a class that are called PREFIX and a number, in that order. None where the class is missing. */
export async function listDevices(root: string, prefix: string): Promise<SysfsDevice[]> {
  const entries = await readdir(root).catch(() => [])
  const numbered = entries
    .filter((entry) => entry.startsWith(prefix) && /^\d+$/.test(entry.slice(prefix.length)))
    .sort((a, b) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)))
  return Promise.all(numbered.map((entry) => describe(join(root, entry), prefix)))
}

/**
 * The one device of that name. Throws what there is instead; `what` is the kind of device, `remedy` what to do where
 * there is none at all.
 */
export function pickDevice(devices: readonly SysfsDevice[], wanted: string, what: string, remedy: string): SysfsDevice {
  const found = devices.filter(({ names }) => names.includes(wanted))
  if (found.length === 1) return found[0]
  if (found.length > 1) {
    throw new Error(`${found.length} ${what}s are called ${wanted}: name one of ${found.map(show).join('; ')}`)
  }
  const others = devices.length === 0 ? `this machine has none: ${remedy}` : `there are ${devices.map(show).join('; ')}`
  throw new Error(`there is no ${what} ${wanted}: ${others}`)
}

async function describe(folder: string, prefix: string): Promise<SysfsDevice> {
  const [name, label, own, parent] = await Promise.all([
    readOptional(join(folder, 'name')),
    readOptional(join(folder, 'label')),
    realpath(folder).catch(() => folder),
    realpath(join(folder, 'device')).catch(() => undefined),
  ])
  // Devices of IIO have no link to the chip behind them: they are in its folder.
  const chip = basename(parent ?? dirname(own))
  const isClass = chip === prefix
  const names = [name, label, isClass ? undefined : chip, basename(folder)].filter(
    (one) => one !== undefined && one !== '',
  )
  return { folder, names: [...new Set(names)] as string[] }
}

function show({ names }: SysfsDevice): string {
  return names.length === 1 ? names[0] : `${names[0]} (${names.slice(1).join(', ')})`
}
