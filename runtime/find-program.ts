import { access, constants, realpath } from 'node:fs/promises'
import { join } from 'node:path'

const PLACES = ['/usr/lib/clasp-edge', '/usr/local/lib/clasp-edge']

export type Program = 'clasp-dmx' | 'clasp-i2c' | 'clasp-input' | 'clasp-io' | 'simulated-node'

/** A program that comes with the runtime, beside the bundle or where packages put it; null: it is not there. */
export async function findProgram(folder: string, name: Program): Promise<string | null> {
  const own = await realpath(folder).catch(() => folder)
  for (const place of [own, ...PLACES]) {
    const path = join(place, name)
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  return null
}
