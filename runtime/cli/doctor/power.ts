import type { CheckResult, Finding } from './finding.ts'
import type { System } from './system.ts'
import { readThrottled } from './throttled.ts'

const REMEDY =
  'use a supply and a cable made for this board (5.1 V; 3 A for a Pi 4, 5 A for a Pi 5), and feed what draws much from elsewhere'

/** Whether the supply holds its voltage. */
export async function checkPower({ files }: System): Promise<CheckResult> {
  const throttled = await readThrottled(files)
  const alarm = await voltageAlarm(files)
  const isLow = throttled?.isUnderVoltage === true || alarm === true
  const findings: Finding[] = []
  if (isLow) {
    findings.push({
      severity: 'problem',
      what: 'the supply voltage is below 4.63 V now',
      meaning: 'the board slows down, USB devices drop out, and the card may be written wrongly',
      remedy: REMEDY,
    })
  } else if (throttled?.wasUnderVoltage) {
    findings.push({
      severity: 'warning',
      what: 'the supply voltage was below 4.63 V since the last start',
      meaning: 'under load the supply or its cable does not suffice; the next time the card may suffer',
      remedy: REMEDY,
    })
  }
  const isKnown = throttled !== undefined || alarm !== undefined
  return { topic: 'power', fine: isKnown && findings.length === 0 ? 'the supply voltage holds' : '', findings }
}

/** The kernel's own watch over the same; undefined when it has none. */
async function voltageAlarm(files: System['files']): Promise<boolean | undefined> {
  for (const name of await files.names('/sys/class/hwmon')) {
    if ((await files.text(`/sys/class/hwmon/${name}/name`)) !== 'rpi_volt') continue
    return (await files.text(`/sys/class/hwmon/${name}/in0_lcrit_alarm`)) === '1'
  }
  return undefined
}
