import { readFile } from 'node:fs/promises'
import type { LeafOptions } from './leaf-options.ts'

/** The token for HELLO, undefined where none is configured, or why it cannot be read, in words for the operator. */
export async function readToken({ token, tokenFile }: LeafOptions): Promise<string | undefined | { problem: string }> {
  if (tokenFile === undefined) return token
  try {
    return (await readFile(tokenFile, 'utf8')).trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return { problem: `hub.tokenFile: ${tokenFile} cannot be read (${code}): name a readable file` }
  }
}
