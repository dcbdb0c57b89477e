import { readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { Field } from './fields.ts'

const EXPECTED = 'text, or the file that holds it: {file: /path/to/secret}'

/**
 * A text that must not be in a file which others may read: given as text, or as `{file: /path}`, whose content counts
 * without the line end behind it. Messages never show its value.
 */
export function secret({
  description,
  needsRestart = false,
}: {
  description: string
  needsRestart?: boolean
}): Field<string> {
  const file = {
    type: 'object',
    properties: { file: { type: 'string' } },
    required: ['file'],
    additionalProperties: false,
  }
  return {
    kind: 'leaf',
    description,
    fallback: '',
    needsRestart,
    expected: EXPECTED,
    jsonSchema: { description, oneOf: [{ type: 'string' }, file] },
    read(node, problems) {
      if (typeof node.value === 'string') return node.value
      const entries = node.entries()
      const path = entries?.length === 1 && entries[0].key === 'file' ? entries[0].node : undefined
      const problem = (message: string, { line, column } = node) => {
        problems.push({ line, column, message: `${node.path}: ${message}`, remedy: `expected ${EXPECTED}` })
        return ''
      }
      if (path === undefined) return problem('this is not a secret')
      if (typeof path.value !== 'string' || !isAbsolute(path.value))
        return problem('file must be an absolute path', path)
      try {
        return readFileSync(path.value, 'utf8').replace(/\r?\n$/, '')
      } catch (error) {
        return problem(`${path.value} cannot be read (${(error as NodeJS.ErrnoException).code})`, path)
      }
    },
  }
}
