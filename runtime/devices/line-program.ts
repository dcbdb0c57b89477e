import { access, constants, realpath } from 'node:fs/promises'
import { join } from 'node:path'

const NAME = 'clasp-io'
const PLACES = ['/usr/lib/clasp-edge', '/usr/local/lib/clasp-edge']

/** The program that holds GPIO lines, beside the bundle or where packages put it; null: it is not installed. */
export async function findLineProgram(folder: string): Promise<string | null> {
  const own = await realpath(folder).catch(() => folder)
  for (const place of [own, ...PLACES]) {
    const path = join(place, NAME)
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  return null
}
