import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { SourceNode } from '../config/fields.ts'
import { nearest } from '../config/nearest.ts'
import type { Problem } from '../config/problem.ts'
import { numberOf } from './numbers.ts'
import { plainSource } from './plain-source.ts'
import { readExpression } from './read-expression.ts'
import { Settings } from './settings.ts'
import type { Moment } from './step.ts'

/** Whether something is to happen to a value. Values that are no numbers are in no range. Source: bridges.md §18.5. */
export type Condition = (value: Value, moment: Moment) => boolean

const MAX_DEPTH = 32
const always: Condition = () => true

type Reader = (settings: Settings, depth: number) => Condition

const readers: Readonly<Record<string, Reader>> = {
  greater_than: (settings) => {
    const limit = settings.number('value')
    return numeric((number) => number > limit)
  },
  less_than: (settings) => {
    const limit = settings.number('value')
    return numeric((number) => number < limit)
  },
  equals: (settings) => {
    const wanted = settings.number('value')
    const tolerance = settings.number('tolerance', 0.001, { min: 0 })
    return numeric((number) => Math.abs(number - wanted) < tolerance)
  },
  in_range: (settings) => {
    const [min, max] = [settings.number('min'), settings.number('max')]
    if (min > max) settings.problem(settings.node, `min ${min} is above max ${max}`, 'swap them')
    return numeric((number) => number >= min && number <= max)
  },
  expression: (settings) => {
    const expression = readExpression(settings, settings.has('expression') ? 'expression' : 'expr', 'condition')
    return (value, moment) => expression?.evaluate(value, moment) === true
  },
  and: (settings, depth) => {
    const conditions = inner(settings, depth)
    return (value, moment) => conditions.every((holds) => holds(value, moment))
  },
  or: (settings, depth) => {
    const conditions = inner(settings, depth)
    return (value, moment) => conditions.some((holds) => holds(value, moment))
  },
  not: (settings, depth) => {
    const node = settings.source('condition')
    const holds = node === undefined ? missing(settings) : read(node, settings.problems, depth + 1)
    return (value, moment) => !holds(value, moment)
  },
}

/** A condition with its `type`, or the text of an expression. */
export function readCondition(node: SourceNode, problems: Problem[]): Condition {
  return read(node, problems, 0)
}

function read(node: SourceNode, problems: Problem[], depth: number): Condition {
  if (typeof node.value === 'string') {
    const { line, column, path } = node
    const source = { ...plainSource({ expr: node.value }, path), line, column }
    return readers.expression(new Settings(source, problems), depth)
  }
  const settings = new Settings(node, problems)
  const type = settings.text('type')
  const reader = Object.hasOwn(readers, type) ? readers[type] : undefined
  if (reader === undefined || depth > MAX_DEPTH) {
    const near = nearest(type, Object.keys(readers))
    const hint = near === undefined ? '' : `did you mean "${near}"? `
    const message = reader === undefined ? `there is no condition ${JSON.stringify(type)}` : 'it is nested too deeply'
    settings.problem(node, message, `${hint}allowed: ${Object.keys(readers).join(', ')}`)
    return always
  }
  const condition = reader(settings, depth)
  settings.finish()
  return condition
}

function inner(settings: Settings, depth: number): Condition[] {
  return settings.list('conditions').map((node) => read(node, settings.problems, depth + 1))
}

function missing(settings: Settings): Condition {
  settings.problem(settings.node, 'condition is missing', 'add the condition that is not to hold')
  return always
}

function numeric(holds: (number: number) => boolean): Condition {
  return (value, moment) => {
    const number = numberOf(value, moment)
    return number !== undefined && holds(number)
  }
}
