import { duration } from '../options.ts'
import { modbusKind } from './modbus-kind.ts'
import { ModbusRtu } from './modbus-rtu.ts'
import { describeSettings, portOptions } from './port-options.ts'

/**
 * Meters, drives, relay boards and sensors on an RS-485 or RS-232 line: one device for the port, with the registers of
 * all its slaves. The standard asks for 19200 baud with even parity; 9600 without parity is what most come with.
 * Source: MODBUS over Serial Line V1.02; MODBUS Application Protocol V1.1b3; bridges.md §20.7.
 */
export const modbus = modbusKind({
  kind: 'modbus',
  description: 'Modbus RTU slaves at a serial port, of which this board is the master.',
  options: {
    ...portOptions(9600),
    timeout: duration('How long a slave may take to answer.', 500, { minMs: 10, maxMs: 60_000 }),
    pause: duration('Between an answer and the next request, at least.', 0, { minMs: 0, maxMs: 10_000 }),
  },
  link: (context) => ModbusRtu.open(context, { timeoutMs: context.options.timeout, pauseMs: context.options.pause }),
  advice: (options) =>
    `at ${describeSettings(options)}: check its address, power, wires (A and B) and termination, and that its settings are the same`,
})
