import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { SourceNode } from '../config/fields.ts'
import { nearest } from '../config/nearest.ts'
import { type Problem, problemAt, shown } from '../config/problem.ts'
import { numberOf } from './numbers.ts'
import { plainSource } from './plain-source.ts'
import { readExpression } from './read-expression.ts'
import { Settings } from './settings.ts'
import type { Moment } from './step.ts'
import { snakeCase, writtenForm } from './written-form.ts'

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
    return (value, moment) => {
      for (const holds of conditions) if (!holds(value, moment)) return false
      return true
    }
  },
  or: (settings, depth) => {
    const conditions = inner(settings, depth)
    return (value, moment) => {
      for (const holds of conditions) if (holds(value, moment)) return true
      return false
    }
  },
  not: (settings, depth) => {
    const node = settings.source('condition')
    return negated(node === undefined ? missing(settings) : read(node, settings.problems, depth + 1))
  },
}

/** The setting that a bare value stands for. */
const mainSettings: Readonly<Record<string, string>> = {
  greater_than: 'value',
  less_than: 'value',
  equals: 'value',
  expression: 'expr',
  and: 'conditions',
  or: 'conditions',
}

/** A condition with its `type`, `{greater_than: 1}`, or the text of an expression. */
export function readCondition(node: SourceNode, problems: Problem[]): Condition {
  return read(node, problems, 0)
}

function read(node: SourceNode, problems: Problem[], depth: number): Condition {
  if (typeof node.value === 'string') {
    return readers.expression(new Settings(plainSource({ expr: node.value }, node.path, node), problems), depth)
  }
  const written = writtenForm(node)
  if (written.name === '') {
    const message = `${node.path}: ${shown(node.value)} is no condition`
    problems.push(problemAt(node, message, 'expected an expression such as "value > 0.5", or {greater_than: 0.5}'))
    return always
  }
  const name = snakeCase(written.name)
  const reader = Object.hasOwn(readers, name) ? readers[name] : undefined
  if (reader === undefined || depth > MAX_DEPTH) {
    const near = nearest(name, Object.keys(readers))
    const hint = near === undefined ? '' : `did you mean "${near}"? `
    const message = reader === undefined ? `there is no condition ${shown(written.name)}` : 'it is nested too deeply'
    const remedy = `${hint}allowed: ${Object.keys(readers).join(', ')}`
    problems.push(problemAt(node, `${node.path}: ${message}`, remedy))
    return always
  }
  // {not: {less_than: 1}}, without a word for what is inside.
  const isBare = !written.isTagged && !written.node.entries()?.some(({ key }) => key === 'condition')
  if (name === 'not' && isBare) return negated(read(written.node, problems, depth + 1))
  const settings = new Settings(written.node, problems, mainSettings[name])
  if (written.isTagged) settings.has('type')
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

function negated(holds: Condition): Condition {
  return (value, moment) => !holds(value, moment)
}

function numeric(holds: (number: number) => boolean): Condition {
  return (value, moment) => {
    const number = numberOf(value, moment)
    return number !== undefined && holds(number)
  }
}
