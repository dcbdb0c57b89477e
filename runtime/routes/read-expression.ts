import { Expression } from './expression/expression.ts'
import type { Dialect } from './expression/parser.ts'
import { ExpressionError } from './expression/tokens.ts'
import type { Settings } from './settings.ts'

const dialects: readonly Dialect[] = ['edge', 'evalexpr']

/** The expression in a setting, and `dialect` beside it; undefined when it is wrong, which is a problem then. */
export function readExpression(
  settings: Settings,
  name: string,
  use: 'transform' | 'condition',
): Expression | undefined {
  const dialect = settings.choice('dialect', dialects, 'edge')
  const node = settings.source(name) ?? settings.node
  const text = settings.text(name)
  try {
    return text === '' ? undefined : Expression.compile(text, dialect, use)
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    settings.problem(node, `${error.message} (character ${error.at + 1} of "${text.slice(0, 60)}")`, 'correct it')
    return undefined
  }
}
