import { setTimeout as delay } from 'node:timers/promises'
import { nowUs } from '../../client/client.ts'
import { defineCommand, UsageError } from '../command.ts'
import { connectionOptions, withClient } from '../connection.ts'
import { linesOf } from '../lines-of.ts'
import { addressArgument, positiveOption } from '../option-values.ts'
import { inputValue, VALUE_HELP, valueOptions } from '../value-input.ts'

/** A router that takes nothing makes the command wait instead of fill the memory. */
const MAX_UNSENT_BYTES = 1_048_576

export const stream = defineCommand({
  usage: 'ADDRESS [VALUE…]',
  args: [1, 100_000],
  details:
    'Sends values as a stream: those given, one after the other, or else the lines of standard input as they come.\n' +
    VALUE_HELP,
  options: {
    rate: { type: 'string', value: 'HZ', help: 'Values per second. Default: 10, or as fast as the lines come.' },
    repeat: { type: 'boolean', help: 'Begin anew after the last value, until Ctrl-C.' },
    ...valueOptions,
    ...connectionOptions,
  },
  examples: [
    ['stream /fader 0 0.5 1 --rate 2', 'three values, two a second'],
    ['stream /noise --float < numbers.txt', 'the lines of a file'],
  ],
  async run({ values, args, terminal, signal }) {
    const [first, ...texts] = args
    const address = addressArgument(first)
    const isInput = texts.length === 0
    if (isInput && values.repeat) throw new UsageError('--repeat needs values')
    const rate = positiveOption(values.rate, '--rate') ?? (isInput ? Number.POSITIVE_INFINITY : 10)
    const given = texts.map((text) => inputValue(values, text))
    async function* source() {
      if (isInput) {
        for await (const line of linesOf(terminal.input, signal)) {
          if (line.trim() !== '') yield inputValue(values, line.trim())
        }
      } else
        do yield* given
        while (values.repeat)
    }
    return withClient(values, signal, async (client) => {
      const start = performance.now()
      let sent = 0
      try {
        for await (const value of source()) {
          // Against the start, not against the last value: delays do not add up.
          const due = start + (sent * 1000) / rate - performance.now()
          if (due > 0) await delay(due, undefined, { signal })
          while (client.isOpen && client.unsentBytes > MAX_UNSENT_BYTES) await delay(5, undefined, { signal })
          // Then the PING below tells why.
          if (signal.aborted || !client.isOpen) break
          client.send({ type: 'PUBLISH', address, signal: 'stream', value, timestamp: nowUs() })
          sent++
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
      if (!signal.aborted) await client.ping()
      return 0
    })
  },
})
