import type { Ttl } from '../../../firmware-protocol/wire/message.ts'
import { formatValue } from '../../../firmware-protocol/wire/values.ts'
import { parseDuration } from '../../config/duration.ts'
import { defineCommand, UsageError } from '../command.ts'
import { connectionOptions, withClient } from '../connection.ts'
import { addressArgument, wholeOption } from '../option-values.ts'
import { printable } from '../terminal.ts'
import { inputValue, VALUE_HELP, valueOptions } from '../value-input.ts'

const LONGEST_TTL_SECONDS = 0x7fff_ffff

export const set = defineCommand({
  usage: 'ADDRESS VALUE',
  args: [1, 2],
  details: `Writes a param and waits until the router has taken it.\n${VALUE_HELP}`,
  options: {
    ...valueOptions,
    ttl: { type: 'string', value: 'TIME', help: 'Forget it so long after its last write (30s, 5m), or "never".' },
    lock: { type: 'boolean', help: 'Lock it: only this session may write it, until it ends. Tells if it is locked.' },
    unlock: { type: 'boolean', help: 'Release the lock.' },
    revision: { type: 'string', value: 'N', help: 'Only if its revision is still N.' },
    ...connectionOptions,
  },
  examples: [
    ['set /lights/desk/level 0.8', 'a float'],
    ['set /lights/desk/name --string 42', 'text that looks like a number'],
    ['set /scene \'{"cue": 7}\' --ttl 5m', 'a map that is forgotten after five minutes'],
  ],
  async run({ values, args, terminal, signal }) {
    const address = addressArgument(args[0])
    const value = inputValue(values, args[1])
    if (values.lock && values.unlock) throw new UsageError('--lock and --unlock exclude each other')
    const options = {
      ttl: ttlOf(values.ttl),
      lock: values.lock,
      unlock: values.unlock,
      revision: wholeOption(values.revision, '--revision', 0),
    }
    return withClient(values, signal, async (client) => {
      const { revision, locked } = await client.set(address, value, options)
      const details = [revision === undefined ? '' : `revision ${revision}`, locked ? 'locked' : ''].filter(Boolean)
      const suffix = details.length === 0 ? '' : terminal.paint('dim', `  (${details.join(', ')})`)
      terminal.line(`${printable(address)} = ${printable(formatValue(value))}${suffix}`)
      return 0
    })
  },
})

function ttlOf(text: string | undefined): Ttl | undefined {
  if (text === undefined) return undefined
  if (text === 'never') return { mode: 'never' }
  const seconds = Math.ceil((parseDuration(text) ?? 0) / 1000)
  if (seconds >= 1 && seconds <= LONGEST_TTL_SECONDS) return { mode: 'sliding', seconds }
  throw new UsageError(`--ttl: "${text}" is not a time such as 30s, 5m or 1h of at least a second, nor "never"`)
}
