import type { BusyLines } from '../../../boards/busy-lines.ts'
import { type ConfiguredLine, namedLines } from '../configured-lines.ts'
import type { CheckResult, Finding } from './finding.ts'
import type { System } from './system.ts'

/** The kernel's debug file shows so much of a consumer's name (drivers/gpio/gpiolib.c, `%-20.20s`). */
const SHOWN_LENGTH = 20

/** Whether the lines of the configured devices are there, and free. */
export async function checkLines({ view, config, needs, live, user }: System): Promise<CheckResult> {
  const { board, busy } = view
  const real = new Set(needs.filter(({ what }) => what === 'gpio').map(({ device }) => device))
  const devices = config.devices.filter(({ name }) => real.has(name))
  const lines = namedLines(devices, board, view.chips)
  const findings = [
    ...lines.flatMap((line) => missing(line) ?? []),
    ...shared(lines),
    ...lines.flatMap((line) =>
      busy === undefined ? (onBus(line, view.buses) ?? []) : (taken(line, lines, busy) ?? []),
    ),
  ]
  if (lines.length > 0 && busy === undefined && live !== undefined && user.uid !== 0 && findings.length === 0) {
    return { topic: 'lines', fine: 'there; who else has them only root can see: sudo clasp-edge doctor', findings }
  }
  // Without a chip that is known, nothing was looked at.
  return {
    topic: 'lines',
    fine: view.chips.size > 0 && lines.length > 0 && findings.length === 0 ? 'there, and free' : '',
    findings,
  }
}

function missing({ device, text, key, pin, nearest }: ConfiguredLine): Finding | undefined {
  if (key !== undefined) return undefined
  if (pin !== undefined) {
    return {
      severity: 'problem',
      what: `${text} is no line: ${pin.header}:${pin.number} is ${pin.name}`,
      meaning: `${device} cannot work`,
      remedy: `give ${device} another pin: \`clasp-edge board\` shows them`,
    }
  }
  if (nearest.length === 0) return undefined
  return {
    severity: 'warning',
    what: `this board has no pin ${text}`,
    meaning: `${device} cannot work, unless another chip of the kernel has a line of that name`,
    remedy: `did you mean ${nearest.join(', ')}? \`clasp-edge board\` shows all`,
  }
}

/** One line under two names, which the configuration alone cannot know. */
function shared(lines: readonly ConfiguredLine[]): Finding[] {
  return lines.flatMap((line, at): Finding[] => {
    const first = lines.slice(0, at).find(({ key }) => key !== undefined && key === line.key)
    if (first === undefined) return []
    return [
      {
        severity: 'problem',
        what: `${line.text} of ${line.device} and ${first.text} of ${first.device} are one line`,
        meaning: 'only one of both can work',
        remedy: `give ${line.device} another line`,
      },
    ]
  })
}

function taken(
  { device, text, key }: ConfiguredLine,
  lines: readonly ConfiguredLine[],
  busy: BusyLines,
): Finding | undefined {
  const user = key === undefined ? undefined : busy.get(key)
  // A router that runs has them.
  const isOwn = lines.some((line) => line.key === key && isConsumer(`clasp:${line.device}`, user))
  if (user === undefined || isOwn) return undefined
  return {
    severity: 'problem',
    what: `${text}, the line of ${device}, is used by ${user}`,
    meaning: `${device} waits until it is free`,
    remedy: `end what uses it, or give ${device} another line: \`clasp-edge board\` shows which are free`,
  }
}

/** `user`: as in `BusyLines`. */
function isConsumer(consumer: string, user = ''): boolean {
  const shown = user.replace(/ \(\w+\)$/, '')
  return shown === consumer || shown === consumer.slice(0, SHOWN_LENGTH)
}

/** Where the kernel does not tell who has a line, a bus that is on says enough. */
function onBus({ device, text, pin }: ConfiguredLine, buses: System['view']['buses']): Finding | undefined {
  const state = buses.find(({ bus, isOn }) => isOn && bus.pins.some(([name]) => name === pin?.name))
  if (state === undefined) return undefined
  return {
    severity: 'warning',
    what: `${text}, the line of ${device}, is a pin of ${state.bus.name}, which is on`,
    meaning: `either ${device} or what is on that bus does not work`,
    remedy: `switch ${state.bus.name} off, or give ${device} another line`,
  }
}
