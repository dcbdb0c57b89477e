import { access, constants, readdir, readFile, readlink, realpath, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { DeviceClock } from '../device.ts'
import type { LineError, Lines, OutputLine } from '../io/lines.ts'
import { hexAddress } from './bus.ts'
import { type BusPlace, boardBus, busFolder, kernelDrivers, type Machine, wireText } from './bus-place.ts'

export interface RecoveryParts extends Machine {
  lines: Lines
  clock: DeviceClock
}

export interface Recovery {
  isFree: boolean
  /** What was done, or why nothing was, and what to do now. */
  text: string
}

/** The longest that a chip can have been in the middle of: eight bits and the acknowledgement. */
const PULSES = 9
const NODE_APPEARS_MS = 3000
const LOOK_AGAIN_MS = 20
const CONSUMER = 'clasp:i2c-recovery'

/**
 * Frees a bus on which a chip holds SDA low, because a reset came while it was sending: as many clock pulses as it takes for
 * it to let go, at most nine, then STOP. Source: UM10204 (I2C-bus specification) Rev. 7, §3.1.16.
 *
 * The pins have to become GPIO lines for it. On some controllers (BCM283x) a line that was requested does not find back to
 * its bus, and others refuse it while the bus has it: so the driver of the controller is unbound before, and bound again
 * after, which gives it its pins. That needs root; it is not done while somebody has the bus open, because unbinding waits
 * for that, nor when drivers of the kernel have chips on the bus, because they would lose them. Never rejects.
 */
export async function recoverBus(place: BusPlace, parts: RecoveryParts): Promise<Recovery> {
  const found = await findController(place, parts)
  if ('obstacle' in found) return failed(place, found.obstacle, parts)
  const { driver, device, wires } = found
  try {
    await writeFile(join(driver, 'unbind'), device)
  } catch (error) {
    return failed(place, `its controller cannot be unbound (${(error as Error).message})`, parts)
  }
  let outcome: string | undefined
  try {
    outcome = await clockOut(wires, parts)
  } catch (error) {
    outcome = `its wires cannot be had as lines: ${(error as LineError).message}`
  }
  try {
    await writeFile(join(driver, 'bind'), device)
    await nodeAppears(place.path, parts.clock)
  } catch (error) {
    const command = `echo ${device} | sudo tee ${join(driver, 'bind')}`
    const what = `the controller of the I2C bus ${place.name} did not come back (${(error as Error).message})`
    return { isFree: false, text: `${what}: type "${command}", or restart the board` }
  }
  if (outcome !== undefined) return failed(place, outcome, parts)
  return { isFree: true, text: `the I2C bus ${place.name} was stuck and is free again, after clock pulses by hand` }
}

interface Wires {
  scl: string
  sda: string
}

/** The controller of the bus, or why it is left alone. */
async function findController(
  place: BusPlace,
  parts: RecoveryParts,
): Promise<{ driver: string; device: string; wires: Wires } | { obstacle: string }> {
  const [folder, bus] = await Promise.all([busFolder(place, parts), boardBus(place, parts)])
  const pin = (wanted: string) => bus?.pins.find(([, role]) => role === wanted)?.[0]
  const [scl, sda] = [pin('SCL'), pin('SDA')]
  if (folder === undefined || scl === undefined || sda === undefined) {
    return { obstacle: 'on which pins it is, is not known' }
  }
  const device = dirname(folder)
  const driver = await realpath(join(device, 'driver')).catch(() => undefined)
  if (driver === undefined) return { obstacle: 'its controller has no driver that could be unbound' }
  if (!(await mayWrite(join(driver, 'unbind'))) || !(await mayWrite(join(driver, 'bind')))) {
    return { obstacle: 'only root may free it by clock pulses' }
  }
  const taken = await kernelDrivers(place, parts)
  if (taken.length > 0) {
    const names = taken.map((one) => `${one.driver} at ${hexAddress(one.address)}`).join(', ')
    return { obstacle: `drivers of the kernel have chips on it, which they would lose (${names})` }
  }
  const users = await processesWith(place.path)
  if (users.length > 0) return { obstacle: `it is open in ${users.join(', ')}, which has to be stopped first` }
  return { driver, device: basename(device), wires: { scl, sda } }
}

/** Undefined: both wires are high afterwards. Else what is still wrong. Rejects with a LineError. */
async function clockOut({ scl, sda }: Wires, { lines }: RecoveryParts): Promise<string | undefined> {
  const open: OutputLine[] = []
  // High means let go: the pull-up resistors do the rest, and a chip that holds the wire can be read.
  const wire = async (line: string) => {
    const output = await lines.output({
      line,
      consumer: CONSUMER,
      activeLow: false,
      bias: 'asis',
      drive: 'open-drain',
      isOn: true,
      safe: 'release',
      maxOnMs: 0,
      onForced: () => {},
      // Reading from it rejects then.
      onLost: () => {},
    })
    open.push(output)
    return output
  }
  try {
    const data = await wire(sda)
    const clock = await wire(scl)
    // Reading waits for the level to be there, and is slow enough for every chip.
    const pull = async (output: OutputLine, isHigh: boolean) => {
      output.set(isHigh)
      return output.read()
    }
    if (!(await clock.read())) return 'a chip holds SCL low, against which clock pulses do not help'
    for (let i = 0; i < PULSES && !(await data.read()); i++) {
      await pull(clock, false)
      await pull(clock, true)
    }
    // STOP: SDA rises while SCL is high.
    await pull(clock, false)
    await pull(data, false)
    await pull(clock, true)
    return (await pull(data, true)) ? undefined : 'a chip holds SDA low even after nine clock pulses'
  } finally {
    await Promise.all(open.map((output) => output.close()))
  }
}

async function failed(place: BusPlace, why: string, machine: Machine): Promise<Recovery> {
  const wires = wireText(await boardBus(place, machine), machine.board)
  const remedy = `switch the supply of its chips off and on${wires === '' ? '' : `; ${wires}`}`
  return { isFree: false, text: `the I2C bus ${place.name} is stuck, and ${why}: ${remedy}` }
}

function mayWrite(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  )
}

/** As `node (pid 123)`; of other users' processes only root learns. */
async function processesWith(node: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
      if (target !== node) continue
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a process')
      found.push(`${name.trim()} (pid ${pid})`)
      break
    }
  }
  return found
}

async function nodeAppears(path: string, clock: DeviceClock): Promise<void> {
  const deadline = clock.now() + NODE_APPEARS_MS
  for (;;) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    )
    if (isThere) return
    if (clock.now() > deadline) throw new Error(`${path} is not there`)
    await new Promise<void>((resolve) => {
      clock.timer(LOOK_AGAIN_MS, resolve)
    })
  }
}
