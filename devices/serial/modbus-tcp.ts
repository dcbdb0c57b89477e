import { duration, required, text, whole } from '../options.ts'
import { modbusKind } from './modbus-kind.ts'
import { ModbusNetwork } from './modbus-network.ts'

/**
 * Meters, inverters and controllers with Modbus TCP, and gateways to a line of slaves: one device for the connection. It
 * has no passwords and is not encrypted: it belongs into a network of its own. Source: bridges.md §20.7.
 */
export const modbusTcp = modbusKind({
  kind: 'modbus-tcp',
  description: 'A Modbus TCP server, or a gateway to Modbus slaves.',
  options: {
    host: required(text('Its name or address.')),
    port: whole('Its port.', 502, { min: 1, max: 65_535 }),
    timeout: duration('How long it may take to answer.', 1000, { minMs: 10, maxMs: 60_000 }),
  },
  link: (context) => {
    const { host = '', port, timeout } = context.options
    return ModbusNetwork.open({ ...context, options: { host, port, timeout } })
  },
  advice: ({ host, port }) => `from ${host}:${port}: check the address of the slave, and the line behind a gateway`,
})
