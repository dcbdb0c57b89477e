import { defineDevice, type Plain } from '../device.ts'
import { number } from '../options.ts'
import { PORT_RETRY_MS } from './port-options.ts'
import { openTextPort, playedLine, sendOptions, textOptions } from './text-port.ts'

/**
 * Anything that speaks in lines of text: bar code and RFID readers, scales, instruments, projectors, microcontrollers.
 * What comes is an event and never a param, because codes of cards must not be kept. Source: bridges.md §20.3.
 */
export const lines = defineDevice({
  kind: 'lines',
  description: 'Lines of text at a serial port, in and out.',
  namespace: 'serial',
  isOwnTwin: true,
  retryMs: PORT_RETRY_MS,
  options: {
    ...textOptions(9600),
    ...sendOptions,
    maxRate: number('Lines a second that are told; those beyond are left out. 0 = no limit.', 50, { min: 0, max: 200 }),
  },
  signals: () => ({
    line: { type: 'event', datatype: 'string', access: 'r', description: 'A line that it sent, without its end' },
    send: { type: 'event', datatype: 'string', access: 'w', description: 'A line to send; its end is added' },
  }),
  simulatedInputs: () => playedLine,
  async open(context) {
    const { emit, clock, options } = context
    let allowance = Math.max(1, options.maxRate)
    let filledAt = clock.now()
    const port = await openTextPort(
      context,
      {
        expected: 'line of text',
        onLine(line, wrong) {
          const now = clock.now()
          const { maxRate } = options
          allowance = Math.min(Math.max(1, maxRate), allowance + ((now - filledAt) / 1000) * maxRate)
          filledAt = now
          if (maxRate === 0 || allowance >= 1) {
            allowance--
            emit('line', line)
          } else {
            wrong(`more than ${maxRate} lines a second came: set maxRate if they are wanted`)
          }
          return true
        },
      },
      options,
    )
    return {
      write: { send: (value: Plain) => port.send(String(value)) },
      play: port.play,
      close: () => port.close(),
    }
  },
})
