import type { Config } from '../config/schema.ts'
import type { DeviceHost } from '../devices/device-host.ts'
import { findProgram } from '../find-program.ts'
import type { EdgeScope } from './scope.ts'

/** The configured hardware. Resolves when every device was tried once. */
export async function startDevicesPart(scope: EdgeScope, { devices: entries, failSafe }: Config): Promise<DeviceHost> {
  const { router, clock, log, board, programs, stops, reports, isSimulated } = scope
  const { startDevices } = await import('../devices/device-host.ts')
  const { devicesReport } = await import('../devices/devices-report.ts')
  const { boardPins } = await import('../devices/board-pins.ts')
  const { DevicePorts } = await import('../devices/device-ports.ts')
  const devices = await startDevices(
    { entries, simulate: isSimulated, watchdogMs: failSafe.watchdog, lingerMs: failSafe.linger },
    {
      router,
      clock,
      log,
      program: await findProgram(programs, 'clasp-io'),
      i2cProgram: () => findProgram(programs, 'clasp-i2c'),
      findProgram: (name) => findProgram(programs, name),
      board,
      pins: await boardPins(board),
      serial: new DevicePorts(clock),
    },
  )
  stops.push(() => devices.stop())
  reports.devices = () => devicesReport(devices.reports)
  return devices
}
