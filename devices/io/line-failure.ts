import { access } from 'node:fs/promises'
import { constants } from 'node:os'
import { deviceAccess, groupRemedy } from '../../boards/device-access.ts'
import { LineError, type LineInfo } from './lines.ts'

const { EACCES, EBUSY, EINVAL, ENODEV, ENOENT, ENXIO, EPERM, EOPNOTSUPP } = constants.errno
/** The kernel's own, which has no name outside of it. */
const ENOTSUPP = 524
const USUAL_GROUP = 'gpio'
/** Of kernels before the device files of chips. */
const OLD_FOLDER = '/sys/class/gpio'
const RULES_FILE = '/etc/udev/rules.d/70-clasp-edge.rules'

/** What the number that the kernel gave means for a line, and what to do. Without a place: for all lines. Never rejects. */
export async function explainOpenFailure(
  line: string,
  place: Pick<LineInfo, 'chip' | 'offset' | 'consumer'> | undefined,
  errno: number,
): Promise<LineError> {
  if (place === undefined && (errno === ENOENT || errno === 0)) {
    const message =
      'this machine has no GPIO chip (/dev/gpiochip*): set simulate: true for the device, or check the board'
    return new LineError('missing', message)
  }
  const isGuard = place !== undefined && place.offset < 0
  const path = place === undefined ? '/dev/gpiochip0' : isGuard ? place.chip : await pathOf(place.chip)
  switch (errno) {
    case EACCES:
    case EPERM:
      if (isGuard) {
        const remedy = 'give it to the user of this process, or to a group of that user, by a udev rule'
        return new LineError('denied', `not allowed to write ${path}: ${remedy}`)
      }
      return new LineError('denied', await explainDenied(path))
    case EBUSY: {
      if (isGuard) {
        const remedy = 'stop that one, or wait until it has made it safe'
        return new LineError('busy', `another clasp-edge looks after ${path}: ${remedy}`)
      }
      const who = place?.consumer || 'another program'
      return new LineError('busy', `${line} is in use by ${who}: stop it, or take another line`)
    }
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return new LineError('missing', `${line}: there is no ${path} at present: is it plugged in and enabled?`)
    case EINVAL:
    case EOPNOTSUPP:
    case ENOTSUPP:
      return new LineError('unsupported', `${path} cannot do what is set for ${line}: try bias: asis, drive: push-pull`)
  }
  return new LineError('failed', `${line} of ${path} cannot be opened (error ${errno}): see dmesg`)
}

/** Old kernels have no device file for a chip, just its folder. */
async function pathOf(chip: string): Promise<string> {
  const isThere = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    )
  const [node, folder] = [`/dev/${chip}`, `${OLD_FOLDER}/${chip}`]
  return !(await isThere(node)) && (await isThere(folder)) ? folder : node
}

/** Who may use the chip, and the two ways to let this user. `root` is where /etc is. */
export async function explainDenied(path: string, options: { root?: string; user?: string } = {}): Promise<string> {
  const found = await deviceAccess(path, options)
  const change = path.startsWith(OLD_FOLDER)
    ? `PROGRAM="/bin/sh -c 'chgrp -R ${USUAL_GROUP} ${OLD_FOLDER} && chmod -R g+w ${OLD_FOLDER}'"`
    : `KERNEL=="gpiochip*", GROUP="${USUAL_GROUP}", MODE="0660"`
  const rule = `put this line into ${RULES_FILE} and start the board again: SUBSYSTEM=="gpio", ${change}`
  if (!found.isGroupEnough) return `not allowed to open ${path}: ${rule}`
  return `not allowed to open ${path}, which belongs to the group ${found.group}: ${groupRemedy(found, rule)}`
}
