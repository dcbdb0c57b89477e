/** One thing that is wrong with a configuration file, and what to do about it. */
export interface Problem {
  /** 1-based; 0 when it concerns the whole file. */
  line: number
  column: number
  message: string
  remedy: string
}

/** At a place of the file. */
export function problemAt(
  { line, column }: Pick<Problem, 'line' | 'column'>,
  message: string,
  remedy: string,
): Problem {
  return { line, column, message, remedy }
}

/** A value of the file, for messages. */
export function shown(value: unknown): string {
  return value === undefined || value === null ? 'nothing' : JSON.stringify(value)
}

/** A configuration that cannot be used, with everything that is wrong with it. */
export class ConfigError extends Error {
  readonly file: string
  readonly problems: readonly Problem[]

  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map((problem) => describe(file, problem)).join('\n'))
    this.name = 'ConfigError'
    this.file = file
    this.problems = problems
  }
}

function describe(file: string, { line, column, message, remedy }: Problem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`
  return `${place}: ${message}${remedy === '' ? '' : `: ${remedy}`}`
}
