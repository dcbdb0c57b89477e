import type { Client } from '../../client/client.ts'
import { HttpError } from './http-error.ts'

/** A client of the router that is opened when it is needed, and again after the router has closed it. */
export class LastingClient {
  private readonly open: () => Promise<Client>
  private opening: Promise<Client> | null = null
  private isClosed = false

  constructor(open: () => Promise<Client>) {
    this.open = open
  }

  /** Rejects with an HttpError after `close`: requests go on for a while at a port that stays. */
  get(): Promise<Client> {
    if (this.isClosed) return Promise.reject(new HttpError('unavailable', 'the bridge is stopping'))
    if (this.opening !== null) return this.opening
    const opening = this.open()
    this.opening = opening
    const forget = () => {
      if (this.opening === opening) this.opening = null
    }
    opening.then((client) => client.closed.then(forget), forget)
    return opening
  }

  async close(): Promise<void> {
    const { opening } = this
    this.isClosed = true
    await opening?.then((client) => client.close()).catch(() => {})
  }
}
