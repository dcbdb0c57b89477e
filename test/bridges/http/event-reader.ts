import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { TestContext } from 'node:test'
import { until } from '../../until.ts'

export interface Received {
  id?: string
  event?: string
  data: Record<string, unknown>
}

/** A client of Server-Sent Events that reads them as the HTML standard says (§9.2.6), and keeps all. */
export class EventReader {
  readonly events: Received[] = []
  comments = 0
  isEnded = false
  lastId = ''
  readonly response: IncomingMessage
  private readonly outgoing: ClientRequest
  private text = ''

  private constructor(outgoing: ClientRequest, response: IncomingMessage) {
    this.outgoing = outgoing
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => this.read(chunk))
    response.on('error', () => {})
    response.on('close', () => {
      this.isEnded = true
    })
  }

  static async open(t: TestContext, port: number, path: string, lastId = ''): Promise<EventReader> {
    const headers: Record<string, string> = lastId === '' ? {} : { 'last-event-id': lastId }
    const outgoing = request({ host: '127.0.0.1', port, path, headers, agent: false })
    t.after(() => outgoing.destroy())
    outgoing.on('error', () => {})
    outgoing.end()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    return new EventReader(outgoing, response)
  }

  close(): void {
    this.outgoing.destroy()
  }

  async hears(count: number): Promise<Received[]> {
    await until(
      () => this.events.length >= count,
      `${count} events, there are ${JSON.stringify(this.events).slice(0, 500)}`,
    )
    return this.events
  }

  private read(chunk: string): void {
    this.text += chunk
    const blocks = this.text.split('\n\n')
    this.text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map<string, string>()
      for (const line of block.split('\n')) {
        const colon = line.indexOf(':')
        if (colon === 0) this.comments++
        else fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''))
      }
      this.lastId = fields.get('id') ?? this.lastId
      const data = fields.get('data')
      if (data !== undefined)
        this.events.push({ id: fields.get('id'), event: fields.get('event'), data: JSON.parse(data) })
    }
  }
}
