import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { findProgram } from '../../find-program.ts'
import { CommandError, defineCommand, UsageError } from '../command.ts'
import { positiveOption, wholeOption } from '../option-values.ts'
import { printable, type Terminal } from '../terminal.ts'

/** Where it is to be plugged in: one of these. */
const PLACES = ['port', 'pty', 'udp'] as const
/** What the program takes in addition, under the same names. */
const PASSED_ON = [
  'name',
  'uid',
  'key',
  'firmware',
  'baud',
  'max-baud',
  'line-rate',
  'drift-ppm',
  'count',
  'signals',
  'rate',
  'seed',
] as const
const FLAGS = ['lossy', 'sleepy'] as const

export const simulateNode = defineCommand({
  usage: '',
  args: [0, 0],
  details:
    'Runs a microcontroller that exists only as a process: the firmware library as it runs on a board, at a serial port, at\n' +
    'a pseudo-terminal that it makes itself, or over UDP. Prints what happens to it, until Ctrl-C. What is typed goes to\n' +
    'it: set SIGNAL VALUE, emit SIGNAL [VALUE], get SIGNAL, value SIGNAL, unplug, plug, reset, sleep SECONDS, wake, mute,\n' +
    'unmute, stats, time.',
  options: {
    port: { type: 'string', value: 'PATH', help: 'At this serial port.' },
    pty: { type: 'string', value: 'LINK', help: 'At a pseudo-terminal; LINK becomes a link to it, for the router.' },
    udp: { type: 'string', value: 'HOST:PORT', help: 'Over UDP, to the router there.' },
    name: { type: 'string', value: 'NAME', help: 'Its name.' },
    uid: { type: 'string', value: 'HEX', help: 'Its uid, 16 hexadecimal digits.' },
    key: { type: 'string', value: 'HEX', help: 'Over UDP: its key, 64 hexadecimal digits.' },
    baud: { type: 'string', value: 'N', help: 'Speed at which it starts.' },
    firmware: { type: 'string', value: 'TEXT', help: 'The version that it says it has.' },
    'max-baud': { type: 'string', value: 'N', help: 'The fastest that it lets the router switch it to.' },
    'line-rate': { type: 'string', value: 'N', help: 'Makes a line that has no speed of its own this slow (baud).' },
    'drift-ppm': { type: 'string', value: 'N', help: 'Its clock runs wrong by so many millionths.' },
    count: { type: 'string', value: 'N', help: 'So many of them: name1, name2 …' },
    signals: { type: 'string', value: 'SET', help: 'board, bench:N or echo. Default: board' },
    rate: { type: 'string', value: 'N', help: 'For bench: changes a second of each signal, or max.' },
    lossy: { type: 'boolean', help: 'For bench: values that may be lost.' },
    sleepy: { type: 'boolean', help: 'Tells the router that it sleeps for minutes at a time.' },
    seed: { type: 'string', value: 'N', help: 'Of its random numbers, to have the same run again.' },
    json: { type: 'boolean', help: 'What happens as the program tells it, one object a line.' },
  },
  examples: [
    ['simulate node --pty /tmp/node', 'then: clasp-edge firmware monitor /tmp/node'],
    ['simulate node --udp 127.0.0.1:7330 --name demo', 'over UDP, at the router of this machine'],
  ],
  async run({ values, terminal, signal }) {
    const places = PLACES.filter((place) => values[place] !== undefined)
    if (places.length !== 1) throw new UsageError('where is it? say one of --port PATH, --pty LINK, --udp HOST:PORT')
    for (const name of ['baud', 'max-baud', 'line-rate', 'count'] as const) wholeOption(values[name], `--${name}`, 1)
    if (values.rate !== 'max') positiveOption(values.rate, '--rate')
    const folder = dirname(process.argv[1])
    const program = await findProgram(folder, 'simulated-node')
    if (program === null) {
      throw new CommandError(
        `the simulated microcontroller is not built (looked for simulated-node in ${folder} and /usr/lib/clasp-edge): run ` +
          '"npm run build" with a C compiler installed (sudo apt install gcc libc6-dev)',
      )
    }
    const args = [...places, ...PASSED_ON].flatMap((name) => {
      const value = values[name]
      return value === undefined ? [] : [`--${name}`, value]
    })
    for (const name of FLAGS) if (values[name]) args.push(`--${name}`)
    return runNode(program, args, values.json === true, terminal, signal)
  },
})

/** Resolves with an exit code when the program ends, or has been told to by the signal. */
async function runNode(
  program: string,
  args: readonly string[],
  isJson: boolean,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  // With --stdin it ends when its input does, so that it cannot outlive this process however that ends.
  const child = spawn(program, [...args, '--stdin'], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.on('error', () => {
    // It is gone: its exit tells.
  })
  const output = createInterface({ input: child.stdout })
  output.on('line', (line) => terminal.line(isJson ? line : printable(happening(line))))
  const typed = createInterface({ input: terminal.input })
  typed.on('line', (line) => child.stdin.write(`${line}\n`))
  const stop = () => void child.kill('SIGTERM')
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop)
  try {
    const end = await new Promise<{ code: number | null; cause: string }>((resolve) => {
      child.once('error', (error) => resolve({ code: null, cause: error.message }))
      child.once('close', (code, name) => resolve({ code, cause: name ?? `exit code ${code}` }))
    })
    if (end.code === 0 || signal.aborted) return 0
    throw new CommandError(`the simulated microcontroller has ended (${end.cause}): its own words are above`)
  } finally {
    signal.removeEventListener('abort', stop)
    typed.close()
    output.close()
  }
}

/** Why a signal has a new value. */
const WHYS: Readonly<Record<string, string>> = {
  initial: ', as the router has it',
  happened: ', an event',
  fellBack: ', its safe value: the link is down',
}

/** A line of the program, which is an object, in words. */
function happening(line: string): string {
  let said: Record<string, unknown>
  try {
    said = JSON.parse(line)
  } catch {
    return line
  }
  const { node, ...rest } = said
  return `${node === undefined ? '' : `${node}: `}${words(rest)}`
}

function words(said: Record<string, unknown>): string {
  const { state, input, value, why, match, refused, code, baud, answer, result, error, ...others } = said
  if (state !== undefined && answer === undefined) return `${state}`
  if (input !== undefined) return `${input} = ${JSON.stringify(value)}${WHYS[String(why)] ?? ''}`
  if (match !== undefined) return `there is ${match}`
  if (refused !== undefined) return `${refused}: the router refused it (${code})`
  if (baud !== undefined) return `now at ${baud} baud`
  if (error !== undefined) return `${answer}: ${error}`
  if (result !== undefined) return `${answer}: ${result}`
  const pairs = Object.entries({
    ...(state !== undefined && { state }),
    ...(value !== undefined && { value }),
    ...others,
  })
  return `${answer === undefined ? '' : `${answer}: `}${pairs.map(([key, item]) => `${key} ${JSON.stringify(item)}`).join(', ')}`
}
