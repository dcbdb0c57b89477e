import type { CheckResult, Finding } from './finding.ts'
import type { System } from './system.ts'
import { readThrottled } from './throttled.ts'

/** From here on boards slow down, or soon will. */
const HOT_C = 80

/** Temperature, and what the board does because of it. */
export async function checkHeat({ files }: System): Promise<CheckResult> {
  const zones = await files.names('/sys/class/thermal', /^thermal_zone/)
  const readings = await Promise.all(zones.map((zone) => files.text(`/sys/class/thermal/${zone}/temp`)))
  const temperatures = readings.flatMap((text) => (text === undefined || text === '' ? [] : [Number(text) / 1000]))
  const hottest = temperatures.length === 0 ? undefined : Math.max(...temperatures)
  const throttled = await readThrottled(files)
  // Too little voltage slows the board down as well, and is told by another check.
  const isSlowed = throttled?.isHot || (throttled?.isSlowed && !throttled.isUnderVoltage)
  const wasSlowed = throttled?.wasHot || (throttled?.wasSlowed && !throttled.wasUnderVoltage)
  const findings: Finding[] = []
  const remedy = 'give it a heat sink, a fan, or air around it'
  const degrees = hottest === undefined ? '' : `${hottest.toFixed(0)} °C`
  if (isSlowed || (hottest !== undefined && hottest >= HOT_C)) {
    const what = degrees === '' ? 'the board is hot' : `the board is at ${degrees}`
    findings.push({
      severity: 'warning',
      what,
      meaning: isSlowed ? 'it runs slower now' : 'it soon slows down',
      remedy,
    })
  } else if (wasSlowed) {
    const what = 'the board was too hot since the last start, and slowed down'
    findings.push({ severity: 'warning', what, meaning: 'it will be slow again in the same conditions', remedy })
  }
  return { topic: 'heat', fine: degrees, findings }
}
