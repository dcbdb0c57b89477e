import { formatValue } from '../../../firmware-protocol/wire/values.ts'
import { showTime } from '../amounts.ts'
import { defineCommand } from '../command.ts'
import { connectionOptions, withClient } from '../connection.ts'
import { jsonLine } from '../json-line.ts'
import { patternArgument } from '../option-values.ts'
import { tableLines } from '../table.ts'

export const snapshot = defineCommand({
  usage: '[PATTERN]',
  args: [0, 1],
  details: 'Prints the params that the router holds: all of them, or those that match.',
  options: {
    json: { type: 'boolean', help: 'One object a line: address, type, revision, writer, time, value.' },
    ...connectionOptions,
  },
  examples: [
    ["snapshot '/lights/**'", 'a table'],
    ['snapshot --json > state.jsonl', 'everything, for a script'],
  ],
  async run({ values, args, terminal, signal }) {
    const pattern = patternArgument(args[0] ?? '/**')
    const params = await withClient(values, signal, (client) => client.snapshot(pattern))
    if (values.json) {
      for (const { address, value, revision, writer, timestamp } of params) {
        const time = timestamp === undefined ? undefined : new Date(Number(timestamp) / 1000).toISOString()
        terminal.line(jsonLine({ address, type: value.type, revision, writer, time }, { value }))
      }
    } else if (params.length === 0) {
      terminal.note(`the router holds no param that matches ${pattern}`)
    } else {
      const now = Date.now()
      const columns = [
        { title: 'ADDRESS', maxWidth: 60 },
        { title: 'VALUE', maxWidth: 60 },
        { title: 'TYPE' },
        { title: 'REVISION', align: 'right' as const },
        { title: 'WRITTEN' },
      ]
      const rows = params.map(({ address, value, revision, timestamp }) => {
        // By the router's clock, which may be ahead of ours.
        const age = timestamp === undefined ? undefined : Math.max(0, now - Number(timestamp) / 1000)
        return [
          address,
          formatValue(value),
          value.type,
          String(revision),
          age === undefined ? '' : `${showTime(age)} ago`,
        ]
      })
      for (const line of tableLines(terminal, columns, rows)) terminal.line(line)
    }
    return 0
  },
})
