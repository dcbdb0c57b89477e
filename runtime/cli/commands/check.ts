import { findConfig } from '../../config/find.ts'
import { configJsonSchema } from '../../config/json-schema.ts'
import { DEFAULT_CONFIG_FILE } from '../../config/load.ts'
import { defineCommand } from '../command.ts'

export const check = defineCommand({
  usage: '[FILE]',
  args: [0, 1],
  details:
    `Checks a configuration file, by default ${DEFAULT_CONFIG_FILE}, without starting anything. Everything that is wrong\n` +
    'is told with line, column and what was expected. Exit code 0: it can be used; 2: it cannot.',
  options: {
    schema: { type: 'boolean', help: 'Print the JSON Schema of the configuration, for editors.' },
  },
  examples: [
    ['check config.yaml', 'is this file in order?'],
    ['check --schema > config.schema.json', 'completion and checks while you type'],
  ],
  async run({ values, args, terminal }) {
    if (values.schema) {
      terminal.line(JSON.stringify(await configJsonSchema(), null, 2))
      return 0
    }
    const { config, file } = await findConfig(args[0])
    const { checkUplink } = await import('../../edge/uplink-part.ts')
    await checkUplink(config, file ?? 'the defaults')
    terminal.line(
      file === undefined ? `there is no ${DEFAULT_CONFIG_FILE}: the defaults are used` : `${file} is in order`,
    )
    return 0
  },
})
