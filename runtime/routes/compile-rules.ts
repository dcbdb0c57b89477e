import type { SourceNode } from '../config/fields.ts'
import type { Problem } from '../config/problem.ts'
import { isReserved, RESERVED_REFUSAL } from '../router/reserved.ts'
import { compileRule } from './compile-rule.ts'
import { patternsOverlap } from './pattern-overlap.ts'
import type { CompiledRules, Rule } from './rule.ts'

const MAX_RULES = 1000

/**
 * `map`: rules of a bridge: forward is into the router unless a rule says out. `routes`: rules between two addresses of the
 * router: nothing may come back to where it came from.
 */
export type RulesPlace = 'map' | 'routes'

/** Rules by the way that values take. */
export interface RuleLists {
  /** Of a bridge. */
  readonly in: readonly Rule[]
  readonly out: readonly Rule[]
  readonly routes: CompiledRules
}

/** Compiles a list of rules; what is wrong becomes problems. */
export function compileRules(node: SourceNode, place: RulesPlace, problems: Problem[]): RuleLists {
  const items = node.items()
  const lists = { in: [] as Rule[], out: [] as Rule[], forward: [] as Rule[], backward: [] as Rule[] }
  if (items === undefined || items.length > MAX_RULES) {
    const message = items === undefined ? 'this is not a list' : `more than ${MAX_RULES} rules`
    const remedy = 'expected a list (lines that start with "- ") of rules, each with match and to'
    problems.push({ line: node.line, column: node.column, message: `${node.path}: ${message}`, remedy })
    return { ...lists, routes: lists }
  }
  for (const item of items) {
    const rule = compileRule(item, problems)
    if (rule === undefined) continue
    const { direction, isEnabled, forward, backward } = rule
    if (place === 'routes') checkRoute(item, direction, forward, problems)
    if (place === 'routes' || direction !== 'out') checkReserved(item, forward, problems)
    if (!isEnabled) continue
    lists[direction === 'out' ? 'out' : 'in'].push(forward)
    lists.forward.push(forward)
    if (backward !== null) {
      lists.out.push(backward)
      lists.backward.push(backward)
    }
  }
  return { ...lists, routes: lists }
}

function checkRoute(node: SourceNode, direction: string, rule: Rule, problems: Problem[]): void {
  const { line, column, path } = node
  if (direction === 'out') {
    const message = `${path}: a route goes from match to to`
    problems.push({ line, column, message, remedy: 'leave direction out and swap match and to, or say both' })
  }
  const circle = rule.skipsOwn ? undefined : rule.targetPatterns.find((target) => isOwnInput(target, rule))
  if (circle === undefined) return
  const message = `${path}: what it writes to ${circle} matches what it reads, ${rule.matcher.patterns.join(', ')}`
  problems.push({ line, column, message, remedy: 'write to addresses that it does not read' })
}

function checkReserved({ line, column, path }: SourceNode, { targetPatterns }: Rule, problems: Problem[]): void {
  const reserved = targetPatterns.find(isReserved)
  if (reserved === undefined) return
  const message = `${path}: it writes to ${reserved}: ${RESERVED_REFUSAL.message}`
  problems.push({ line, column, message, remedy: 'write to other addresses' })
}

/** A pattern is looser than ranges like {1-8}; an address can be tried. */
function isOwnInput(target: string, { matcher }: Rule): boolean {
  if (!target.includes('*')) return matcher.capturesOf(target) !== null
  return matcher.patterns.some((pattern) => patternsOverlap(pattern, target))
}
