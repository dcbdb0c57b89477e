import { createHmac, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const MACHINE_ID_FILES = ['etc/machine-id', 'var/lib/dbus/machine-id']

/**
 * A UUID for the router on this port of this machine. It is made from the machine id and so survives restarts, renames
 * and changes of address; without a machine id it is random. The machine id itself stays private (machine-id(5)).
 * `root` stands for `/`. Never rejects.
 */
export async function routerId(port: number, root = '/'): Promise<string> {
  for (const path of MACHINE_ID_FILES) {
    const machineId = (await readFile(join(root, path), 'utf8').catch(() => '')).trim()
    if (!/^[0-9a-f]{32}$/i.test(machineId)) continue
    const bytes = createHmac('sha256', machineId).update(`clasp-edge ${port}`).digest().subarray(0, 16)
    // RFC 9562 §5.8: version 8, for hashes of one's own choice.
    bytes[6] = (bytes[6] & 0x0f) | 0x80
    bytes[8] = (bytes[8] & 0x3f) | 0x80
    const hex = bytes.toString('hex')
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  }
  return randomUUID()
}
