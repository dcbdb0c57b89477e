import { defineCommand } from '../command.ts'
import { VERSION } from '../version-text.ts'

export const version = defineCommand({
  usage: '',
  args: [0, 0],
  details: 'Prints the version of clasp-edge, of Node and of the platform.',
  options: {},
  examples: [],
  async run({ terminal }) {
    terminal.line(`clasp-edge ${VERSION} (node ${process.versions.node}, ${process.platform} ${process.arch})`)
    return 0
  },
})
