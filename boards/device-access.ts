import { readFile, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'

/** Who may open a device node, for the words about a refusal. */
export interface DeviceAccess {
  /** Of the node; undefined where it has gone meanwhile. */
  mode: number | undefined
  gid: number | undefined
  /** The name of its group, where there is one. */
  group: string | undefined
  /** Whoever is in the group may read and write. */
  isGroupEnough: boolean
  /** The user is in the group, as far as /etc/group goes. */
  isMember: boolean
  user: string
}

/** Looks at a node that could not be opened. `root` is where /etc is. Never rejects. */
export async function deviceAccess(path: string, { root = '/', user = userName() } = {}): Promise<DeviceAccess> {
  const info = await stat(path).catch(() => undefined)
  const group = (await readGroups(root)).find(({ gid }) => gid === info?.gid)
  return {
    mode: info?.mode,
    gid: info?.gid,
    group: group?.name,
    isGroupEnough: group !== undefined && group.gid !== 0 && info !== undefined && (info.mode & 0o060) === 0o060,
    isMember: group?.members.includes(user) === true,
    user,
  }
}

/** What the user of a node whose group is enough can do; `rule` is the other way. */
export function groupRemedy({ isMember, group, user }: DeviceAccess, rule: string): string {
  return isMember
    ? `${user} is in this group, but was added after this process started: log in again, or restart the service`
    : `run "sudo usermod -aG ${group} ${user}" and log in again or restart the service, or ${rule}`
}

export interface Group {
  name: string
  gid: number
  members: string[]
}

/** Those of /etc/group below `root`. Columns: name, password, number, members; see group(5). Never rejects. */
export async function readGroups(root: string): Promise<Group[]> {
  const text = await readFile(join(root, 'etc/group'), 'utf8').catch(() => '')
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((columns) => columns.length === 4)
    .map(([name, , gid, members]) => ({ name, gid: Number(gid), members: members.split(',') }))
}

/** A user id without an entry in /etc/passwd has no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.())
  }
}
