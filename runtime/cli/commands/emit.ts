import { nowUs } from '../../client/client.ts'
import { defineCommand } from '../command.ts'
import { connectionOptions, withClient } from '../connection.ts'
import { addressArgument } from '../option-values.ts'
import { inputValue, VALUE_HELP, valueOptions } from '../value-input.ts'

export const emit = defineCommand({
  usage: 'ADDRESS [VALUE]',
  args: [1, 2],
  details: `Sends an event, without a value or with one, and waits until the router has taken it.\n${VALUE_HELP}`,
  options: { ...valueOptions, ...connectionOptions },
  examples: [
    ['emit /cue/go', 'an event that says nothing but "now"'],
    ['emit /cue/go \'{"cue": 7}\'', 'an event with a value'],
  ],
  async run({ values, args, signal }) {
    const address = addressArgument(args[0])
    const value = args[1] === undefined && !isTyped(values) ? { type: 'null' as const } : inputValue(values, args[1])
    return withClient(values, signal, async (client) => {
      await client.publish({ address, signal: 'event', value, timestamp: nowUs() })
      return 0
    })
  },
})

function isTyped(values: { readonly [key: string]: unknown }): boolean {
  return Object.keys(valueOptions).some((kind) => values[kind])
}
