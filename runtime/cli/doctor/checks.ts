import { busOf } from '../device-needs.ts'
import { checkAccess } from './access.ts'
import { checkBuses } from './buses.ts'
import { checkCard } from './card.ts'
import { checkDevices } from './devices.ts'
import type { CheckResult } from './finding.ts'
import { checkHeat } from './heat.ts'
import { checkJournalPlace } from './journal-place.ts'
import { checkLines } from './lines.ts'
import { checkPort } from './port.ts'
import { checkPower } from './power.ts'
import { checkSerialConsole } from './serial-console.ts'
import { checkSoftware } from './software.ts'
import type { System } from './system.ts'
import { checkWallClock } from './wall-clock.ts'

/** Every check, in the order in which they are told. */
export function runChecks(system: System): Promise<CheckResult[]> {
  const neededBuses = new Set(system.needs.flatMap((need) => busOf(need, system.view.buses)?.bus.name ?? []))
  return Promise.all([
    checkPower(system),
    checkHeat(system),
    checkCard(system),
    checkWallClock(system),
    checkAccess(system),
    checkBuses(system, neededBuses),
    checkDevices(system),
    checkLines(system),
    checkSerialConsole(system),
    checkJournalPlace(system),
    checkPort(system),
    checkSoftware(system),
  ])
}
