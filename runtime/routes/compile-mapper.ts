import type { Problem } from '../config/problem.ts'
import { compileRules } from './compile-rules.ts'
import type { Mapper } from './mapper.ts'
import { plainSource } from './plain-source.ts'
import { type MapperParts, RuleMapper } from './rule-mapper.ts'

/**
 * Makes a mapper of a bridge's rules (bridges.md §18.2) for values on their way in or out. Throws a RangeError for rules
 * that are wrong, which the configuration has told before.
 */
export function compileMapper(rules: readonly unknown[], direction: 'in' | 'out', parts: MapperParts): Mapper {
  const problems: Problem[] = []
  const lists = compileRules(plainSource(rules, 'map'), 'map', problems)
  if (problems.length > 0) {
    throw new RangeError(problems.map(({ message, remedy }) => `${message}: ${remedy}`).join('; '))
  }
  return new RuleMapper(lists[direction], parts)
}
