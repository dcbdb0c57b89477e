import type { Terminal } from './terminal.ts'

/** A problem of the command line as it was typed: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Something that did not work out, told in a sentence that says what to do: exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

export interface Option {
  type: 'boolean' | 'string'
  /** One letter. */
  short?: string
  multiple?: boolean
  /** What stands for the value in the help: `URL`. */
  value?: string
  help: string
}

export type Options = Readonly<Record<string, Option>>

type ValueOf<O extends Option> = O extends { type: 'boolean' }
  ? boolean
  : O extends { multiple: true }
    ? string[]
    : string

export interface Invocation<O extends Options> {
  values: { readonly [K in keyof O]?: ValueOf<O[K]> }
  /** What is not an option. */
  args: string[]
  terminal: Terminal
  /** Aborted by SIGINT and SIGTERM. */
  signal: AbortSignal
}

export interface CommandDescription<O extends Options> {
  /** Behind the name: `ADDRESS [VALUE]`. */
  usage: string
  /** How many arguments there may be. */
  args: readonly [least: number, most: number]
  /** Paragraphs for the help. */
  details: string
  options: O
  /** Whole command lines without the program's name, each with what it does. */
  examples: readonly (readonly [line: string, what: string])[]
  /** Exit code; nothing is 0. */
  run(invocation: Invocation<O>): Promise<number | undefined>
}

/** Any command, to be run with what `parseArguments` makes of its options. */
export interface Command extends Omit<CommandDescription<Options>, 'run'> {
  run(invocation: Omit<Invocation<Options>, 'values'> & { values: ParsedValues }): Promise<number | undefined>
}

export type ParsedValues = Record<string, string | boolean | string[] | undefined>

/** Checks a command's `run` against its options. */
export function defineCommand<const O extends Options>(command: CommandDescription<O>): Command {
  return command as unknown as Command
}
