import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { deviceAccess, groupRemedy } from '../../boards/device-access.ts'
import { SerialError } from './serial-error.ts'
import { serialPortHolder } from './serial-holder.ts'
import { listSerialPorts, type SerialPortInfo } from './serial-ports.ts'
import { missingPort } from './serial-selector.ts'

/** What a port belongs to when nothing else was arranged. Source: Debian's base-passwd and udev rules. */
const USUAL_GROUP = 'dialout'
const RULES_FILE = '/etc/udev/rules.d/70-clasp-edge.rules'

/**
 * Turns a failed open into words. The binding reports only a text, so the port is opened once more to learn the code.
 */
export async function explainOpenFailure(path: string, error: Error): Promise<SerialError> {
  switch (await openingCode(path)) {
    case 'ENOENT':
    case 'ENXIO':
    case 'ENODEV':
    case 'ELOOP':
    case 'ENOTDIR':
      return missingPort(path, await listSerialPorts())
    case 'EACCES':
    case 'EPERM':
      return explainDenied(path, await listSerialPorts())
    case 'EBUSY':
      return busyPort(path)
    case undefined:
      // It opens, so what failed is the lock or a setting.
      if (error.message.includes('Cannot lock port')) return busyPort(path)
      if (/tcgetattr|baud|termios/i.test(error.message)) {
        return new SerialError('unsupported', `${path} is not a serial port that can be set up: ${plain(error)}`)
      }
  }
  return new SerialError('failed', `cannot open ${path}: ${plain(error)}: check the cable and the path`)
}

/** Who may use the port, and the two ways to let this user. `root` is where /etc is. */
export async function explainDenied(
  path: string,
  ports: readonly SerialPortInfo[],
  options: { root?: string; user?: string } = {},
): Promise<SerialError> {
  const access = await deviceAccess(path, options)
  const { group, gid, mode = 0, isGroupEnough } = access
  const modeText = (mode & 0o777).toString(8)
  const what = `not allowed to open ${path}, which belongs to the group ${group ?? gid ?? 'unknown'} (mode ${modeText})`
  const rule = `put this line into ${RULES_FILE} and plug the device in again: ${ruleFor(path, ports)}`
  return new SerialError('denied', `${what}: ${isGroupEnough ? groupRemedy(access, rule) : rule}`)
}

async function busyPort(path: string): Promise<SerialError> {
  const holder = await serialPortHolder(path)
  return new SerialError(
    'busy',
    holder === undefined
      ? `${path} is in use by another process: "sudo fuser -v ${path}" shows which; stop it`
      : `${path} is in use by ${holder}: stop it, or set another path`,
  )
}

async function openingCode(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
    await file.close()
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

function ruleFor(path: string, ports: readonly SerialPortInfo[]): string {
  const port = ports.find((entry) => [entry.path, entry.byId, entry.byPath].includes(path))
  const match = port?.isUsb
    ? `ATTRS{idVendor}=="${port.vendorId}", ATTRS{idProduct}=="${port.productId}"`
    : `KERNEL=="${(port?.path ?? path).split('/').at(-1)}"`
  return `SUBSYSTEM=="tty", ${match}, GROUP="${USUAL_GROUP}", MODE="0660"`
}

function plain(error: Error): string {
  return error.message.replace(/^Error:? /, '')
}
