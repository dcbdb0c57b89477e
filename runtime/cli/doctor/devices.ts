import { busOf, type DeviceNeed } from '../device-needs.ts'
import type { CheckResult, Finding } from './finding.ts'
import type { System } from './system.ts'

/** Programs that devices need, which a build without a C compiler leaves out. */
const PROGRAM_OF: Readonly<Partial<Record<DeviceNeed['what'], DeviceProgramName>>> = {
  gpio: 'clasp-io',
  pwm: 'clasp-io',
  i2c: 'clasp-i2c',
  input: 'clasp-input',
}

export type DeviceProgramName = 'clasp-io' | 'clasp-i2c' | 'clasp-input'

/** Whether what the configured devices are on is there, besides the buses of the board's headers. */
export async function checkDevices(system: System): Promise<CheckResult> {
  const findings = [
    ...(await missingPlaces(system)),
    ...(await missingChips(system)),
    ...(await missingPrograms(system)),
  ]
  const devices = [...new Set(system.needs.map(({ device }) => device))]
  return {
    topic: 'configuration',
    fine: devices.length === 0 || findings.length > 0 ? '' : `what ${devices.join(', ')} need is there`,
    findings,
  }
}

async function missingPlaces({ files, view, needs }: System): Promise<Finding[]> {
  const missing = new Map<string, DeviceNeed[]>()
  for (const need of needs) {
    const { what } = need
    const path = what === 'one-wire' ? '/sys/bus/w1/devices' : need.path
    // Another check knows how the buses of the board are switched on.
    if (path === undefined || busOf(need, view.buses) !== undefined) continue
    if ((await files.stat(path)) === undefined) missing.set(path, [...(missing.get(path) ?? []), need])
  }
  return [...missing].map(([path, users]) => ({
    severity: 'problem',
    what: `there is no ${path}`,
    meaning: `${users.map(({ device }) => device).join(', ')} cannot work`,
    ...REMEDIES[users[0].what],
  }))
}

/** Of boards that are described, another check knows the chips. */
async function missingChips({ files, view, needs }: System): Promise<Finding[]> {
  const users = [...new Set(needs.filter(({ what }) => what === 'gpio').map(({ device }) => device))]
  const isDescribed = view.board.chips.some(({ address }) => address !== '')
  if (users.length === 0 || isDescribed || (await files.names('dev', /^gpiochip\d+$/)).length > 0) return []
  return [
    {
      severity: 'problem',
      what: 'there is no GPIO chip (/dev/gpiochip*)',
      meaning: `${users.join(', ')} cannot work`,
      remedy: 'set simulate: true to make them up, or start a kernel with CONFIG_GPIO_CDEV',
    },
  ]
}

const REMEDIES: Readonly<Record<DeviceNeed['what'], Pick<Finding, 'remedy' | 'type'>>> = {
  i2c: {
    remedy: 'see which buses there are; a controller may have to be enabled for the boot loader',
    type: ['sudo modprobe i2c-dev', 'ls /dev/i2c-*'],
  },
  uart: {
    remedy: 'plug it in, or see under which name the kernel has it',
    type: ['ls -l /dev/serial/by-id/', 'sudo dmesg | grep -i tty'],
  },
  pwm: {
    remedy: 'enable the PWM controller, on a Raspberry Pi by dtoverlay=pwm-2chan in config.txt; or see which there are',
    type: ['ls /sys/class/pwm/'],
  },
  'one-wire': {
    remedy: 'load the driver of the bus, on a Raspberry Pi by dtoverlay=w1-gpio in config.txt, and start again',
    type: ['sudo modprobe w1-gpio', 'ls /sys/bus/w1/devices/'],
  },
  spi: { remedy: 'enable the controller for the boot loader' },
  gpio: { remedy: 'start a kernel with CONFIG_GPIO_CDEV' },
  input: { remedy: 'plug it in', type: ['ls -l /dev/input/by-id/'] },
}

async function missingPrograms({ live, needs }: System): Promise<Finding[]> {
  if (live === undefined) return []
  const names = [...new Set(needs.flatMap(({ what }) => PROGRAM_OF[what] ?? []))]
  const areThere = await Promise.all(names.map((name) => live.hasProgram(name)))
  return names
    .filter((_, i) => !areThere[i])
    .map((name) => ({
      severity: 'problem',
      what: `${name} is not installed`,
      meaning: `${usersOf(name, needs).join(', ')} cannot work`,
      remedy: 'install a C compiler and build again in the folder of clasp-edge',
      type: ['sudo apt install gcc libc6-dev', 'npm run build'],
    }))
}

function usersOf(name: DeviceProgramName, needs: readonly DeviceNeed[]): string[] {
  return [...new Set(needs.filter(({ what }) => PROGRAM_OF[what] === name).map(({ device }) => device))]
}
