import { userInfo } from 'node:os'
import { readGroups } from '../../../boards/device-access.ts'
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

/** passwd(5): name, password, uid, gid, … */
async function storedUser(files: SystemFiles, name: string): Promise<User | undefined> {
  const rows = ((await files.text('/etc/passwd')) ?? '').split('\n').map((line) => line.split(':'))
  const row = rows.find(([itsName]) => itsName === name)
  if (row === undefined) return undefined
  const groups = (await readGroups(files.root)).filter(({ members }) => members.includes(name))
  return {
    name,
    uid: Number(row[2]),
    gids: [Number(row[3]), ...groups.map(({ gid }) => gid)],
    newGids: [],
  }
}

/** Undefined: no such group. */
export async function groupName(files: SystemFiles, gid: number): Promise<string | undefined> {
  return (await readGroups(files.root)).find((group) => group.gid === gid)?.name
}

/** Undefined: no such group. */
export async function groupId(files: SystemFiles, name: string): Promise<number | undefined> {
  return (await readGroups(files.root)).find((group) => group.name === name)?.gid
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
