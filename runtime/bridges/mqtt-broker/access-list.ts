import { createHash, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { matchesFilter } from '../mqtt/topic-filter.ts'
import { isSameText } from '../same-text.ts'

/** Filters of topics. */
interface Topics {
  readonly read: readonly string[]
  readonly write: readonly string[]
}

export interface BrokerUser extends Topics {
  readonly name: string
  /** Plain, or `scrypt:<salt>:<key>` in hexadecimal. */
  readonly password: string
}

/** Known by the password alone, whatever the user name. */
interface TokenHolder extends Topics {
  readonly token: string
}

export interface AccessOptions {
  readonly users: readonly BrokerUser[]
  readonly tokens: readonly TokenHolder[]
  /** Undefined: where there are neither users nor tokens, or rights for it. */
  readonly anonymous: boolean | undefined
  /** Undefined: everything. */
  readonly anonymousRights: Topics | undefined
}

export interface Identity {
  /** Whose sessions it may take over; undefined: those without a name. */
  readonly owner: string | undefined
  readonly rights: Rights
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
  private readonly tokens: readonly TokenHolder[]
  /** There are neither users nor tokens: any name is as good as none. */
  private readonly isOpen: boolean
  private readonly allowsAnonymous: boolean
  private readonly anonymousRights: Rights
  /** Hashed passwords are compared one at a time: each takes a core for a while. */
  private work: Promise<unknown> = Promise.resolve()
  /** Passwords that were right, so that devices that come back are not waited for. */
  private readonly right = new Map<string, string>()

  constructor({ users, tokens, anonymous, anonymousRights }: AccessOptions) {
    this.users = new Map(users.map((user) => [user.name, user]))
    this.tokens = tokens
    this.isOpen = users.length === 0 && tokens.length === 0
    this.allowsAnonymous = anonymous ?? (this.isOpen || anonymousRights !== undefined)
    this.anonymousRights = anonymousRights === undefined ? ALL_RIGHTS : rightsFrom(anonymousRights)
  }

  /** Who it is; undefined: it may not connect. */
  async identify(username: string | undefined, password: Buffer | undefined): Promise<Identity | undefined> {
    const shown = password?.toString('utf8')
    const user = username === undefined ? undefined : this.users.get(username)
    if (user !== undefined) {
      const isRight = shown !== undefined && (await this.isRight(user, shown))
      return isRight ? { owner: user.name, rights: rightsFrom(user) } : undefined
    }
    const holder = shown === undefined ? undefined : this.tokens.find(({ token }) => isSameText(shown, token))
    if (holder !== undefined) return { owner: ownerOf(holder), rights: rightsFrom(holder) }
    const rights = this.rightsOfOwner(username)
    return rights === undefined ? undefined : { owner: username, rights }
  }

  /** Of one who was let in before. */
  rightsOfOwner(owner: string | undefined): Rights | undefined {
    const known = owner === undefined ? undefined : this.users.get(owner)
    const holder = known ?? this.tokens.find((one) => ownerOf(one) === owner)
    if (holder !== undefined) return rightsFrom(holder)
    return this.allowsAnonymous && (owner === undefined || this.isOpen) ? this.anonymousRights : undefined
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

function rightsFrom({ read, write }: Topics): Rights {
  return {
    canRead: (topic) => read.some((filter) => matchesFilter(filter, topic)),
    canWrite: (topic) => write.some((filter) => matchesFilter(filter, topic)),
  }
}

/** No user has such a name: names have no NUL. */
function ownerOf({ token }: TokenHolder): string {
  return `\u0000${createHash('sha256').update(token).digest('hex')}`
}
