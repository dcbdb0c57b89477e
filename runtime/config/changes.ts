import { isDeepStrictEqual } from 'node:util'
import type { Field } from './fields.ts'
import { type Config, schema } from './schema.ts'

/** What differs between two configurations, as dotted keys: what a running router can take over, and what it cannot. */
export interface ConfigChanges {
  applied: string[]
  needsRestart: string[]
}

export function configChanges(before: Config, after: Config): ConfigChanges {
  const changes: ConfigChanges = { applied: [], needsRestart: [] }
  compare(schema as Field<unknown>, before, after, '', changes)
  return changes
}

function compare(field: Field<unknown>, before: unknown, after: unknown, path: string, changes: ConfigChanges): void {
  if (isDeepStrictEqual(before, after)) return
  if (field.members === undefined || before === undefined || after === undefined) {
    const needsRestart = field.needsRestart || Object.values(field.members ?? {}).some((member) => member.needsRestart)
    changes[needsRestart ? 'needsRestart' : 'applied'].push(path)
    return
  }
  for (const [name, member] of Object.entries(field.members)) {
    const key = path === '' ? name : `${path}.${name}`
    compare(member, (before as Record<string, unknown>)[name], (after as Record<string, unknown>)[name], key, changes)
  }
}
