import { userInfo } from 'node:os'
import type { SystemFiles } from './system.ts'

/** A user with the groups that count for what it may open. */
export interface User {
  name: string
  uid: number
  gids: readonly number[]
  /** Groups that the system's files give it, which this process has not got yet. */
  newGids: readonly number[]
}

/** The user that the packages make for the service. */
const SERVICE_USER = 'clasp-edge'

/**
 * The user with this name as the system's files have it; undefined when there is none. Without a name: that of the
 * service when root asks and there is one, else who runs this process.
 */
export async function findUser(files: SystemFiles, name: string | undefined): Promise<User | undefined> {
  const isRoot = process.getuid?.() === 0
  if (name !== undefined) return storedUser(files, name)
  const service = isRoot ? await storedUser(files, SERVICE_USER) : undefined
  return service ?? currentUser(files)
}

async function currentUser(files: SystemFiles): Promise<User> {
  const { username, uid, gid } = userInfo()
  const gids = [gid, ...(process.getgroups?.() ?? [])]
  const stored = await storedUser(files, username)
  const newGids = (stored?.gids ?? []).filter((id) => !gids.includes(id))
  return { name: username, uid, gids, newGids }
}

/** passwd(5): name, password, uid, gid, …; group(5): name, password, gid, members. */
async function storedUser(files: SystemFiles, name: string): Promise<User | undefined> {
  const row = (await rows(files, '/etc/passwd')).find(([itsName]) => itsName === name)
  if (row === undefined) return undefined
  const groups = (await rows(files, '/etc/group')).filter(([, , , members = '']) => members.split(',').includes(name))
  return {
    name,
    uid: Number(row[2]),
    gids: [Number(row[3]), ...groups.map(([, , gid]) => Number(gid))],
    newGids: [],
  }
}

/** Undefined: no such group. */
export async function groupName(files: SystemFiles, gid: number): Promise<string | undefined> {
  return (await rows(files, '/etc/group')).find(([, , itsGid]) => Number(itsGid) === gid)?.[0]
}

/** Undefined: no such group. */
export async function groupId(files: SystemFiles, name: string): Promise<number | undefined> {
  const row = (await rows(files, '/etc/group')).find(([itsName]) => itsName === name)
  return row === undefined ? undefined : Number(row[2])
}

async function rows(files: SystemFiles, path: string): Promise<string[][]> {
  const text = (await files.text(path)) ?? ''
  return text.split('\n').map((line) => line.split(':'))
}

/** Whether the permission bits let a user read and write. */
export function mayUse(
  { uid: owner, gid, mode }: { uid: number; gid: number; mode: number },
  { uid, gids }: Pick<User, 'uid' | 'gids'>,
): boolean {
  if (uid === 0) return true
  const shift = uid === owner ? 6 : gids.includes(gid) ? 3 : 0
  return ((mode >> shift) & 0o6) === 0o6
}
