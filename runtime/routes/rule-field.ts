import type { Field, SourceNode } from '../config/fields.ts'
import type { Problem } from '../config/problem.ts'
import { compileRules, type RulesPlace } from './compile-rules.ts'
import { ruleJsonSchema } from './rule-json-schema.ts'

/** A list of rules as the file has them. They are compiled to be checked, and again when they are put to work. */
export function rules(description: string, place: RulesPlace = 'map'): Field<unknown[]> {
  return {
    kind: 'list',
    description,
    fallback: [],
    needsRestart: false,
    expected: 'a list (lines that start with "- ") of rules, each with match and to',
    jsonSchema: { description, type: 'array', items: { oneOf: [ruleJsonSchema] }, default: [] },
    read(node: SourceNode, problems: Problem[]) {
      compileRules(node, place, problems)
      return Array.isArray(node.value) ? node.value : []
    },
  }
}
