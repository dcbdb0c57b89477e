import type { DeviceNeed } from '../device-needs.ts'
import type { CheckResult, Finding } from './finding.ts'
import type { System } from './system.ts'
import { groupId, groupName, mayUse } from './user.ts'

/** Nodes of one kind, with the group that systems usually give them to. */
interface NodeKind {
  title: string
  group: string
  /** Of a udev rule. */
  match: string
  folder: string
  pattern: RegExp
  /** Where nobody has configured something of it, no permission is only worth a hint. */
  isUsual: boolean
  /** What devices need of it. */
  need?: DeviceNeed['what']
}

const KINDS: readonly NodeKind[] = [
  {
    title: 'GPIO',
    group: 'gpio',
    match: 'SUBSYSTEM=="gpio"',
    folder: '/dev',
    pattern: /^gpiochip\d+$/,
    isUsual: true,
    need: 'gpio',
  },
  {
    title: 'I2C',
    group: 'i2c',
    match: 'SUBSYSTEM=="i2c-dev"',
    folder: '/dev',
    pattern: /^i2c-\d+$/,
    isUsual: true,
    need: 'i2c',
  },
  { title: 'SPI', group: 'spi', match: 'SUBSYSTEM=="spidev"', folder: '/dev', pattern: /^spidev/, isUsual: true },
  {
    title: 'serial ports',
    group: 'dialout',
    match: 'KERNEL=="ttyUSB[0-9]*|ttyACM[0-9]*|ttyAMA[0-9]*"',
    folder: '/dev',
    pattern: /^tty(USB|ACM|AMA)\d+$/,
    isUsual: true,
    need: 'uart',
  },
  {
    title: 'MIDI and sound',
    group: 'audio',
    match: 'SUBSYSTEM=="sound"',
    folder: '/dev/snd',
    pattern: /./,
    isUsual: false,
  },
  {
    title: 'video',
    group: 'video',
    match: 'SUBSYSTEM=="video4linux"',
    folder: '/dev',
    pattern: /^video\d+$/,
    isUsual: false,
  },
  {
    title: 'keyboards and foot switches',
    group: 'input',
    match: 'SUBSYSTEM=="input"',
    folder: '/dev/input',
    pattern: /^event/,
    isUsual: false,
    need: 'input',
  },
  {
    title: 'USB HID',
    group: 'plugdev',
    match: 'SUBSYSTEM=="hidraw"',
    folder: '/dev',
    pattern: /^hidraw/,
    isUsual: false,
  },
]

const MOST_NAMED = 4

/** Whether who runs clasp-edge may open the device nodes that are there. */
export async function checkAccess(system: System): Promise<CheckResult> {
  const { user, view } = system
  const results = await Promise.all(KINDS.map((kind) => checkKind(system, kind)))
  const findings = results.flatMap(({ finding }) => finding ?? [])
  const open = results.flatMap(({ title, isOpen }) => (isOpen ? [title] : []))
  const { board, chips } = view
  const missing = board.chips.filter(({ id, address }) => address !== '' && !chips.has(id))
  if (missing.length > 0) {
    findings.unshift({
      severity: 'problem',
      what: `no node in /dev for ${missing.map(({ label, address }) => `${label} (at ${address})`).join(', ')}`,
      meaning: 'the header pins cannot be used as lines',
      remedy: 'start a kernel with the driver and CONFIG_GPIO_CDEV, and look what it said',
      type: ['sudo dmesg | grep -i -e gpio -e pinctrl'],
    })
  }
  const fine = open.length > 0 ? `${user.name} may use ${open.join(', ')}` : 'no device nodes'
  return { topic: 'devices', fine, findings }
}

async function checkKind({ files, user, view, needs }: System, kind: NodeKind) {
  const names = await files.names(kind.folder, kind.pattern)
  const paths = names.map((name) => `${kind.folder}/${name}`)
  if (kind.group === 'dialout') {
    // Serial ports of the board may have names that other machines give to ports which are not there.
    paths.push(...view.buses.filter(({ bus }) => bus.kind === 'uart').flatMap(({ nodes }) => nodes))
  }
  const nodes = await Promise.all([...new Set(paths)].map(async (path) => ({ path, stats: await files.stat(path) })))
  // A port with a login on it is the login's: another check tells of it.
  const login = await groupId(files, 'tty')
  const shut = nodes.flatMap(({ path, stats }) =>
    stats && stats.gid !== login && !mayUse(stats, user) ? [{ path, stats }] : [],
  )
  if (shut.length === 0) return { title: kind.title, isOpen: nodes.length > 0, finding: undefined }

  const [{ path, stats }] = shut
  const group = await groupName(files, stats.gid)
  const isGroups = (stats.mode & 0o060) === 0o060 && stats.gid !== 0 && group !== undefined
  const users = [...new Set(needs.filter(({ what }) => what === kind.need).map(({ device }) => device))]
  const finding: Finding = {
    severity: users.length > 0 ? 'problem' : kind.isUsual ? 'warning' : 'hint',
    what: `${user.name} may not open ${named(shut.map((node) => node.path))}`,
    meaning: users.length > 0 ? `${users.join(', ')} cannot work` : `${kind.title} cannot be used`,
    ...(isGroups && user.newGids.includes(stats.gid)
      ? { remedy: `${user.name} is in the group ${group} since the last login: log out and in again` }
      : isGroups
        ? {
            remedy: `${path} belongs to the group ${group}: add ${user.name} to it and log in again`,
            type: [join(group)],
          }
        : {
            remedy: `${path} belongs to no group that could be joined: give it to ${kind.group} by a udev rule`,
            type: [
              `sudo groupadd --force --system ${kind.group}`,
              join(kind.group),
              `echo '${kind.match}, GROUP="${kind.group}", MODE="0660"' | sudo tee /etc/udev/rules.d/60-clasp-edge-${kind.group}.rules`,
              'sudo udevadm control --reload && sudo udevadm trigger',
            ],
          }),
  }
  return { title: kind.title, isOpen: false, finding }

  function join(name: string): string {
    return `sudo usermod --append --groups ${name} ${user.name}`
  }
}

/** Machines may have dozens of one kind. */
function named(paths: readonly string[]): string {
  const first = paths.slice(0, MOST_NAMED).join(', ')
  return paths.length > MOST_NAMED ? `${first} and ${paths.length - MOST_NAMED} more` : first
}
