import type { Command } from './command.ts'
import { type CommandGroup, commands } from './commands/index.ts'
import type { Terminal } from './terminal.ts'

const PROGRAM = 'clasp-edge'

export function overallHelp(terminal: Terminal): string {
  const heading = (text: string) => terminal.paint('bold', text)
  return [
    `${heading(PROGRAM)}: a CLASP router for single-board computers, and tools for any CLASP router`,
    '',
    `${heading('Usage')}: ${PROGRAM} COMMAND [OPTIONS]`,
    '',
    ...summaries(commands),
    '',
    `${PROGRAM} COMMAND --help tells more about one. The tools connect to --url or CLASP_URL, else to this machine.`,
    '',
    heading('Examples'),
    `  ${PROGRAM} run                        start a router with the default configuration`,
    `  ${PROGRAM} sub '/sim/**'              watch what the simulated board does`,
    `  ${PROGRAM} set /lights/desk/on true   write a param`,
  ].join('\n')
}

export function groupHelp(name: string, { summary, commands: entries }: CommandGroup, terminal: Terminal): string {
  return [
    `${terminal.paint('bold', 'Usage')}: ${PROGRAM} ${name} COMMAND [OPTIONS]`,
    '',
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
    '',
    ...summaries(entries),
    '',
    `${PROGRAM} ${name} COMMAND --help tells more about one.`,
  ].join('\n')
}

function summaries(entries: Readonly<Record<string, { summary: string }>>): string[] {
  const width = Math.max(...Object.keys(entries).map((name) => name.length))
  return Object.entries(entries).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
}

export function commandHelp(name: string, command: Command, terminal: Terminal): string {
  const heading = (text: string) => terminal.paint('bold', text)
  const rows = Object.entries(command.options).map(([option, { short, value, help, type }]) => {
    const long = `--${option}${type === 'string' ? ` ${value ?? 'VALUE'}` : ''}`
    return [`${short === undefined ? '    ' : `-${short}, `}${long}`, help] as const
  })
  rows.push(['-h, --help', 'Show this.'])
  const width = Math.max(...rows.map(([left]) => left.length))
  const exampleWidth = Math.max(0, ...command.examples.map(([line]) => line.length))
  return [
    `${heading('Usage')}: ${PROGRAM} ${name}${command.usage === '' ? '' : ` ${command.usage}`} [OPTIONS]`,
    '',
    command.details,
    '',
    heading('Options'),
    ...rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`),
    ...(command.examples.length === 0 ? [] : ['', heading('Examples')]),
    ...command.examples.map(([line, what]) => `  ${PROGRAM} ${line.padEnd(exampleWidth)}  ${what}`),
  ].join('\n')
}
