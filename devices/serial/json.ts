import { text } from '../options.ts'
import { textFieldsKind } from './text-fields-kind.ts'

/** Anything that sends a JSON object a line: `{"bme":{"t":21.5},"door":true}`. Source: RFC 8259, jsonlines.org. */
export const json = textFieldsKind({
  kind: 'json',
  description: 'Values in JSON, an object a line, at a serial port.',
  expected: 'line with a JSON object',
  options: {},
  columns: {
    path: text('Where it is in the object: bme.t, or values.0 for the first one of a list; its name when left out.'),
  },
  reader: (_, fields) => {
    const paths = fields.map(({ name, path = name }) => path.split('.'))
    return (line) => {
      const object = parsed(line)
      if (typeof object !== 'object' || object === null) return 'expected a JSON object such as {"t":21.5}'
      const told = paths.map((path) => at(object, path))
      const wanted = fields.map(({ name, path = name }) => path).join(', ')
      return told.every((value) => value === undefined) ? `it has none of ${wanted}: correct fields` : told
    }
  },
})

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Undefined: there is nothing. */
function at(object: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, key)) return undefined
    return (inner as Readonly<Record<string, unknown>>)[key]
  }, object)
}
