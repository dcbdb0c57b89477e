import { defineCommand } from '../command.ts'
import { connectionOptions, withClient } from '../connection.ts'
import { jsonLine } from '../json-line.ts'
import { patternArgument } from '../option-values.ts'
import { tableLines } from '../table.ts'

export const query = defineCommand({
  usage: '[PATTERN]',
  args: [0, 1],
  details:
    'Lists the signals that devices and applications have announced: what there is, whether or not it has a value yet.',
  options: {
    json: { type: 'boolean', help: 'One object a line: address, signal, datatype, access.' },
    ...connectionOptions,
  },
  examples: [["query '/sim/**'", 'what the simulated board offers']],
  async run({ values, args, terminal, signal }) {
    const pattern = patternArgument(args[0] ?? '/**')
    const signals = await withClient(values, signal, (client) => client.query(pattern))
    signals.sort((a, b) => (a.address < b.address ? -1 : 1))
    if (values.json) {
      for (const { address, type, datatype, access } of signals) {
        terminal.line(jsonLine({ address, signal: type, datatype, access }))
      }
    } else if (signals.length === 0) {
      terminal.note(`nothing is announced for ${pattern}`)
    } else {
      const columns = [{ title: 'ADDRESS', maxWidth: 60 }, { title: 'SIGNAL' }, { title: 'TYPE' }, { title: 'ACCESS' }]
      const rows = signals.map(({ address, type, datatype = '', access = '' }) => [address, type, datatype, access])
      for (const line of tableLines(terminal, columns, rows)) terminal.line(line)
    }
    return 0
  },
})
