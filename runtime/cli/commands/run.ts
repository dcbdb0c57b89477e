import { basename, relative } from 'node:path'
import { findConfig } from '../../config/find.ts'
import { ConfigError } from '../../config/problem.ts'
import type { Config } from '../../config/schema.ts'
import { type Edge, startEdge } from '../../edge.ts'
import { createLog } from '../../observability/log.ts'
import type { Log } from '../../router/log.ts'
import { defineCommand, UsageError } from '../command.ts'
import { wholeOption } from '../option-values.ts'
import { printable, type Terminal } from '../terminal.ts'
import { VERSION } from '../version-text.ts'

/** Ctrl-C ends the process within two seconds, unless a slow card has much to take: then it says so … */
const STOP_USUALLY_WITHIN_MS = 1500
/** … and the stop is cut short after the half minute that the journal takes at most. */
const STOP_WITHIN_MS = 32_000

export const run = defineCommand({
  usage: '',
  args: [0, 0],
  details:
    'Starts a router and runs it until SIGINT (Ctrl-C) or SIGTERM; a second one ends the process at once. SIGHUP reads the\n' +
    'configuration again, applies what can be changed while running and says what needs a restart.\n' +
    'Without --config, /etc/clasp-edge/config.yaml counts if it is there, else the defaults.',
  options: {
    config: { type: 'string', short: 'c', value: 'FILE', help: 'Configuration file (YAML).' },
    port: { type: 'string', short: 'p', value: 'PORT', help: 'Instead of listen.port; 0 takes any free one.' },
    host: { type: 'string', value: 'ADDRESS', help: 'Instead of listen.host.' },
    simulate: { type: 'boolean', help: 'With the simulated board, whatever board this is.' },
    'no-simulate': { type: 'boolean', help: 'Without the simulated board.' },
  },
  examples: [
    ['run', 'with the defaults'],
    ['run --config stage.yaml --port 8000', 'with a file, on another port'],
  ],
  async run({ values, terminal, signal }) {
    if (values.simulate && values['no-simulate'])
      throw new UsageError('--simulate and --no-simulate exclude each other')
    const port = wholeOption(values.port, '--port', 0, 65_535)
    const load = async () => {
      const { config, file } = await findConfig(values.config)
      if (port !== undefined) config.listen.port = port
      if (values.host !== undefined) config.listen.host = values.host
      if (values.simulate || values['no-simulate']) config.simulate = values.simulate === true
      return { config, file }
    }
    const { config, file } = await load()
    const log = createLog(config.log)
    const onUnhandled = (reason: unknown) => tellDefect(reason, log)
    process.on('unhandledRejection', onUnhandled)
    try {
      const edge = await startEdge(config, { log, version: VERSION })
      const onHangUp = () => reload(edge, load, log)
      process.on('SIGHUP', onHangUp)
      introduce(edge, config, file, terminal)
      await aborted(signal)
      process.off('SIGHUP', onHangUp)
      await stop(edge, log)
    } finally {
      process.off('unhandledRejection', onUnhandled)
      log.close()
    }
    return 0
  },
})

/**
 * A promise that nobody waited for has failed. That is a defect of the program, but what it was about concerns one part,
 * and the show goes on. What is thrown outside of promises may have left anything half done: that ends the process, and
 * the service manager starts it again.
 */
function tellDefect(reason: unknown, log: Log): void {
  const error = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)
  log.error('a part of the router has failed, the rest goes on: please report this', { error })
}

async function reload(edge: Edge, load: () => Promise<{ config: Config; file: string | undefined }>, log: Log) {
  try {
    const { config, file } = await load()
    const { applied, needsRestart } = edge.reload(config)
    const name = file ?? 'the defaults'
    log.info('configuration read again', { file: name, applied: applied.join(' ') || 'nothing has changed' })
    if (needsRestart.length > 0) log.warn('these changes need a restart', { keys: needsRestart.join(' ') })
  } catch (error) {
    for (const line of (error as Error).message.split('\n')) log.error(line)
    // Code is loaded when it is first wanted; an update may have replaced it.
    const remedy =
      error instanceof ConfigError
        ? 'correct the file and send SIGHUP again'
        : 'restart clasp-edge, above all after an update'
    log.error(`the configuration stays as it was: ${remedy}`)
  }
}

/** What to connect to, and what to do next. */
function introduce(edge: Edge, config: Config, file: string | undefined, terminal: Terminal): void {
  const { addresses, board, port, isSimulated } = edge
  const kind = isSimulated && !board.isSimulated ? `${board.model}, and a simulated board` : board.model
  const scheme = config.listen.tls === undefined ? 'TCP' : 'TLS'
  const first = new URL(addresses[0])
  const also = [`${scheme} ${first.hostname}:${port}`, ...(config.listen.udp ? [`UDP ${first.hostname}:${port}`] : [])]
  terminal.line(
    `${terminal.paint('bold', printable(config.name))} is running (clasp-edge ${VERSION}, ${printable(kind)}, ` +
      `configuration: ${file ?? 'defaults'})`,
  )
  terminal.line('connect to')
  for (const address of addresses) terminal.line(`  ${terminal.paint('green', address)}`)
  terminal.line(`  ${also.join(', ')}`)
  const url = localUrl(edge)
  const program = programName()
  const commands = isSimulated
    ? [`sub${url} '/sim/**'`, `set${url} /sim/led true`]
    : [`sub${url} '/**'`, `set${url} /hello/world 42`]
  terminal.line('try next, in another terminal')
  for (const command of commands) terminal.line(`  ${terminal.paint('cyan', `${program} ${command}`)}`)
}

/** The option that a command on this machine needs, if any. */
function localUrl({ addresses, port }: Edge): string {
  const address = addresses[addresses.length - 1]
  return address === 'ws://127.0.0.1:7330/clasp' && port === 7330 ? '' : ` --url ${address.replace(/\/clasp$/, '')}`
}

/** How this program was started, for commands to copy. */
function programName(): string {
  const script = process.argv[1]
  return basename(script) === 'clasp-edge' ? 'clasp-edge' : `node ${relative(process.cwd(), script)}`
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function stop(edge: Edge, log: Log): Promise<void> {
  const notice = setTimeout(() => {
    log.info('still stopping: what has changed is being stored; a second Ctrl-C ends this at once')
  }, STOP_USUALLY_WITHIN_MS)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      log.warn('stopping takes too long, the rest is cut off')
      resolve()
    }, STOP_WITHIN_MS)
  })
  await Promise.race([edge.stop(), late])
  clearTimeout(notice)
  clearTimeout(timer)
}
