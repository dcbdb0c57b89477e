import type { Field, SourceNode } from './fields.ts'
import { nearest } from './nearest.ts'
import { type Problem, problemAt, shown } from './problem.ts'

/** An entry, and where it is in the file. */
export interface Placed<E> {
  readonly entry: E
  readonly node: SourceNode
}

type KindField = Field<Record<string, unknown>>

/** A list of which each entry says its kind, and has the settings of that kind. */
export function kindList<E>(options: {
  description: string
  needsRestart: boolean
  /** `device`: what the entries are. */
  noun: string
  /** Members that every entry has to have: `name and kind`. */
  needed: string
  /** By kind. */
  fields: ReadonlyMap<string, KindField>
  /** Makes an entry of what its field has read. */
  read(kind: string, field: KindField, node: SourceNode, problems: Problem[]): E
  /** What entries cannot have in common. */
  checkShared(entries: readonly Placed<E>[], problems: Problem[]): void
}): Field<E[]> {
  const { description, needsRestart, noun, needed, fields } = options
  const readEntry = (node: SourceNode, problems: Problem[]): E | undefined => {
    const members = node.entries()
    const kindNode = members?.find(({ key }) => key === 'kind')?.node
    if (members === undefined || kindNode === undefined) {
      const missing = members === undefined ? `this is not a ${noun}` : 'kind is missing'
      const remedy = `expected ${needed.replace(' and ', ', ')} and the settings of that kind`
      problems.push(problemAt(node, `${node.path}: ${missing}`, remedy))
      return undefined
    }
    const kind = String(kindNode.value)
    const field = typeof kindNode.value === 'string' ? fields.get(kind) : undefined
    if (field !== undefined) return options.read(kind, field, node, problems)
    const names = [...fields.keys()]
    const near = typeof kindNode.value === 'string' ? nearest(kind, names) : undefined
    const remedy = `${near === undefined ? '' : `did you mean "${near}"? `}allowed: ${names.join(', ')}`
    const message = `${kindNode.path}: there is no kind of ${noun} ${shown(kindNode.value)}`
    problems.push(problemAt(kindNode, message, remedy))
    return undefined
  }
  return {
    kind: 'list',
    description,
    fallback: [],
    needsRestart,
    expected: `a list (lines that start with "- ") of ${noun}s, each with ${needed}`,
    jsonSchema: {
      description,
      type: 'array',
      items: { oneOf: [...fields.values()].map(({ jsonSchema }) => jsonSchema) },
      default: [],
    },
    read(node, problems) {
      const items = node.items()
      if (items === undefined) {
        problems.push(problemAt(node, `${node.path}: this is not a list`, `expected ${this.expected}`))
        return []
      }
      const entries = items.flatMap((item) => {
        const entry = readEntry(item, problems)
        return entry === undefined ? [] : [{ entry, node: item }]
      })
      options.checkShared(entries, problems)
      return entries.map(({ entry }) => entry)
    },
  }
}
