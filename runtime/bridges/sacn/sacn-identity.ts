import { randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/

/**
 * The CID of a bridge, the same after every restart. Without a folder, or when it cannot be written to (`onProblem`), it
 * is a new one each time. Source: E1.31 §5.6.
 */
export async function loadCid(
  folder: string | undefined,
  id: string,
  onProblem: (message: string) => void,
): Promise<string> {
  if (folder === undefined) return randomUUID()
  const path = join(folder, `sacn-${id}.cid`)
  try {
    const known = (await readFile(path, 'utf8')).trim()
    if (UUID.test(known)) return known
  } catch {
    // It is the first start.
  }
  const fresh = randomUUID()
  try {
    await mkdir(folder, { recursive: true })
    await writeFile(path, `${fresh}\n`)
  } catch (error) {
    onProblem(`the identity cannot be kept in ${path}: ${(error as Error).message}; set cid`)
  }
  return fresh
}
