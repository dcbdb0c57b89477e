import { parseArgs } from 'node:util'
import { nearest } from '../config/nearest.ts'
import { type Command, type Options, type ParsedValues, UsageError } from './command.ts'

export interface ParsedArguments {
  values: ParsedValues
  args: string[]
}

/** Marks a negative number, which would otherwise be taken for an option; no argument can contain it. */
const NEGATIVE = '\0'

/** Reads the arguments of a command. Throws a UsageError that names the option that was probably meant. */
export function parseArguments(command: Command, input: readonly string[]): ParsedArguments {
  const options = { ...command.options, help: HELP }
  const marked = input.map((text) => (/^-(\d|\.\d|Infinity$)/.test(text) ? NEGATIVE + text : text))
  const { values, positionals } = strictlyParsed(marked, options)
  const unmark = (text: string) => (text.startsWith(NEGATIVE) ? text.slice(1) : text)
  const [least, most] = command.args
  // Somebody who asks for help need not get the rest right.
  if (!values.help && positionals.length < least) throw new UsageError('an argument is missing')
  if (!values.help && positionals.length > most) {
    throw new UsageError(`"${unmark(positionals[most])}" is too much: is it to be in quotes with what is before it?`)
  }
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'string') values[name] = unmark(value)
    if (Array.isArray(value)) values[name] = value.map(unmark)
  }
  return { values, args: positionals.map(unmark) }
}

const HELP = { type: 'boolean', short: 'h', help: 'Show this.' } as const

function strictlyParsed(args: string[], options: Options) {
  // `undefined` members are not for parseArgs.
  const specification = Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple = false }]) => [
      name,
      short === undefined ? { type, multiple } : { type, multiple, short },
    ]),
  )
  // The lenient pass finds what the strict one would only complain about.
  const { tokens } = parseArgs({ args, options: specification, allowPositionals: true, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined
    if (option === undefined) {
      const near = nearest(token.name, Object.keys(options))
      throw new UsageError(
        `there is no option ${token.rawName}${near === undefined ? '' : `: did you mean --${near}?`}`,
      )
    }
    if (
      option.type === 'string' &&
      (token.value === undefined || (!token.inlineValue && token.value.startsWith('-')))
    ) {
      throw new UsageError(`${token.rawName} needs a value: ${token.rawName} ${option.value ?? 'VALUE'}`)
    }
    if (option.type === 'boolean' && token.value !== undefined)
      throw new UsageError(`${token.rawName} takes no value, got "${token.value}"`)
  }
  const { values, positionals } = parseArgs({ args, options: specification, allowPositionals: true })
  return { values: values as ParsedValues, positionals }
}
