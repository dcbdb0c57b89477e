import { readAggregator, SampleWindow } from '../aggregators.ts'
import { type Condition, readCondition } from '../conditions.ts'
import type { Recollection } from '../expression/scope.ts'
import { recallingStep } from '../numbers.ts'
import { readExpression } from '../read-expression.ts'
import type { Settings } from '../settings.ts'
import type { Step } from '../step.ts'
import type { NestedReader, TransformTable } from './transform.ts'

/** Steps made of other steps, and calculations. Source: bridges.md §18.3, §18.6, §18.7. */

interface Branches {
  readonly yes: unknown
  readonly no: unknown
}

const identity: Step = { run: (value) => value }

function readConditional(settings: Settings, read: NestedReader): Step {
  const node = settings.source('condition')
  if (node === undefined) settings.problem(settings.node, 'condition is missing', 'add condition: {type: …}')
  const holds: Condition = node === undefined ? () => true : readCondition(node, settings.problems)
  const branch = (name: string): Step => {
    const inside = settings.source(name)
    return inside === undefined ? identity : read(inside)
  }
  const yes = branch('ifTrue')
  const no = branch('ifFalse')
  const step: Step<Branches> = {
    start: () => ({ yes: yes.start?.(), no: no.start?.() }),
    run: (value, state, moment) =>
      holds(value, moment) ? yes.run(value, state.yes, moment) : no.run(value, state.no, moment),
  }
  return step as Step
}

function readExpressionStep(settings: Settings): Step {
  const expression = readExpression(settings, settings.has('expression') ? 'expression' : 'expr', 'transform')
  if (expression === undefined) return identity
  const step: Step<Recollection> = {
    start: () => ({ index: 0, previous: undefined, atMs: 0 }),
    run(value, memory, moment) {
      const operand = expression.evaluate(value, moment, memory)
      const result = expression.result(operand)
      if (result === undefined) return 'failed'
      memory.index++
      memory.previous = operand
      memory.atMs = moment.nowMs
      return result
    },
  }
  return step as Step
}

function readAggregate(settings: Settings): Step {
  const aggregator = readAggregator(settings)
  return recallingStep(
    () => new SampleWindow(aggregator),
    (number, window, { nowMs }) => window.add(number, nowMs),
  )
}

export const flow: TransformTable = {
  conditional: readConditional,
  expression: readExpressionStep,
  aggregate: (settings, read) => {
    // As upstream nests it: {type: aggregate, aggregator: {type: average}}.
    const inside = settings.source('aggregator')
    return inside === undefined ? readAggregate(settings) : read(inside)
  },
}
