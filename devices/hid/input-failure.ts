import { deviceAccess, groupRemedy } from '../../boards/device-access.ts'

/** How clasp-input ends; c/clasp-input.c has the same numbers. */
export const InputEnd = {
  stopped: 0,
  failed: 1,
  usage: 2,
  gone: 3,
  denied: 4,
  missing: 5,
  busy: 6,
  noDevice: 7,
} as const

const RULES_FILE = '/etc/udev/rules.d/70-clasp-edge.rules'
const RULE = `put this line into ${RULES_FILE} and plug the device in again: SUBSYSTEM=="input", KERNEL=="event*", GROUP="input", MODE="0660"`

/** What the end of clasp-input means, and what to do. Never rejects. */
export async function explainInputEnd(end: number | string, paths: readonly string[], program: string): Promise<Error> {
  const where = paths.join(' and ')
  switch (end) {
    case InputEnd.gone:
    case InputEnd.missing:
      return new Error(`${where} has gone: plug it in again`)
    case InputEnd.denied:
      return new Error(await explainDenied(paths[0]))
    case InputEnd.busy:
      return new Error(`${where} is grabbed by another program: end that one`)
    case InputEnd.noDevice:
      return new Error(`${where} is no event device: name one below /dev/input/by-id`)
  }
  return new Error(`${program}, which reads ${where}, ended with ${end}`)
}

async function explainDenied(path: string): Promise<string> {
  const access = await deviceAccess(path)
  if (!access.isGroupEnough) return `not allowed to open ${path}: ${RULE}`
  return `not allowed to open ${path}, which belongs to the group ${access.group}: ${groupRemedy(access, RULE)}`
}
