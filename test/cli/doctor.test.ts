import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext, test } from 'node:test'
import { detectBoard } from '../../boards/detect.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import { lookAtBoard } from '../../runtime/cli/board-view.ts'
import { deviceNeeds } from '../../runtime/cli/device-needs.ts'
import { runChecks } from '../../runtime/cli/doctor/checks.ts'
import type { Finding } from '../../runtime/cli/doctor/finding.ts'
import type { LiveSystem } from '../../runtime/cli/doctor/live-system.ts'
import { SystemFiles } from '../../runtime/cli/doctor/system.ts'
import { mayUse, type User } from '../../runtime/cli/doctor/user.ts'
import { type Config, defaultConfig } from '../../runtime/config/schema.ts'
import { type FakeFile, fakeFiles, PI_4 } from '../boards/fake-files.ts'
import { cli, folderWith, startRouter } from './run-cli.ts'

const ROOT: User = { name: 'root', uid: 0, gids: [0], newGids: [] }

/** A system on which all is well. */
const WELL: LiveSystem = {
  nowMs: () => Date.UTC(2026, 5, 1),
  nodeVersion: '22.13.0',
  space: async () => ({ freeBytes: 10e9, totalBytes: 30e9, freeFiles: 0.9 }),
  portFailure: async () => undefined,
  portHolder: async () => undefined,
  routerAt: async () => undefined,
  isSynchronised: async () => true,
  packageFailure: async () => undefined,
  hasProgram: async () => true,
}

interface Circumstances {
  live?: Partial<LiveSystem>
  user?: User
  config?: (config: Config) => void
  /** Before the look. */
  prepare?: (root: string) => void
}

const CELLAR: DeviceEntry = { name: 'cellar', kind: 'ds18b20', options: {}, signals: {} }
const CLIMATE: DeviceEntry = { name: 'climate', kind: 'bme280', options: { bus: '1' }, signals: {} }

/** A switch on a line. */
function onLine(name: string, line: string): DeviceEntry {
  return { name, kind: 'switch', options: { line }, signals: {} }
}

/** What the kernel says of its lines. */
const LINES = 'sys/kernel/debug/gpio'
const lineInUse = (consumer: string) =>
  `gpiochip0: GPIOs 512-569, parent: platform/fe200000.gpio, pinctrl-bcm2711:\n gpio-529 (GPIO17              |${consumer.padEnd(20).slice(0, 20)}) in  lo\n`

function withDevices(...devices: DeviceEntry[]): (config: Config) => void {
  return (config) => {
    config.devices = devices
  }
}

/** What the checks find on a Pi 4 with these files besides. */
async function find(
  t: TestContext,
  files: Record<string, FakeFile>,
  { live = {}, user = ROOT, config: change, prepare }: Circumstances = {},
): Promise<Finding[]> {
  const root = fakeFiles(t, { 'sys/class/rtc/rtc0/name': '', 'var/lib/clasp-edge/journal.db': '', ...PI_4, ...files })
  prepare?.(root)
  const config = structuredClone(defaultConfig)
  config.journal.folder = '/var/lib/clasp-edge'
  change?.(config)
  const view = await lookAtBoard(await detectBoard(root), root)
  const needs = deviceNeeds(config.devices)
  const system = { files: new SystemFiles(root), view, config, needs, user, live: { ...WELL, ...live } }
  return (await runChecks(system)).flatMap(({ findings }) => findings)
}

const THROTTLED = 'sys/devices/platform/soc/soc:firmware/get_throttled'
const MOUNTED = '/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n'

describe('doctor', () => {
  it('finds nothing on a board on which all is well', async (t) => {
    const files = {
      [THROTTLED]: '0\n',
      'sys/class/thermal/thermal_zone0/temp': '48000\n',
      'proc/mounts': MOUNTED,
      'proc/sys/kernel/osrelease': '6.12.25+rpt-rpi-v8\n',
      'proc/cmdline': 'console=tty1 root=/dev/mmcblk0p2\n',
    }
    assert.deepEqual(await find(t, files), [])
  })

  const cases: [string, Record<string, FakeFile>, Finding['severity'], RegExp, Circumstances?][] = [
    ['too little voltage now', { [THROTTLED]: '50005\n' }, 'problem', /below 4\.63 V now/],
    ['too little voltage before', { [THROTTLED]: '50000\n' }, 'warning', /below 4\.63 V since the last start/],
    [
      'too little voltage on a Pi 5, whose firmware is elsewhere',
      { 'sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled': '1\n' },
      'problem',
      /below 4\.63 V now/,
    ],
    [
      'the kernel’s alarm of the voltage',
      { 'sys/class/hwmon/hwmon1/name': 'rpi_volt\n', 'sys/class/hwmon/hwmon1/in0_lcrit_alarm': '1\n' },
      'problem',
      /below 4\.63 V now/,
    ],
    ['heat', { 'sys/class/thermal/thermal_zone0/temp': '83000\n' }, 'warning', /the board is at 83 °C/],
    ['heat before', { [THROTTLED]: '80000\n' }, 'warning', /was too hot since the last start/],
    [
      'a card that the kernel no longer writes',
      { 'proc/mounts': '/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n', 'etc/fstab': 'PARTUUID=1 / ext4 defaults 0 1\n' },
      'problem',
      /the system is mounted read-only \(\/dev\/mmcblk0p2\)/,
      {
        config: (config) => {
          config.journal.enabled = false
        },
      },
    ],
    [
      'a worn eMMC',
      { 'sys/block/mmcblk0/device/life_time': '0x02 0x0a\n', 'sys/block/mmcblk0/device/pre_eol_info': '0x02\n' },
      'warning',
      /up to 100 % of its life and most of its spare blocks/,
    ],
    [
      'an eMMC at its end',
      { 'sys/block/mmcblk0/device/life_time': '0x0b 0x0b\n', 'sys/block/mmcblk0/device/pre_eol_info': '0x03\n' },
      'problem',
      /more than 100 % of its life/,
    ],
    [
      'errors of the file system',
      { 'sys/fs/ext4/mmcblk0p2/errors_count': '3\n' },
      'warning',
      /mmcblk0p2 has counted 3 errors/,
    ],
    [
      'swap on the card',
      { 'proc/swaps': 'Filename Type\n/var/swap file 100 0 -2\n' },
      'hint',
      /swapped to \/var\/swap/,
    ],
    [
      'a full card',
      {},
      'problem',
      /are free on \//,
      {
        live: {
          space: async (path) => (path === '/' ? { freeBytes: 1e6, totalBytes: 30e9, freeFiles: 1 } : undefined),
        },
      },
    ],
    ['a clock that was never set', {}, 'problem', /the clock shows 1970-01-01/, { live: { nowMs: () => 0 } }],
    [
      'a clock without a network',
      {},
      'warning',
      /not set by the network/,
      { live: { isSynchronised: async () => false } },
    ],
    [
      'a bus that does not come up',
      { 'boot/firmware/config.txt': 'dtparam=spi=on\n' },
      'warning',
      /asks for spi0, but the kernel/,
    ],
    [
      'a line that devices know by other capitals only',
      {},
      'warning',
      /this board has no pin gpio17/,
      { config: withDevices(onLine('door', 'gpio17')) },
    ],
    [
      'a line that only the pages of the board call so',
      {},
      'warning',
      /this board has no pin J8:11/,
      { config: withDevices(onLine('door', 'J8:11')) },
    ],
    [
      'a line beyond the last one of its chip',
      {},
      'warning',
      /this board has no pin gpiochip0:58/,
      { config: withDevices(onLine('door', 'gpiochip0:58')) },
    ],
    ['a bus that a device needs', {}, 'problem', /one-wire is not switched on/, { config: withDevices(CELLAR) }],
    [
      'an I2C bus that is not there',
      {},
      'problem',
      /there is no \/dev\/i2c-7/,
      { config: withDevices({ ...CLIMATE, options: { bus: '7', chipAddress: 0x76 } }) },
    ],
    [
      'a PWM chip that is not there',
      {},
      'problem',
      /there is no \/sys\/class\/pwm\/pwmchip3/,
      { config: withDevices({ name: 'fan', kind: 'pwm', options: { chip: 3, channel: 0 }, signals: {} }) },
    ],
    [
      'a program that was not built',
      {},
      'problem',
      /clasp-i2c is not installed/,
      { config: withDevices(CLIMATE), live: { hasProgram: async (name) => name !== 'clasp-i2c' } },
    ],
    [
      'a line that another program has',
      { [LINES]: lineInUse('lircd') },
      'problem',
      /^pin 11, the line of door, is used by lircd/,
      { config: withDevices(onLine('door', 'pin 11')) },
    ],
    [
      'one line under two names',
      { [LINES]: lineInUse('clasp:a-door-with-a-long-name') },
      'problem',
      /^gpiochip0:17 of bell and GPIO17 of a-door-with-a-long-name are one line/,
      { config: withDevices(onLine('a-door-with-a-long-name', 'GPIO17'), onLine('bell', 'gpiochip0:17')) },
    ],
    [
      'a pin that the board does not have',
      {},
      'warning',
      /^this board has no pin GPIO71/,
      { config: withDevices(onLine('door', 'GPIO71')) },
    ],
    ['a pin without a line', {}, 'problem', /J8:6 is GND/, { config: withDevices(onLine('door', 'pin 6')) }],
    [
      'a line that a bus has',
      {},
      'warning',
      /^GPIO2, the line of door, is a pin of i2c1, which is on/,
      { config: withDevices(onLine('door', 'GPIO2')) },
    ],
    [
      'a bus without a node',
      { 'sys/bus/i2c/devices/i2c-3': { link: 'sys/devices/platform/soc/fe205600.i2c/i2c-3' } },
      'warning',
      /i2c3 is switched on, but \/dev\/i2c-3 is not there/,
    ],
    [
      'two buses on one pin',
      {
        'sys/class/tty/ttyAMA3': { link: 'sys/devices/platform/soc/fe201600.serial/tty/ttyAMA3' },
        'dev/ttyAMA3': '',
        'sys/bus/w1/devices/w1_bus_master1': { link: 'sys/devices/w1_bus_master1' },
      },
      'hint',
      /can both have GPIO4/,
    ],
    [
      'the console on the header',
      { 'proc/cmdline': 'console=ttyS0,115200 console=tty1\n' },
      'hint',
      /console is on \/dev\/ttyS0/,
    ],
    [
      'the console where a device is configured',
      { 'proc/cmdline': 'console=ttyS0,115200\n' },
      'problem',
      /console is on \/dev\/ttyS0/,
      {
        config: (config) => {
          config.firmware.serial = [{ ...serialDefaults, port: '/dev/ttyS0' }]
        },
      },
    ],
    [
      'a journal in memory',
      { 'proc/mounts': `${MOUNTED}tmpfs /var/lib tmpfs rw 0 0\n` },
      'warning',
      /\/var\/lib\/clasp-edge is in memory/,
    ],
    [
      'a journal on vfat',
      { 'proc/mounts': `${MOUNTED}/dev/sda1 /var/lib/clasp-edge vfat rw 0 0\n` },
      'warning',
      /is on vfat/,
    ],
    [
      'a mount without barriers',
      { 'proc/mounts': '/dev/mmcblk0p2 / ext4 rw,nobarrier 0 0\n' },
      'warning',
      /without write barriers/,
    ],
    [
      'a port that another has',
      {},
      'problem',
      /port 7330 is in use by node \(pid 5\)/,
      { live: { portFailure: async () => 'EADDRINUSE', portHolder: async () => 'node (pid 5)' } },
    ],
    ['an old Node', {}, 'problem', /this is Node 20\.18\.1/, { live: { nodeVersion: '20.18.1' } }],
    ['an old kernel', { 'proc/sys/kernel/osrelease': '5.4.83-v7+\n' }, 'problem', /this is kernel 5\.4\.83-v7\+/],
    [
      'a missing database library',
      {},
      'warning',
      /libsql cannot be loaded/,
      { live: { packageFailure: async (name) => (name === 'libsql' ? 'libsql cannot be loaded' : undefined) } },
    ],
  ]
  for (const [what, files, severity, words, circumstances] of cases) {
    it(`finds ${what}, and says what to do`, async (t) => {
      const findings = await find(t, { 'proc/mounts': MOUNTED, ...files }, circumstances)
      assert.deepEqual(findings.length, 1, JSON.stringify(findings))
      const [finding] = findings
      assert.match(finding.what, words)
      assert.equal(finding.severity, severity)
      assert.ok(finding.meaning !== '' && finding.remedy !== '')
    })
  }

  it('takes a system that is read-only by intention as it is', async (t) => {
    const files = {
      'proc/mounts': '/dev/mmcblk0p2 / ext4 ro 0 0\ntmpfs /var/lib/x tmpfs rw 0 0\n',
      'etc/fstab': '/dev/mmcblk0p2 / ext4 ro 0 1\n',
    }
    const findings = await find(t, files, {
      config: (config) => {
        config.journal.enabled = false
      },
    })
    assert.deepEqual(findings, [])
  })

  it('takes a port that a router of this kind serves as well', async (t) => {
    assert.deepEqual(
      await find(t, {}, { live: { portFailure: async () => 'EADDRINUSE', routerAt: async () => 'stage' } }),
      [],
    )
  })

  it('takes lines that this router has, and those of simulated devices, as they are', async (t) => {
    const files = { [LINES]: lineInUse('clasp:door') }
    assert.deepEqual(await find(t, files, { config: withDevices(onLine('door', 'GPIO17')) }), [])
    const madeUp = { ...onLine('bell', 'GPIO17'), simulate: true }
    assert.deepEqual(await find(t, files, { config: withDevices(madeUp) }), [])
  })

  it('finds the chip of the header missing', async (t) => {
    const files = { 'proc/device-tree/model': 'Raspberry Pi 5 Model B Rev 1.0\0', 'proc/device-tree/compatible': '' }
    const [finding] = await find(t, files)
    assert.match(finding.what, /no node in \/dev for pinctrl-rp1 \(at 1f000d0000\)/)
  })

  it('names the group that a user has to join, or the udev rule where there is none', async (t) => {
    const user: User = { name: 'stage', uid: 4711, gids: [4711], newGids: [] }
    const owned = (gid: number, mode: number) => (root: string) => {
      for (const node of ['gpiochip0', 'ttyS0', 'ttyAMA0']) chmodSync(join(root, 'dev', node), 0o666)
      chmodSync(join(root, 'var/lib/clasp-edge'), 0o777)
      chmodSync(join(root, 'dev/i2c-1'), mode)
      chownSync(join(root, 'dev/i2c-1'), process.getuid?.() ?? 0, gid)
    }
    const files = { 'etc/group': 'root:x:0:\ni2c:x:994:\n' }
    const group = process.getuid?.() === 0 ? 994 : (process.getgid?.() ?? 0)
    const named = { 'etc/group': `root:x:0:\ni2c:x:${group}:\n` }
    const [joinable] = await find(t, named, { user, prepare: owned(group, 0o660) })
    assert.match(joinable.what, /stage may not open \/dev\/i2c-1/)
    assert.deepEqual(joinable.type, ['sudo usermod --append --groups i2c stage'])
    const needed = { user, prepare: owned(group, 0o660), config: withDevices(CLIMATE) }
    const [blocking] = await find(t, named, needed)
    assert.deepEqual([joinable.severity, blocking.severity], ['warning', 'problem'])
    assert.match(blocking.meaning, /climate cannot work/)
    const [late] = await find(t, named, { user: { ...user, newGids: [group] }, prepare: owned(group, 0o660) })
    assert.match(late.remedy, /log out and in again/)
    assert.deepEqual(await find(t, named, { user: { ...user, gids: [group] }, prepare: owned(group, 0o660) }), [])
    const [ruled] = await find(t, files, { user, prepare: owned(group, 0o600) })
    assert.match(ruled.type?.join('\n') ?? '', /SUBSYSTEM=="i2c-dev", GROUP="i2c", MODE="0660"/)
  })

  it('finds a folder that the user may not write', async (t) => {
    const user: User = { name: 'stage', uid: 4711, gids: [4711], newGids: [] }
    const open = (root: string) => {
      for (const node of ['gpiochip0', 'i2c-1', 'ttyS0', 'ttyAMA0']) chmodSync(join(root, 'dev', node), 0o666)
    }
    const [finding] = await find(t, {}, { user, prepare: open })
    assert.match(finding.what, /stage may not write in \/var\/lib\/clasp-edge/)
    assert.deepEqual(finding.type, ['sudo install --directory --owner stage /var/lib/clasp-edge'])
  })
})

const serialDefaults: Omit<Config['firmware']['serial'][number], 'port'> = {
  baudRate: 115_200,
  maxBaudRate: 0,
  mode: 'auto',
  implicitHello: false,
  resetOnOpen: false,
  rtscts: false,
  prefix: undefined,
  token: undefined,
}

test('permission bits count as the kernel counts them', () => {
  const node = { uid: 10, gid: 20, mode: 0o660 }
  assert.equal(mayUse(node, { uid: 10, gids: [] }), true)
  assert.equal(mayUse(node, { uid: 11, gids: [19, 20] }), true)
  assert.equal(mayUse(node, { uid: 11, gids: [19] }), false)
  assert.equal(mayUse({ ...node, mode: 0o066 }, { uid: 10, gids: [20] }), false, 'the owner’s bits come first')
  assert.equal(mayUse({ ...node, mode: 0o640 }, { uid: 11, gids: [20] }), false, 'reading is not enough')
  assert.equal(mayUse({ ...node, mode: 0 }, { uid: 0, gids: [] }), true)
})

test('the command tells what is well and what is not, and ends with 1 when something is to be done', async (t) => {
  const root = fakeFiles(t, { ...PI_4, [THROTTLED]: '50005\n', 'etc/passwd': 'stage:x:4711:4711::/:/bin/sh\n' })
  for (const node of ['gpiochip0', 'i2c-1', 'ttyS0', 'ttyAMA0']) chmodSync(join(root, 'dev', node), 0o666)
  const { code, stdout } = await cli(['doctor', '--root', root, '--user', 'stage'])
  assert.equal(code, 1)
  assert.match(stdout, /^Raspberry Pi 4 Model B Rev 1\.5\n/)
  assert.match(stdout, /devices +stage may use GPIO, I2C, serial ports\n/)
  assert.match(stdout, /problem \(power\): the supply voltage is below 4\.63 V now\n {2}.+\n {2}use a supply/)
  const json = await cli(['doctor', '--json', '--root', root, '--user', 'stage'])
  const power = json.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .find(({ topic }) => topic === 'power')
  assert.equal(power.findings[0].severity, 'problem')
})

test('the command ends with 0 when there are only hints', async (t) => {
  const root = fakeFiles(t, PI_4)
  mkdirSync(join(root, 'var/lib/clasp-edge'), { recursive: true })
  const { code, stdout } = await cli(['doctor', '--root', root])
  assert.equal(code, 0, stdout)
  assert.match(stdout, /hint \(clock\): there is no clock with a battery/)
  assert.match(stdout, /\n1 hint\n$/)
})

test('a machine that is not described and has no GPIO chip is not said to have lines', async (t) => {
  const root = fakeFiles(t, {})
  const folder = await folderWith(t, {
    'door.yaml': 'simulate: false\ndevices: [{ name: door, kind: switch, line: GPIO17 }]\n',
  })
  const { code, stdout } = await cli(['doctor', '--root', root, '--config', join(folder, 'door.yaml')])
  assert.equal(code, 1)
  assert.match(stdout, /problem \(configuration\): there is no GPIO chip \(\/dev\/gpiochip\*\)\n {2}door cannot work/)
  assert.doesNotMatch(stdout, /there, and free|need is there/)
})

test('a folder that is not there is no system on which all is well', async () => {
  for (const command of ['doctor', 'board']) {
    const { code, stderr } = await cli([command, '--root', '/nowhere-at-all'])
    assert.equal(code, 2)
    assert.match(stderr, /--root: there is no folder \/nowhere-at-all/)
  }
})

test('a user that the system does not have is named', async (t) => {
  const { code, stderr } = await cli(['doctor', '--root', fakeFiles(t, {}), '--user', 'nobody-here'])
  assert.equal(code, 1)
  assert.match(stderr, /there is no user "nobody-here" on this system/)
})

test('on the running system, the port is tried: who has it is named, unless it is a router of this kind', async (t) => {
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const configured = (number: number) => `listen: { host: 127.0.0.1, port: ${number} }\njournal: { enabled: false }\n`
  const folder = await folderWith(t, { 'taken.yaml': configured(port) })
  const taken = await cli(['doctor', '--config', join(folder, 'taken.yaml')])
  assert.equal(taken.code, 1)
  assert.match(taken.stdout, new RegExp(`problem \\(port\\): port ${port} is in use by .*\\(pid ${process.pid}\\)`))

  const router = await startRouter(t)
  const own = await folderWith(t, { 'own.yaml': configured(Number(new URL(router.url).port)) })
  const { stdout } = await cli(['doctor', '--config', join(own, 'own.yaml')])
  assert.match(stdout, /port +\d+ is served by the router "under test"/)
})
