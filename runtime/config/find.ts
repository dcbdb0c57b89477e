import { access } from 'node:fs/promises'
import { DEFAULT_CONFIG_FILE, loadConfig } from './load.ts'
import { type Config, defaultConfig } from './schema.ts'

export interface FoundConfig {
  config: Config
  /** Undefined: there is none, the defaults count. */
  file: string | undefined
}

/**
 * The configuration of this machine: that of `file` when one is named, else of the usual place if there is one, else
 * the defaults. Throws a ConfigError.
 */
export async function findConfig(file: string | undefined, usualPlace = DEFAULT_CONFIG_FILE): Promise<FoundConfig> {
  if (file !== undefined) return { config: await loadConfig(file), file }
  const isThere = await access(usualPlace).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT' && error.code !== 'ENOTDIR',
  )
  return isThere
    ? { config: await loadConfig(usualPlace), file: usualPlace }
    : { config: structuredClone(defaultConfig), file: undefined }
}
