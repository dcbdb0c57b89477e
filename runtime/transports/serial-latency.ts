import { realpath, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

/** FTDI adapters hold back what they received for 16 ms unless told otherwise. */
const LATENCY_TIMER_MS = 1

/**
 * Lets a USB adapter hand over what it received within 1 ms. Returns whether it could be set: only some adapters have
 * the timer, and only root may write it. `root` is where /sys and /dev are. Never rejects.
 */
export async function setLowLatency(path: string, root = '/'): Promise<boolean> {
  try {
    const name = basename(await realpath(join(root, path)))
    const timer = join(root, 'sys/bus/usb-serial/devices', name, 'latency_timer')
    // Not created where it is missing.
    await writeFile(timer, `${LATENCY_TIMER_MS}`, { flag: 'r+' })
    return true
  } catch {
    return false
  }
}
