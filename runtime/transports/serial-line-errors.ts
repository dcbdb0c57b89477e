import { readdir, readFile, realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'

/** Counted by the driver since the port was found. */
export interface LineErrors {
  /** Usually a wrong baud rate, or a ground that is missing. */
  framing: number
  /** Bytes lost because nobody took them in time. */
  overrun: number
  parity: number
}

/**
 * The errors of a UART, from /proc/tty/driver, which only root may read. Undefined for USB adapters, whose drivers do
 * not list them. `root` is where /proc and /dev are. Never rejects.
 */
export async function readLineErrors(path: string, root = '/'): Promise<LineErrors | undefined> {
  try {
    const [, kind, number] = /^(tty[A-Za-z]+)(\d+)$/.exec(basename(await realpath(join(root, path)))) ?? []
    const folder = join(root, 'proc/tty/driver')
    // The driver of ttyS is called serial, the others are called by their devices.
    const driver = (await readdir(folder)).find((name) => name === (kind === 'ttyS' ? 'serial' : kind))
    if (driver === undefined) return undefined
    return lineErrorsOf(await readFile(join(folder, driver), 'latin1'), number)
  } catch {
    return undefined
  }
}

/** Lines like `0: uart:16550A port:000003F8 irq:4 tx:218 rx:7 fe:2 oe:1 RTS|DTR`: counts of 0 are left out. */
function lineErrorsOf(table: string, number: string): LineErrors | undefined {
  const line = table.split('\n').find((text) => text.startsWith(`${number}: uart:`))
  if (line === undefined || line.includes('uart:unknown')) return undefined
  const count = (key: string) => Number(new RegExp(` ${key}:(\\d+)`).exec(line)?.[1] ?? 0)
  return { framing: count('fe'), overrun: count('oe'), parity: count('pe') }
}
