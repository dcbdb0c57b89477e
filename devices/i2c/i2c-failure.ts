import { access } from 'node:fs/promises'
import { constants } from 'node:os'
import { deviceAccess, groupRemedy } from '../../boards/device-access.ts'
import { I2cError } from './bus.ts'
import {
  type BusPlace,
  boardBus,
  busFolder,
  busNumbers,
  chipText,
  kernelDrivers,
  type Machine,
  wireText,
} from './bus-place.ts'

const { EACCES, EADDRINUSE, EAGAIN, EBUSY, ECANCELED, EIO, EMSGSIZE, ENODEV, ENOENT, ENOTTY, ENXIO, EOPNOTSUPP } =
  constants.errno
const { EPERM, ETIMEDOUT } = constants.errno
/** Linux only, which has no name for it in Node.js. */
const EREMOTEIO = 121
const USUAL_GROUP = 'i2c'
const RULES_FILE = '/etc/udev/rules.d/70-clasp-edge.rules'

/** What the number that the kernel gave for a bus means, and what to do. Never rejects. */
export async function explainOpenFailure(place: BusPlace, errno: number, machine: Machine): Promise<I2cError> {
  const { name, path } = place
  switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return new I2cError('missing', await explainMissing(place, machine))
    case EACCES:
    case EPERM:
      return new I2cError('denied', await explainDenied(path))
    case ENOTTY:
      return new I2cError('missing', `${path} is no I2C bus: "ls /dev/i2c-*" shows those that there are`)
  }
  return new I2cError('failed', `the I2C bus ${name} (${path}) cannot be opened (error ${errno}): see dmesg`)
}

async function explainMissing(place: BusPlace, machine: Machine): Promise<string> {
  const what = `there is no I2C bus ${place.name} (${place.path})`
  if ((await busFolder(place, machine)) !== undefined) {
    return `${what}, though the kernel has it: run "sudo modprobe i2c-dev", and for every start "echo i2c-dev | sudo tee /etc/modules-load.d/i2c-dev.conf"`
  }
  const bus = await boardBus(place, machine)
  const lines = bus?.enable.map(({ file, line }) => `${line} in ${file}`).join(' or ') ?? ''
  if (lines !== '') return `${what}: set ${lines} and start the board again; clasp-edge doctor checks it`
  const others = (await busNumbers(machine)).join(', ')
  return others === ''
    ? `${what} and no other: switch it on (clasp-edge board shows how), or plug its adapter in; "ls /dev/i2c-*" shows those that there are`
    : `${what}: there is ${others}; set bus: to one of them`
}

/** Who may use the bus, and the two ways to let this user. `root` is where /etc is. */
export async function explainDenied(path: string, options: { root?: string; user?: string } = {}): Promise<string> {
  const access = await deviceAccess(path, options)
  const rule = `put this line into ${RULES_FILE} and start the board again: SUBSYSTEM=="i2c-dev", GROUP="${USUAL_GROUP}", MODE="0660"`
  if (!access.isGroupEnough) return `not allowed to open ${path}: ${rule}`
  return `not allowed to open ${path}, which belongs to the group ${access.group}: ${groupRemedy(access, rule)}`
}

/** What the number that the kernel gave for a transaction means. Never rejects. */
export async function explainTransferFailure(
  place: BusPlace,
  address: number,
  errno: number,
  machine: Machine,
): Promise<I2cError> {
  const chip = chipText(address, place)
  switch (errno) {
    case ENODEV:
      if (!(await isThere(place.path)))
        return new I2cError('lost', `the I2C bus ${place.name} has gone: plug it in again`)
      return absent(chip, place)
    case ENXIO:
    case EREMOTEIO:
      return absent(chip, place)
    case EADDRINUSE:
      return new I2cError('taken', await explainTaken(place, address, machine))
    case ETIMEDOUT:
    case EBUSY:
      return explainStuck(place, machine)
    case EOPNOTSUPP:
    case EMSGSIZE: {
      const why = `the I2C bus ${place.name} cannot do such a transaction with ${chip}`
      return new I2cError('unsupported', `${why}: its adapter only speaks SMBus, use another one`)
    }
    case EAGAIN:
      return new I2cError('failed', `no turn on the I2C bus ${place.name}: does another controller talk on it?`)
    case ECANCELED:
      return new I2cError('failed', `${chip} was made safe while the router did not answer: write again`)
  }
  const what = errno === EIO ? 'was disturbed' : `failed (error ${errno})`
  return new I2cError('failed', `a transaction with ${chip} ${what}: check wires and pull-up resistors, see dmesg`)
}

function absent(chip: string, { name }: BusPlace): I2cError {
  return new I2cError(
    'absent',
    `no chip answers at ${chip}: check its wires; "clasp-edge i2c scan ${name}" finds chips`,
  )
}

async function explainTaken(place: BusPlace, address: number, machine: Machine): Promise<string> {
  const driver = (await kernelDrivers(place, machine)).find((one) => one.address === address)?.driver
  const chip = chipText(address, place)
  if (driver === undefined) return `a driver of the kernel has the chip at ${chip}: read it by kind: hwmon or iio`
  const own = `${place.number}-${address.toString(16).padStart(4, '0')}`
  return (
    `the driver ${driver} of the kernel has the chip at ${chip}: read it by kind: hwmon or iio, ` +
    `or take it away with "echo ${own} | sudo tee /sys/bus/i2c/drivers/${driver}/unbind"`
  )
}

/** A chip holds SCL or SDA low. */
export async function explainStuck(place: BusPlace, machine: Machine): Promise<I2cError> {
  const bus = await boardBus(place, machine)
  const wires = wireText(bus, machine.board)
  const recover = bus === undefined ? '' : `, or run "sudo clasp-edge i2c recover ${place.name}"`
  return new I2cError(
    'stuck',
    `the I2C bus ${place.name} is stuck, a chip or a wire holds it low: switch the supply of its chips off and on` +
      `${recover}${wires === '' ? '' : `; ${wires}`}`,
  )
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
