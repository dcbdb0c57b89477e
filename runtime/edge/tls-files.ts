import { readFile } from 'node:fs/promises'
import { ConfigError } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import type { TlsFiles } from '../transports/port.ts'

/** Certificate and key of the router's own port. Rejects with a ConfigError when one cannot be read. */
export async function readTlsFiles(tls: Config['listen']['tls']): Promise<TlsFiles | undefined> {
  if (tls === undefined) return undefined
  const read = async (key: 'cert' | 'key') => {
    try {
      return await readFile(tls[key])
    } catch (error) {
      const message = `listen.tls.${key}: ${tls[key]} cannot be read (${(error as NodeJS.ErrnoException).code})`
      throw new ConfigError('configuration', [{ line: 0, column: 0, message, remedy: 'name a readable PEM file' }])
    }
  }
  return { cert: await read('cert'), key: await read('key'), passphrase: tls.passphrase }
}
