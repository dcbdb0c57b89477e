import type { SourceNode } from '../config/fields.ts'
import { plainSource } from './plain-source.ts'

/** A transform or a condition as it stands in the file. */
export interface WrittenForm {
  /** As written; '' when it names nothing. */
  readonly name: string
  /** Where its settings are. */
  readonly node: SourceNode
  /** The name is beside the settings, below `type`. */
  readonly isTagged: boolean
}

/** `invert`, `{type: invert, …}` as upstream writes it, `{invert: {…}}`, and `{smooth: 0.5}` where one setting says it all. */
export function writtenForm(node: SourceNode): WrittenForm {
  const { path, value } = node
  if (typeof value === 'string') return { name: value, node: plainSource({}, path, node), isTagged: false }
  const entries = node.entries() ?? []
  const tag = entries.find(({ key }) => key === 'type')
  if (tag === undefined && entries.length === 1) {
    const [{ key, node: inside }] = entries
    return { name: key, node: inside, isTagged: false }
  }
  return { name: typeof tag?.node.value === 'string' ? tag.node.value : '', node, isTagged: true }
}

/** Names are in snake_case; camelCase, hyphens and capitals mean the same. */
export function snakeCase(name: string): string {
  return name
    .replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`)
    .replaceAll('-', '_')
    .toLowerCase()
}
