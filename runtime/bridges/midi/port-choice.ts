import { basename } from 'node:path'
import type { PortOptions } from './midi-kind.ts'

/** In front of the name of a port of our own. */
export const VIRTUAL = 'virtual:'

/** How the text `port` of the configuration is meant. */
export function placeOf({ port }: Pick<PortOptions, 'port'>): 'serial' | 'virtual' | 'alsa' {
  if (port.startsWith('/') || port.startsWith('usb:')) return 'serial'
  return port.startsWith(VIRTUAL) ? 'virtual' : 'alsa'
}

/** The name of a port as a level of addresses; `taken`: those that others have. Source: bridges.md §4.4. */
export function levelOf(portName: string, taken: ReadonlySet<string>): string {
  const plain = (portName.startsWith('/') ? basename(portName) : portName)
    .toLowerCase()
    .replace(/ +/g, '_')
    .replace(/[^a-z0-9_-]/g, '')
  const level = plain === '' ? 'port' : plain
  if (!taken.has(level)) return level
  for (let number = 2; ; number++) if (!taken.has(`${level}_${number}`)) return `${level}_${number}`
}
