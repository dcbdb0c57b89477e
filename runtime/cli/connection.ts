import { readFile } from 'node:fs/promises'
import type { Client } from '../client/client.ts'
import { type ConnectOptions, connect } from '../client/connect.ts'
import { DEFAULT_URL } from '../client/router-url.ts'
import { CommandError, UsageError } from './command.ts'
import { durationOption } from './option-values.ts'

/** Options of every command that talks to a router. */
export const connectionOptions = {
  url: {
    type: 'string',
    short: 'u',
    value: 'URL',
    help: `The router: ws://, wss://, tcp://, tls://, or host[:port]. Default: CLASP_URL, else ${DEFAULT_URL}`,
  },
  token: { type: 'string', value: 'TOKEN', help: 'Token, if the router wants one. Default: CLASP_TOKEN' },
  'token-file': { type: 'string', value: 'FILE', help: 'File that holds the token, which others can then not see.' },
  timeout: { type: 'string', value: 'TIME', help: 'How long to wait for the router, such as 500ms. Default: 5s' },
} as const

export interface ConnectionValues {
  readonly url?: string
  readonly token?: string
  readonly 'token-file'?: string
  readonly timeout?: string
}

export function routerUrl({ url }: ConnectionValues): string {
  return url ?? (process.env.CLASP_URL || DEFAULT_URL)
}

/** Throws a UsageError or a CommandError. */
export async function connectOptions(values: ConnectionValues): Promise<ConnectOptions & { timeoutMs: number }> {
  const timeoutMs = durationOption(values.timeout, '--timeout') ?? 5000
  if (timeoutMs < 1) throw new UsageError('--timeout must be above 0')
  return { name: 'clasp-edge command line', token: await readToken(values), timeoutMs }
}

/** Connects, lets the command do its work, and disconnects. */
export async function withClient<T>(
  values: ConnectionValues,
  signal: AbortSignal,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await connect(routerUrl(values), { ...(await connectOptions(values)), signal })
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

async function readToken({ token, 'token-file': file }: ConnectionValues): Promise<string | undefined> {
  if (file === undefined) return token ?? (process.env.CLASP_TOKEN || undefined)
  if (token !== undefined) throw new UsageError('--token and --token-file exclude each other')
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CommandError(`the token file ${file} cannot be read (${code}): check the path and its permissions`)
  }
}
