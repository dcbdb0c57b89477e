import type { Field, SourceNode } from '../config/fields.ts'
import type { Problem } from '../config/problem.ts'

/** A list of rules as the file has them, checked when they are compiled. */
export function rules(description: string): Field<unknown[]> {
  return {
    kind: 'list',
    description,
    fallback: [],
    needsRestart: false,
    expected: 'a list (lines that start with "- ") of rules, each with match and to',
    jsonSchema: { description, type: 'array', items: { type: 'object' }, default: [] },
    read(node: SourceNode, problems: Problem[]) {
      if (Array.isArray(node.value)) return node.value
      const { line, column } = node
      problems.push({ line, column, message: `${node.path}: this is no list`, remedy: `expected ${this.expected}` })
      return []
    },
  }
}
