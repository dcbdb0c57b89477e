import type { IncomingMessage } from 'node:http'
import { get as getHttp } from 'node:http'
import { parseRouterUrl } from '../client/router-url.ts'
import type { DeviceReport } from '../firmware/device-report.ts'
import type { TappedFrame } from '../firmware/firmware-hub.ts'
import type { PortReport } from '../firmware/serial-lines.ts'
import { CommandError } from './command.ts'
import { type ConnectionValues, connectionOptions, connectOptions, routerUrl } from './connection.ts'
import { linesOf, textOf } from './lines-of.ts'

/** The type of a signal's values is missing where a router of an older version tells. */
export type ReportedDevice = Omit<DeviceReport, 'signals'> & {
  signals: (DeviceReport['signals'][number] & { type?: string })[]
}

/** The page `/firmware`. */
export interface FirmwareReport {
  ports: PortReport[]
  devices: ReportedDevice[]
  udp: Record<string, number>
}

/** Options of the commands that ask a router about its microcontrollers. Its pages want no token. */
export const pageOptions = { url: connectionOptions.url, timeout: connectionOptions.timeout } as const

/** The router cannot be asked. `absent`: nothing listens there, or it is not of our kind. */
export class PageError extends CommandError {
  readonly isAbsent: boolean

  constructor(message: string, isAbsent = false) {
    super(message)
    this.isAbsent = isAbsent
  }
}

/** What a running router tells of its microcontrollers. */
export class FirmwarePages {
  private readonly url: string
  private readonly timeoutMs: number

  private constructor(url: string, timeoutMs: number) {
    this.url = url
    this.timeoutMs = timeoutMs
  }

  /** Throws a UsageError. */
  static async of(values: ConnectionValues): Promise<FirmwarePages> {
    return new FirmwarePages(routerUrl(values), (await connectOptions(values)).timeoutMs)
  }

  /** Where the router is, for messages. */
  get place(): string {
    return parseRouterUrl(this.url).host
  }

  /** Rejects with a PageError or a ClientError. */
  async report(): Promise<FirmwareReport> {
    const { status, body } = await this.read('/firmware')
    if (status === 200 && isReport(body)) return body
    throw new PageError(
      `the router at ${this.place} does not tell about microcontrollers: it has none configured and UDP is off, its ` +
        'pages are off (http.status), or it is another program',
      true,
    )
  }

  /** The same, or undefined where no router of our kind can be asked. */
  async reportIfThere(): Promise<FirmwareReport | undefined> {
    return this.report().catch((error: Error) => {
      if (error instanceof PageError && error.isAbsent) return undefined
      throw error
    })
  }

  /** One PING and PONG of the link: ms, or why there is none. */
  async ping(uid: string): Promise<{ rttMs: number } | { error: string }> {
    const { status, body } = await this.read(`/firmware/ping?device=${encodeURIComponent(uid)}`)
    const answer = body as { rttMs?: unknown; error?: unknown } | undefined
    if (status === 200 && typeof answer?.rttMs === 'number') return { rttMs: answer.rttMs }
    return { error: typeof answer?.error === 'string' ? answer.error : `the router answered with ${status}` }
  }

  /** Frames as they pass, until the signal or the router ends it. */
  async *frames(of: { port: string } | { device: string }, signal: AbortSignal): AsyncGenerator<TappedFrame> {
    const [key, value] = Object.entries(of)[0]
    const response = await this.open(`/firmware/frames?${key}=${encodeURIComponent(value)}`, signal)
    try {
      if (response.statusCode !== 200) {
        const answer = parsed(await textOf(response)) as { error?: string } | undefined
        throw new PageError(`the router shows no frames: ${answer?.error ?? `it answered with ${response.statusCode}`}`)
      }
      for await (const line of linesOf(response, signal)) {
        const frame = parsed(line)
        if (isFrame(frame)) yield frame
      }
    } catch (error) {
      // How a connection ends that has no end of its own.
      const { name, code } = error as NodeJS.ErrnoException
      if (name !== 'AbortError' && code !== 'ECONNRESET') throw error
    } finally {
      response.destroy()
    }
  }

  private async read(path: string): Promise<{ status: number | undefined; body: unknown }> {
    const response = await this.open(path)
    return { status: response.statusCode, body: parsed(await textOf(response)) }
  }

  private async open(path: string, signal?: AbortSignal): Promise<IncomingMessage> {
    const { protocol, hostname, port } = parseRouterUrl(this.url)
    const isSecure = protocol === 'wss:' || protocol === 'tls:'
    const get = isSecure ? (await import('node:https')).get : getHttp
    const address = `${isSecure ? 'https' : 'http'}://${hostname}:${port || (isSecure ? 443 : 80)}${path}`
    return new Promise((resolve, reject) => {
      const request = get(address, { agent: false, signal }, (response) => {
        clearTimeout(timer)
        response.on('error', () => {
          // The reader sees its end.
        })
        resolve(response)
      })
      const timer = setTimeout(() => request.destroy(new Error('time-out')), this.timeoutMs)
      request.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer)
        reject(this.unreachable(error))
      })
    })
  }

  private unreachable(error: NodeJS.ErrnoException): PageError {
    const remedy = 'start one with "clasp-edge run", or name another with --url'
    if (error.code === 'ECONNREFUSED') return new PageError(`no router runs at ${this.place}: ${remedy}`, true)
    const what = error.message === 'time-out' ? `it did not answer within ${this.timeoutMs} ms` : error.message
    return new PageError(
      `the router at ${this.place} cannot be asked (${what}): is it running, and is this its address?`,
    )
  }
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}

function isReport(body: unknown): body is FirmwareReport {
  const report = body as Partial<FirmwareReport> | null | undefined
  return Array.isArray(report?.ports) && Array.isArray(report.devices)
}

function isFrame(body: unknown): body is TappedFrame {
  const frame = body as Partial<TappedFrame> | null | undefined
  return typeof frame?.hex === 'string' && typeof frame.mode === 'string'
}
