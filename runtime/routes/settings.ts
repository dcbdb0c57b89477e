import type { Value } from '../../firmware-protocol/wire/value.ts'
import { fromJs } from '../../firmware-protocol/wire/values.ts'
import type { SourceNode } from '../config/fields.ts'
import { nearest } from '../config/nearest.ts'
import { type Problem, shown } from '../config/problem.ts'

export interface NumberLimits {
  min?: number
  max?: number
  /** The number itself is not allowed, greater ones are. */
  above?: number
  isWhole?: boolean
}

/**
 * Named settings of a rule, a transform or a condition. Names are camelCase, and snake_case as upstream writes them.
 * What is wrong becomes a problem with its place, and something harmless stands in for it.
 */
export class Settings {
  readonly node: SourceNode
  readonly problems: Problem[]
  private readonly members = new Map<string, { key: string; node: SourceNode; line: number; column: number }>()
  private readonly asked = new Set<string>()

  /** `main`: the setting that a bare value stands for, as in `{smooth: 0.5}`; left out: settings have to be named. */
  constructor(node: SourceNode, problems: Problem[], main?: string) {
    this.node = node
    this.problems = problems
    const entries = node.entries()
    for (const entry of entries ?? []) this.members.set(camelCase(entry.key), entry)
    if (entries !== undefined || node.value === null) return
    const { line, column } = node
    if (main !== undefined) this.members.set(main, { key: main, node, line, column })
    else
      this.problem(node, `${shown(node.value)} is not allowed`, 'expected settings with their names, such as {min: 0}')
  }

  has(name: string): boolean {
    this.asked.add(name)
    const value = this.members.get(name)?.node.value
    return value !== undefined && value !== null
  }

  /** A setting as it is written; undefined when it is not there. */
  source(name: string): SourceNode | undefined {
    return this.has(name) ? this.members.get(name)?.node : undefined
  }

  number(name: string, fallback?: number, limits: NumberLimits = {}): number {
    const { min = -Number.MAX_VALUE, max = Number.MAX_VALUE, above, isWhole = false } = limits
    const node = this.wanted(name, fallback !== undefined)
    if (node === undefined) return fallback ?? 0
    const { value } = node
    const isNumber = typeof value === 'number' && Number.isFinite(value) && (!isWhole || Number.isInteger(value))
    if (isNumber && value >= min && value <= max && (above === undefined || value > above)) return value
    const noun = isWhole ? 'a whole number' : 'a number'
    const bounds = [
      above === undefined ? '' : ` above ${above}`,
      limits.min === undefined ? '' : ` from ${min}`,
      limits.max === undefined ? '' : ` to ${max}`,
    ]
    this.problem(node, `${shown(value)} is not allowed`, `expected ${noun}${bounds.join('')}`)
    return fallback ?? above ?? limits.min ?? 0
  }

  optionalNumber(name: string, limits?: NumberLimits): number | undefined {
    return this.has(name) ? this.number(name, undefined, limits) : undefined
  }

  text(name: string, fallback?: string): string {
    const node = this.wanted(name, fallback !== undefined)
    if (node === undefined) return fallback ?? ''
    if (typeof node.value === 'string') return node.value
    this.problem(node, `${shown(node.value)} is not allowed`, 'expected text')
    return fallback ?? ''
  }

  flag(name: string, fallback: boolean): boolean {
    const node = this.wanted(name, true)
    if (node === undefined) return fallback
    if (typeof node.value === 'boolean') return node.value
    this.problem(node, `${shown(node.value)} is not allowed`, 'expected true or false')
    return fallback
  }

  choice<const T extends string>(name: string, values: readonly T[], fallback?: T): T {
    const node = this.wanted(name, fallback !== undefined)
    if (node === undefined) return fallback ?? values[0]
    const found = values.find((value) => value === node.value)
    if (found !== undefined) return found
    const near = typeof node.value === 'string' ? nearest(node.value, values) : undefined
    const hint = near === undefined ? '' : `did you mean "${near}"? `
    this.problem(node, `${shown(node.value)} is not allowed`, `${hint}expected one of ${values.join(', ')}`)
    return fallback ?? values[0]
  }

  /** Plain data of the file as a value; Null when it is not there. */
  value(node: SourceNode | undefined): Value {
    try {
      return fromJs(node?.value)
    } catch (error) {
      if (node !== undefined) this.problem(node, (error as Error).message, 'expected plain data')
      return { type: 'null' }
    }
  }

  /** Items of a list that must be there. */
  list(name: string): SourceNode[] {
    const node = this.wanted(name, false)
    if (node === undefined) return []
    const items = node.items()
    if (items !== undefined) return items
    this.problem(node, 'this is not a list', 'expected a list (lines that start with "- ")')
    return []
  }

  /** Keys that nobody asked for are problems. */
  finish(): void {
    for (const [name, { key, line, column }] of this.members) {
      if (this.asked.has(name)) continue
      const near = nearest(name, [...this.asked])
      const hint = near === undefined ? '' : `did you mean "${near}"? `
      const allowed = this.asked.size === 0 ? 'it has no settings' : `allowed: ${[...this.asked].join(', ')}`
      this.problems.push({
        line,
        column,
        message: `unknown key "${key}" in ${this.node.path}`,
        remedy: `${hint}${allowed}`,
      })
    }
  }

  problem(node: SourceNode, message: string, remedy: string): void {
    this.problems.push({ line: node.line, column: node.column, message: `${node.path}: ${message}`, remedy })
  }

  private wanted(name: string, isOptional: boolean): SourceNode | undefined {
    const node = this.source(name)
    if (node === undefined && !isOptional) this.problem(this.node, `${name} is missing`, `add ${name}`)
    return node
  }
}

function camelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
