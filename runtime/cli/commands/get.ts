import type { SnapshotParam } from '../../../firmware-protocol/wire/message.ts'
import { formatValue } from '../../../firmware-protocol/wire/values.ts'
import { defineCommand, UsageError } from '../command.ts'
import { connectionOptions, withClient } from '../connection.ts'
import { jsonLine } from '../json-line.ts'
import { addressArgument } from '../option-values.ts'
import { printable } from '../terminal.ts'

export const get = defineCommand({
  usage: 'ADDRESS…',
  args: [1, 1000],
  details:
    'Prints the value of a param; of several, each behind its address. Exit code 1 when one of them does not exist.\n' +
    'For patterns there is "snapshot".',
  options: {
    json: { type: 'boolean', help: 'One object a line: address, type, value, revision, writer, time.' },
    raw: { type: 'boolean', short: 'r', help: 'Text without quotes and escapes.' },
    ...connectionOptions,
  },
  examples: [
    ['get /sim/temperature', 'one value'],
    ['get --json /a /b', 'two values, for scripts'],
  ],
  async run({ values, args, terminal, signal }) {
    for (const address of args) {
      if (address.includes('*'))
        throw new UsageError(`"${address}" is a pattern: use "clasp-edge snapshot '${address}'"`)
      addressArgument(address)
    }
    const show = ({ address, value, revision, writer, timestamp }: SnapshotParam) => {
      if (values.json) {
        const time = timestamp === undefined ? undefined : new Date(Number(timestamp) / 1000).toISOString()
        return jsonLine({ address, type: value.type, revision, writer, time }, { value })
      }
      const text = values.raw && value.type === 'string' ? value.value : printable(formatValue(value))
      return args.length === 1 ? text : `${printable(address)} ${text}`
    }
    return withClient(values, signal, async (client) => {
      const found = await Promise.all(args.map((address) => client.get(address)))
      found.forEach((param, i) => {
        if (param === undefined) terminal.note(`there is no param ${printable(args[i])}`)
        else terminal.line(show(param))
      })
      return found.includes(undefined) ? 1 : 0
    })
  },
})
