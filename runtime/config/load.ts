import { readFile } from 'node:fs/promises'
import type { LineCounter, YAMLError } from 'yaml'
import { ConfigError, type Problem } from './problem.ts'
import { type Config, lazyLists, schema } from './schema.ts'
import { yamlSource } from './yaml-source.ts'

export const DEFAULT_CONFIG_FILE = '/etc/clasp-edge/config.yaml'

/** Reads and checks a configuration file. Throws a ConfigError that names everything that is wrong with it. */
export async function loadConfig(file: string): Promise<Config> {
  let content: string
  try {
    content = await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigError(file, [{ line: 0, column: 0, ...unreadable(error as NodeJS.ErrnoException) }])
  }
  return parseConfig(content, file)
}

/** Checks a configuration in YAML 1.2; an empty one means the defaults. `file` is for the messages. */
export async function parseConfig(content: string, file: string): Promise<Config> {
  const { yaml } = await import('./yaml-library.ts')
  const lines = new yaml.LineCounter()
  const document = yaml.parseDocument(content, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    throw new ConfigError(
      file,
      document.errors.map((error) => syntaxProblem(error, content, lines)),
    )
  }
  for (const [key, list] of Object.entries(lazyLists)) if (document.has(key)) await list.load()
  const problems: Problem[] = []
  const config = schema.read(yamlSource(yaml, document, lines), problems)
  if (problems.length > 0) throw new ConfigError(file, problems)
  return config
}

function syntaxProblem(error: YAMLError, content: string, lines: LineCounter): Problem {
  const { line, col: column } = lines.linePos(error.pos[0])
  switch (error.code) {
    case 'DUPLICATE_KEY': {
      const key = /^[^\s:]*/.exec(content.slice(error.pos[0]))?.[0] ?? ''
      return { line, column, message: `the key "${key}" is here a second time`, remedy: 'keep one of them' }
    }
    case 'TAB_AS_INDENT':
      return { line, column, message: 'a tab cannot indent', remedy: 'indent with spaces' }
    default: {
      const message = `not valid YAML: ${error.message.replace(/\s+/g, ' ')}`
      return { line, column, message, remedy: 'check the indentation, the colons and the quotes here and above' }
    }
  }
}

function unreadable({ code, message }: NodeJS.ErrnoException): Pick<Problem, 'message' | 'remedy'> {
  switch (code) {
    case 'ENOENT':
      return { message: 'there is no such file', remedy: 'check the path' }
    case 'EISDIR':
      return { message: 'this is a directory', remedy: 'name the file in it' }
    case 'EACCES':
      return { message: 'no permission to read it', remedy: 'make it readable for the user that runs clasp-edge' }
    default:
      return { message: `cannot be read (${message})`, remedy: 'check the path and the disk' }
  }
}
