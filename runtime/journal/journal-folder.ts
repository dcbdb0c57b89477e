import { statSync } from 'node:fs'

const USUAL = '/var/lib/clasp-edge'

/**
 * Where the database goes when the configuration names no folder: where systemd says (`StateDirectory=`), else the
 * system's place if somebody has made it. undefined = nowhere.
 */
export function usualJournalFolder(environment: NodeJS.ProcessEnv, usual = USUAL): string | undefined {
  const [first] = (environment.STATE_DIRECTORY ?? '').split(':')
  if (first !== '') return first
  return statSync(usual, { throwIfNoEntry: false })?.isDirectory() ? usual : undefined
}
