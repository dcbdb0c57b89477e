import type { CheckResult } from './finding.ts'
import type { System } from './system.ts'

/** Whether Linux speaks on a serial port that is on the header. */
export async function checkSerialConsole({ files, view, config, needs }: System): Promise<CheckResult> {
  const consoles = [...((await files.text('/proc/cmdline')) ?? '').matchAll(/\bconsole=(tty[A-Z]\w*)/g)].map(
    ([, name]) => name,
  )
  const ports = [
    ...config.firmware.serial.map(({ port }) => port),
    ...needs.flatMap(({ what, path }) => (what === 'uart' && path !== undefined ? [path] : [])),
  ]
  const used = await Promise.all(
    ports.map(async (port) => (port.startsWith('/') ? ((await files.target(port)) ?? port) : port)),
  )
  const findings = view.buses.flatMap(({ bus, nodes }) => {
    const node = nodes.find((path) => consoles.some((name) => path === `/dev/${name}`))
    if (bus.kind !== 'uart' || node === undefined) return []
    const name = node.slice('/dev/'.length)
    const isUsed = used.includes(node)
    const pins = bus.pins.map(([pin]) => pin).join(' and ')
    return [
      {
        severity: isUsed ? ('problem' as const) : ('hint' as const),
        what: `the system's console is on ${node} (${pins})`,
        meaning: isUsed
          ? 'the device that the configuration has there gets the messages of the kernel, and a login that answers it'
          : 'a device on these pins would get the messages of the kernel, and a login that answers it',
        remedy: `if a device is to be there, take the login away, remove console=${name} (or console=serial0) from ${kernelLine(view.boot?.file)}, and start again`,
        type: [`sudo systemctl mask --now serial-getty@${name}.service`],
      },
    ]
  })
  return { topic: 'console', fine: findings.length > 0 ? '' : 'no serial port of the header is a console', findings }
}

function kernelLine(file: string | undefined): string {
  switch (file) {
    case 'config.txt':
      return 'cmdline.txt beside config.txt'
    case 'armbianEnv.txt':
    case 'orangepiEnv.txt':
      return `/boot/${file} by console=display`
    default:
      return 'the command line of the kernel'
  }
}
