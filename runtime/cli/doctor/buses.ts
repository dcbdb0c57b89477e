import type { Bus } from '../../../boards/board.ts'
import { type BootConfig, enableWith, isAsked } from '../../../boards/boot-config.ts'
import type { BusState } from '../../../boards/bus-states.ts'
import type { CheckResult, Finding } from './finding.ts'
import type { System } from './system.ts'

/** Whether the buses that are wanted are there, by overlays and driver. `needed`: names of buses that devices are on. */
export async function checkBuses({ view }: System, needed: ReadonlySet<string> = new Set()): Promise<CheckResult> {
  const { boot, buses } = view
  const wanted = (state: BusState) => state.isOn || (boot !== undefined && isAskedFor(boot, state.bus))
  // Its pins belong to another one, by a line of the same file.
  const gaveWay = new Set(
    buses
      .filter(({ bus }) => buses.some((state) => state.bus.name === bus.yieldsTo && wanted(state)))
      .map(({ bus }) => bus),
  )
  const findings = [
    ...buses
      .filter(({ bus }) => !gaveWay.has(bus))
      .flatMap((state) => busFinding(state, boot, needed.has(state.bus.name)) ?? []),
    ...conflicts(buses.filter(wanted).map(({ bus }) => bus)),
  ]
  const on = buses.filter(({ isOn }) => isOn).map(({ bus }) => bus.name)
  const off = buses.filter(({ isOn }) => !isOn).map(({ bus }) => bus.name)
  const texts = [
    ...(on.length > 0 ? [`on: ${on.join(' ')}`] : []),
    ...(off.length > 0 ? [`off: ${off.join(' ')}`] : []),
  ]
  return { topic: 'buses', fine: texts.join('; '), findings }
}

function isAskedFor(boot: BootConfig, bus: Bus): boolean {
  const enable = enableWith(boot, bus)
  return enable !== undefined && isAsked(boot, enable)
}

function busFinding(
  { bus, isOn, nodes }: BusState,
  boot: BootConfig | undefined,
  isNeeded: boolean,
): Finding | undefined {
  const isI2c = bus.kind === 'i2c'
  // On other buses a driver of the kernel may have the only device, and then it has no node by intention.
  if (isOn && nodes.length === 0 && (isI2c || isNeeded)) {
    return {
      severity: isNeeded ? 'problem' : 'warning',
      what: `${bus.name} is switched on, but ${bus.node} is not there`,
      meaning: 'the kernel has the bus, programs cannot open it',
      remedy: isI2c ? 'load the module i2c-dev, now and at every start' : 'see what the kernel said',
      type: isI2c
        ? ['sudo modprobe i2c-dev', 'echo i2c-dev | sudo tee /etc/modules-load.d/i2c-dev.conf']
        : [`sudo dmesg | grep -i ${bus.kind}`],
    }
  }
  if (isOn) return undefined
  if (boot !== undefined && isAskedFor(boot, bus)) {
    return {
      severity: isNeeded ? 'problem' : 'warning',
      what: `${boot.path} asks for ${bus.name}, but the kernel does not have it`,
      meaning: 'the line came after the last start, or the overlay did not load',
      remedy: 'start again; if that does not help, see what the boot loader and the kernel said',
      type: ['sudo reboot', 'sudo dmesg | grep -i -e overlay -e dtb'],
    }
  }
  if (!isNeeded) return undefined
  return {
    severity: 'problem',
    what: `${bus.name} is not switched on`,
    meaning: 'devices of the configuration are on it',
    ...switchOn(bus, boot),
  }
}

function switchOn(bus: Bus, boot: BootConfig | undefined): Pick<Finding, 'remedy' | 'type'> {
  const enable = boot === undefined ? undefined : enableWith(boot, bus)
  if (boot === undefined || enable === undefined) {
    const lines = bus.enable.map(({ file, line }) => `${line} in ${file}`).join(' or ')
    return { remedy: lines === '' ? 'this kernel has no driver for it' : `set ${lines}, then start again` }
  }
  if (enable.line.startsWith('overlays=')) {
    return { remedy: `add ${enable.line.slice(9)} to the line overlays= of ${boot.path}, then start again` }
  }
  const text = boot.file === 'config.txt' ? `[all]\\n${enable.line}\\n` : `${enable.line}\\n`
  return {
    remedy: `add ${enable.line} to ${boot.path} and start again`,
    type: [`printf '${text}' | sudo tee --append ${boot.path}`, 'sudo reboot'],
  }
}

/** Two buses that take the same pin. Two serial ports on one pair of pins are one after the other, by design. */
function conflicts(buses: readonly Bus[]): Finding[] {
  return buses.flatMap((bus, i) =>
    buses.slice(i + 1).flatMap((other): Finding[] => {
      const shared = bus.pins.map(([pin]) => pin).filter((pin) => other.pins.some(([name]) => name === pin))
      if (shared.length === 0 || bus.kind === other.kind) return []
      return [
        {
          severity: 'hint',
          what: `${bus.name} and ${other.name} can both have ${shared.join(', ')}`,
          meaning: 'if both use these pins, only the one that started first works',
          remedy: 'switch one of them off, or move it to other pins: `clasp-edge board` shows them',
        },
      ]
    }),
  )
}
