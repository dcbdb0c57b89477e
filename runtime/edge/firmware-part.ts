import type { Config } from '../config/schema.ts'
import { findProgram } from '../find-program.ts'
import type { Firmware } from '../firmware/firmware.ts'
import type { NarrowAcceptor } from '../firmware/narrow-acceptor.ts'
import type { EdgeScope } from './scope.ts'

/** Microcontrollers on serial lines and UDP, and the simulated one. */
export async function startFirmwarePart(scope: EdgeScope, config: Config, acceptor: NarrowAcceptor): Promise<Firmware> {
  const { router, clock, log, programs, stops, isSimulated } = scope
  const { startFirmware } = await import('../firmware/firmware.ts')
  const simulatedNode = isSimulated ? await findProgram(programs, 'simulated-node') : null
  const firmware = await startFirmware(config.firmware, {
    router,
    acceptor,
    clock,
    log,
    simulatedNode,
    reservedPorts: [...config.devices, ...config.bridges].flatMap(({ options }) => serialPortsOf(options)),
  })
  stops.push(() => firmware.stop())
  return firmware
}

/** Serial ports that a device or bridge is to have: its `port`, and those of its list of ports. */
function serialPortsOf(options: unknown): string[] {
  const { port, ports } = options as { port?: unknown; ports?: unknown }
  const listed = Array.isArray(ports) ? ports.flatMap(serialPortsOf) : []
  return typeof port === 'string' && /^(\/dev\/|usb:)/.test(port) ? [port, ...listed] : listed
}
