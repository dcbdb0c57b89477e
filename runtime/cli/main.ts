import { nearest } from '../config/nearest.ts'
import { UsageError } from './command.ts'
import { type CommandEntry, commands } from './commands/index.ts'
import { commandHelp, groupHelp, overallHelp } from './help.ts'
import { parseArguments } from './parse-arguments.ts'
import { processTerminal } from './terminal.ts'

const USAGE = 2
const FAILURE = 1
/** 128 + SIGINT, as shells have it. */
const INTERRUPTED = 130

const terminal = processTerminal()

async function main(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv
  if (first === undefined) {
    terminal.note(overallHelp(terminal))
    return USAGE
  }
  if (first === '--help' || first === '-h' || (first === 'help' && rest.length === 0)) {
    terminal.line(overallHelp(terminal))
    return 0
  }
  const isHelp = first === 'help'
  const words = isHelp ? rest : first === '--version' || first === '-v' ? ['version'] : argv
  const [word, ...others] = words
  const found = named(commands, word)
  if (found === undefined) return USAGE
  if ('load' in found) return runCommand(word, found, isHelp ? ['--help'] : others)
  const [second, ...behind] = others
  const asksForHelp = second === '--help' || second === '-h'
  if (second === undefined || asksForHelp) {
    const isAsked = isHelp || asksForHelp
    terminal[isAsked ? 'line' : 'note'](groupHelp(word, found, terminal))
    return isAsked ? 0 : USAGE
  }
  const name = `${word} ${second}`
  const entry = named(found.commands, second, `${word} `)
  return entry === undefined ? USAGE : runCommand(name, entry, isHelp ? ['--help'] : behind)
}

/** The entry of that name; tells the person at the keyboard when there is none. */
function named<T>(entries: Readonly<Record<string, T>>, word: string, group = ''): T | undefined {
  if (Object.hasOwn(entries, word)) return entries[word]
  const near = nearest(word, Object.keys(entries))
  const hint = near === undefined ? `clasp-edge ${group}--help lists them` : `did you mean "${near}"?`
  const isOption = word.startsWith('-')
  const what = isOption ? `no option ${word} here; options come behind a command` : `no command "${group}${word}"`
  terminal.note(`clasp-edge: there is ${what}: ${hint}`)
  return undefined
}

async function runCommand(name: string, entry: CommandEntry, input: readonly string[]): Promise<number> {
  const command = await entry.load()
  try {
    const { values, args } = parseArguments(command, input)
    if (values.help) {
      terminal.line(commandHelp(name, command, terminal))
      return 0
    }
    return (await command.run({ values, args, terminal, signal: interruption() })) ?? 0
  } catch (error) {
    return failure(error as Error, name)
  }
}

let isInterrupted = false

/** Aborted by the first SIGINT or SIGTERM; the second ends the process at once. */
function interruption(): AbortSignal {
  const aborter = new AbortController()
  const onSignal = () => {
    isInterrupted = true
    if (aborter.signal.aborted) process.exit(INTERRUPTED)
    aborter.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return aborter.signal
}

/** By name, so that the classes need not be loaded. Their messages are made for the operator. */
const OPERATOR_ERRORS = ['CommandError', 'ClientError', 'ListenError', 'SerialError']

function failure(error: Error, command: string): number {
  if ('kind' in error && error.kind === 'aborted') return INTERRUPTED
  if (error instanceof UsageError) {
    terminal.note(`clasp-edge ${command}: ${error.message}`)
    terminal.note(`clasp-edge ${command} --help tells how it is used`)
    return USAGE
  }
  if (error.name === 'ConfigError') {
    terminal.note(error.message)
    return USAGE
  }
  if (OPERATOR_ERRORS.includes(error.name)) {
    terminal.note(`clasp-edge ${command}: ${error.message}`)
    return FAILURE
  }
  terminal.note(`clasp-edge ${command}: this is a bug, please report it with these lines:\n${error.stack ?? error}`)
  return FAILURE
}

// The reader of the output may go away (`| head`): there is nobody left to write to, and nothing wrong.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : FAILURE))
}

/** Resolves when all that was printed is taken: a pipe holds 64 kB, and what is in our hands then would be lost. */
function outputTaken(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(INTERRUPTED))
  return new Promise((resolve) => process.stdout.write('', () => resolve()))
}

main(process.argv.slice(2)).then(async (code) => {
  process.exitCode = code
  if (!isInterrupted && process.stdout.writableLength > 0) await outputTaken()
  // Commands let go of everything they hold; what still waits (name look-ups, after a signal an unread pipe) must not
  // keep us.
  process.exit()
})
