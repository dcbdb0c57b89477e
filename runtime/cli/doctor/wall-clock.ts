import type { CheckResult, Finding } from './finding.ts'
import type { System } from './system.ts'

/** A clock that shows an earlier year was never set. */
const EARLIEST_YEAR = 2025

/** Whether the time is right, and stays so without a network. */
export async function checkWallClock({ files, live, view }: System): Promise<CheckResult> {
  const findings: Finding[] = []
  const clocks = await files.names('/sys/class/rtc')
  if (clocks.length === 0 && !view.board.isSimulated) {
    findings.push({
      severity: 'hint',
      what: 'there is no clock with a battery (RTC)',
      meaning:
        'after a power cut the time is wrong until the network sets it: times in the history are then wrong as well',
      remedy: 'where there is no network, add a DS3231: with a Raspberry Pi, dtoverlay=i2c-rtc,ds3231 in config.txt',
    })
  }
  if (live === undefined) return { topic: 'clock', fine: '', findings }
  const now = new Date(live.nowMs())
  const isStamped = (await files.stat('/run/systemd/timesync/synchronized')) !== undefined
  const isSynchronised = isStamped || (await live.isSynchronised())
  const remedy = 'let the network set it'
  const type = ['sudo timedatectl set-ntp true', 'timedatectl timesync-status']
  if (now.getUTCFullYear() < EARLIEST_YEAR) {
    findings.unshift({
      severity: 'problem',
      what: `the clock shows ${now.toISOString().slice(0, 10)}`,
      meaning: 'certificates look invalid, so TLS and the hub fail, and times in the history are wrong',
      remedy: `${remedy}, or set it by hand: sudo date --set '2026-01-31 12:00'`,
      type,
    })
  } else if (isSynchronised === false) {
    findings.unshift({
      severity: 'warning',
      what: 'the clock is not set by the network',
      meaning: 'it drifts by seconds a day; scheduled bundles and times in the history drift with it',
      remedy,
      type,
    })
  }
  const source = isSynchronised ? ', set by the network' : ''
  return { topic: 'clock', fine: `${now.toISOString().slice(0, 16).replace('T', ' ')} UTC${source}`, findings }
}
