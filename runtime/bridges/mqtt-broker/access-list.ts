import { scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { matchesFilter } from '../mqtt/topic-filter.ts'
import { isSameText } from '../same-text.ts'

export interface BrokerUser {
  readonly name: string
  /** Plain, or `scrypt:<salt>:<key>` in hexadecimal. */
  readonly password: string
  readonly read: readonly string[]
  readonly write: readonly string[]
}

/** What a client may do; filters of topics. */
export interface Rights {
  canRead(topic: string): boolean
  canWrite(topic: string): boolean
}

const HASHED = /^scrypt:([0-9a-f]+):([0-9a-f]+)$/
const derive = promisify<string, Buffer, number, Buffer>(scrypt)

export const ALL_RIGHTS: Rights = { canRead: () => true, canWrite: () => true }

/** Who may connect, and what they may read and write. */
export class AccessList {
  private readonly users: ReadonlyMap<string, BrokerUser>
  private readonly allowsAnonymous: boolean
  /** Hashed passwords are compared one at a time: each takes a core for a while. */
  private work: Promise<unknown> = Promise.resolve()
  /** Passwords that were right, so that devices that come back are not waited for. */
  private readonly right = new Map<string, string>()

  /** `allowsAnonymous` undefined: where there are no users. */
  constructor(users: readonly BrokerUser[], allowsAnonymous: boolean | undefined) {
    this.users = new Map(users.map((user) => [user.name, user]))
    this.allowsAnonymous = allowsAnonymous ?? users.length === 0
  }

  /** Undefined: it may not connect. */
  async rightsOf(username: string | undefined, password: Buffer | undefined): Promise<Rights | undefined> {
    if (username === undefined) return this.allowsAnonymous ? ALL_RIGHTS : undefined
    const user = this.users.get(username)
    if (user === undefined) return this.users.size === 0 && this.allowsAnonymous ? ALL_RIGHTS : undefined
    if (password === undefined || !(await this.isRight(user, password.toString('utf8')))) return undefined
    const { read, write } = user
    return {
      canRead: (topic) => read.some((filter) => matchesFilter(filter, topic)),
      canWrite: (topic) => write.some((filter) => matchesFilter(filter, topic)),
    }
  }

  private async isRight({ name, password: known }: BrokerUser, shown: string): Promise<boolean> {
    const hashed = HASHED.exec(known)
    if (hashed === null) return isSameText(shown, known)
    if (this.wasRight(name, shown)) return true
    const compared = this.work.then(async () => {
      // A crowd of devices may have one password: it is derived once.
      if (this.wasRight(name, shown)) return true
      const key = Buffer.from(hashed[2], 'hex')
      if (!timingSafeEqual(await derive(shown, Buffer.from(hashed[1], 'hex'), key.length), key)) return false
      this.right.set(name, shown)
      return true
    })
    this.work = compared.catch(() => {})
    return compared
  }

  private wasRight(name: string, shown: string): boolean {
    const right = this.right.get(name)
    return right !== undefined && isSameText(shown, right)
  }
}
