import type { CheckResult, Finding } from './finding.ts'
import type { System } from './system.ts'

const LEAST_NODE = [20, 19]
/** The first kernel with version 2 of the GPIO character device. */
const LEAST_KERNEL = [5, 10]

/** Node, the kernel, and the packages that may be missing. */
export async function checkSoftware({ files, live, config, view }: System): Promise<CheckResult> {
  const findings: Finding[] = []
  const kernel = (await files.text('/proc/sys/kernel/osrelease')) ?? ''
  if (!view.board.isSimulated && kernel !== '' && isBelow(kernel, LEAST_KERNEL)) {
    findings.push({
      severity: 'problem',
      what: `this is kernel ${kernel}`,
      meaning: `lines need ${LEAST_KERNEL.join('.')} or newer`,
      remedy: 'update the system',
      type: ['sudo apt update && sudo apt full-upgrade'],
    })
  }
  if (live === undefined) return { topic: 'software', fine: '', findings }
  if (isBelow(live.nodeVersion, LEAST_NODE)) {
    findings.push({
      severity: 'problem',
      what: `this is Node ${live.nodeVersion}`,
      meaning: `${LEAST_NODE.join('.')} or newer is needed`,
      remedy: 'install a newer one from nodejs.org or nodesource.com',
    })
  }
  const sqlite = await live.packageFailure('libsql')
  if (sqlite !== undefined) {
    findings.push({
      severity: config.journal.enabled === false ? 'hint' : 'warning',
      what: sqlite,
      meaning: 'without it nothing survives a stop',
      remedy: 'in the folder of clasp-edge',
      type: ['npm install libsql'],
    })
  }
  const serial = await live.packageFailure('@serialport/bindings-cpp')
  if (serial !== undefined) {
    findings.push({
      severity: config.firmware.serial.length > 0 ? 'problem' : 'hint',
      what: serial,
      meaning: 'without it no microcontroller on a serial line is served',
      remedy: 'in the folder of clasp-edge',
      type: ['npm install @serialport/bindings-cpp@13'],
    })
  }
  const kernelText = kernel === '' ? '' : `, kernel ${kernel}`
  return { topic: 'software', fine: `Node ${live.nodeVersion}${kernelText}`, findings }
}

function isBelow(version: string, [major, minor]: readonly number[]): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return itsMajor < major || (itsMajor === major && itsMinor < minor)
}
