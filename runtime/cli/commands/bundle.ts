import { readFile } from 'node:fs/promises'
import { bundleArgument, bundleJson, bundleTime } from '../bundle-input.ts'
import { CommandError, defineCommand, UsageError } from '../command.ts'
import { connectionOptions, withClient } from '../connection.ts'
import { textOf } from '../lines-of.ts'
import type { Terminal } from '../terminal.ts'

export const bundle = defineCommand({
  usage: '[PART…]',
  args: [0, 10_000],
  details:
    'Sends several messages as one bundle, which takes effect as a whole or not at all, now or at a given time. Parts are\n' +
    'set:ADDRESS=VALUE, emit:ADDRESS[=VALUE] and stream:ADDRESS=VALUE; values are taken for what they look like. Without\n' +
    'parts, the bundle is read as JSON from --file or standard input: [{"set": ["/a", 1]}, {"emit": ["/b", "x"]}].',
  options: {
    file: {
      type: 'string',
      short: 'f',
      value: 'FILE',
      help: 'Read the bundle as JSON from here; - is standard input.',
    },
    at: { type: 'string', value: 'TIME', help: "When, by this machine's clock: +200ms, 2030-01-01T12:00:00Z." },
    ...connectionOptions,
  },
  examples: [
    ['bundle set:/a=1 set:/b=0.5 emit:/go', 'three messages at once'],
    ['bundle --at +2s emit:/cue/go=7', 'an event in two seconds'],
    ['bundle --file scene.json', 'from a file'],
  ],
  async run({ values, args, terminal, signal }) {
    if (args.length > 0 && values.file !== undefined) throw new UsageError('parts and --file exclude each other')
    const messages = args.length > 0 ? args.map(bundleArgument) : bundleJson(await readBundle(values.file, terminal))
    if (messages.length === 0) throw new UsageError('the bundle is empty')
    const at = values.at === undefined ? undefined : bundleTime(values.at)
    return withClient(values, signal, async (client) => {
      // The router goes by its own clock.
      const timestamp = at === undefined ? undefined : at + (await client.sync()).offsetUs
      const { revision } = await client.bundle(messages, timestamp)
      const suffix = revision === undefined ? '' : terminal.paint('dim', `  (revision ${revision})`)
      const what = messages.length === 1 ? '1 message' : `${messages.length} messages`
      terminal.line(`${what} ${timestamp === undefined ? 'taken' : 'scheduled'}${suffix}`)
      return 0
    })
  },
})

async function readBundle(file: string | undefined, terminal: Terminal): Promise<string> {
  if (file === undefined && terminal.input.isTTY) throw new UsageError('the parts of the bundle are missing')
  if (file === undefined || file === '-') {
    const text = await textOf(terminal.input)
    if (text === undefined) throw new CommandError('standard input is too long for a bundle')
    return text
  }
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new CommandError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}): check the path`)
  }
}
