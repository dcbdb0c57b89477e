import { DURATION_PATTERN, parseDuration, showDuration } from './duration.ts'
import { nearest } from './nearest.ts'
import { type Problem, problemAt, shown } from './problem.ts'

/**
 * The building blocks of the configuration's schema. One description serves the types, the defaults, the validation with
 * its messages, the JSON Schema for editors, and the question what a reload can apply.
 */
export interface Field<T> {
  readonly kind: 'object' | 'list' | 'leaf'
  readonly description: string
  readonly fallback: T
  /** A change takes effect only after a restart. */
  readonly needsRestart: boolean
  /** The object that it is a member of makes no sense without it. */
  readonly isRequired?: boolean
  /** What is expected, for error messages. */
  readonly expected: string
  readonly jsonSchema: Record<string, unknown>
  /** Members of an object. */
  readonly members?: Record<string, Field<unknown>>
  /** The checked value of a YAML node; problems are added, and the fallback stands in for what is wrong. */
  read(node: SourceNode, problems: Problem[]): T
}

/** A parsed YAML node with its place in the file. */
export interface SourceNode {
  /** Dotted, for messages: `limits.params`. */
  readonly path: string
  readonly value: unknown
  /** 1-based. */
  readonly line: number
  readonly column: number
  /** Entries of a mapping, undefined for everything else. */
  entries(): { key: string; node: SourceNode; line: number; column: number }[] | undefined
  items(): SourceNode[] | undefined
}

export type ValueOf<F> = F extends Field<infer T> ? T : never

interface LeafOptions<T> {
  description: string
  fallback: T
  needsRestart?: boolean
}

function leaf<T>(
  { description, fallback, needsRestart = false }: LeafOptions<T>,
  expected: string,
  jsonSchema: Record<string, unknown>,
  parse: (value: unknown) => T | undefined,
  hint: (value: unknown) => string = () => '',
): Field<T> {
  return {
    kind: 'leaf',
    description,
    fallback,
    needsRestart,
    expected,
    jsonSchema: { description, default: fallback, ...jsonSchema },
    read(node, problems) {
      const parsed = parse(node.value)
      if (parsed !== undefined) return parsed
      problems.push(
        problemAt(node, `${node.path}: ${shown(node.value)} is not allowed`, `${hint(node.value)}expected ${expected}`),
      )
      return fallback
    },
  }
}

export function text(options: LeafOptions<string>): Field<string> {
  return leaf(
    options,
    'text',
    { type: 'string' },
    (value) => (typeof value === 'string' ? value : undefined),
    // YAML reads 7, true and 1e3 as something else than text.
    (value) => (typeof value === 'number' || typeof value === 'boolean' ? `put it in quotes ("${value}"): ` : ''),
  )
}

export function flag(options: LeafOptions<boolean>): Field<boolean> {
  return leaf(options, 'true or false', { type: 'boolean' }, (value) =>
    typeof value === 'boolean' ? value : undefined,
  )
}

export function whole(options: LeafOptions<number> & { min: number; max: number; unit?: string }): Field<number> {
  const { min, max, unit } = options
  const expected = `a whole number from ${min} to ${max}${unit === undefined ? '' : ` (${unit})`}`
  const description = unit === undefined ? options.description : `${options.description} In ${unit}.`
  return leaf({ ...options, description }, expected, { type: 'integer', minimum: min, maximum: max }, (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined,
  )
}

/** A number that may have a fraction. */
export function decimal(options: LeafOptions<number> & { min: number; max: number; unit?: string }): Field<number> {
  const { min, max, unit } = options
  const expected = `a number from ${min} to ${max}${unit === undefined ? '' : ` (${unit})`}`
  const description = unit === undefined ? options.description : `${options.description} In ${unit}.`
  return leaf({ ...options, description }, expected, { type: 'number', minimum: min, maximum: max }, (value) =>
    typeof value === 'number' && value >= min && value <= max ? value : undefined,
  )
}

export function oneOf<const T extends string | boolean>(options: LeafOptions<T> & { values: readonly T[] }): Field<T> {
  const { values } = options
  return leaf(
    options,
    `one of ${values.join(', ')}`,
    { enum: values },
    (value) => values.find((allowed) => allowed === value),
    (value) => {
      const near = typeof value === 'string' ? nearest(value, values.map(String)) : undefined
      return near === undefined ? '' : `did you mean "${near}"? `
    },
  )
}

/** Milliseconds. In the file a number with a unit (`16ms`, `30s`, `5m`, `1h`, `7d`), or a bare number of seconds. */
export function duration(options: LeafOptions<number> & { minMs: number; maxMs: number }): Field<number> {
  const { minMs, maxMs } = options
  const expected = `a duration such as 500ms, 30s, 5m or 1h, from ${showDuration(minMs)} to ${showDuration(maxMs)}`
  const schema = {
    type: ['string', 'number'],
    pattern: DURATION_PATTERN,
    default: showDuration(options.fallback),
  }
  return leaf(options, expected, schema, (value) => {
    const ms = parseDuration(value) ?? Number.NaN
    return ms >= minMs && ms <= maxMs ? ms : undefined
  })
}

/** Text that satisfies `check`, which returns what is wrong or undefined. */
export function checkedText(
  options: LeafOptions<string> & { expected: string; check: (text: string) => string | undefined },
): Field<string> {
  const field = text(options)
  return {
    ...field,
    expected: options.expected,
    read(node, problems) {
      // Quotes alone would not help.
      if (typeof node.value === 'number' && options.check(String(node.value)) !== undefined) {
        problems.push(
          problemAt(node, `${node.path}: ${shown(node.value)} is not allowed`, `expected ${options.expected}`),
        )
        return options.fallback
      }
      const value = field.read(node, problems)
      const problem = typeof node.value === 'string' ? options.check(value) : undefined
      if (problem !== undefined)
        problems.push(problemAt(node, `${node.path}: ${problem}`, `expected ${options.expected}`))
      return value
    },
  }
}

/** A value that may be left out. */
export function optional<T>(field: Field<T>): Field<T | undefined> {
  const { default: _, ...jsonSchema } = field.jsonSchema
  return { ...field, fallback: undefined, jsonSchema }
}

/** A member that must be there when its object is. */
export function required<T>(field: Field<T>): Field<T> {
  const { default: _, ...jsonSchema } = field.jsonSchema
  return { ...field, isRequired: true, jsonSchema }
}

export function list<T>(options: { description: string; needsRestart?: boolean; of: Field<T> }): Field<T[]> {
  const { description, needsRestart = false, of } = options
  return {
    kind: 'list',
    description,
    fallback: [],
    needsRestart,
    expected: `a list (lines that start with "- ") of ${of.expected}`,
    jsonSchema: { description, type: 'array', items: of.jsonSchema, default: [] },
    read(node, problems) {
      const items = node.items()
      if (items !== undefined) return items.map((item) => of.read(item, problems))
      problems.push(problemAt(node, `${node.path}: ${shown(node.value)} is not a list`, `expected ${this.expected}`))
      return []
    },
  }
}

export function object<M extends Record<string, Field<unknown>>>(
  description: string,
  members: M,
): Field<{ [K in keyof M]: ValueOf<M[K]> }> {
  type T = { [K in keyof M]: ValueOf<M[K]> }
  const names = Object.keys(members)
  const requiredNames = names.filter((name) => members[name].isRequired)
  const defaults = () => Object.fromEntries(names.map((name) => [name, structuredClone(members[name].fallback)])) as T
  return {
    kind: 'object',
    description,
    fallback: defaults(),
    needsRestart: false,
    expected: `settings: ${names.join(', ')}`,
    // Members may know theirs only later.
    get jsonSchema() {
      return {
        description,
        type: 'object',
        additionalProperties: false,
        ...(requiredNames.length > 0 ? { required: requiredNames } : {}),
        properties: Object.fromEntries(names.map((name) => [name, members[name].jsonSchema])),
      }
    },
    members,
    read(node, problems) {
      const result: Record<string, unknown> = defaults()
      // `limits:` with nothing behind it means the defaults.
      if (node.value === null) return result as T
      const entries = node.entries()
      if (entries === undefined) {
        problems.push(
          problemAt(
            node,
            `${node.path || 'the file'}: ${shown(node.value)} is not allowed`,
            `expected ${this.expected}`,
          ),
        )
        return result as T
      }
      for (const { key, node: child, line, column } of entries) {
        const member = Object.hasOwn(members, key) ? members[key] : undefined
        if (member !== undefined) {
          result[key] =
            child.value === null && member.kind !== 'object' ? member.fallback : member.read(child, problems)
          continue
        }
        const near = nearest(key, names)
        problems.push({
          line,
          column,
          message: `unknown key "${key}"${node.path === '' ? '' : ` in ${node.path}`}`,
          remedy: `${near === undefined ? '' : `did you mean "${near}"? `}allowed: ${names.join(', ')}`,
        })
      }
      for (const name of requiredNames) {
        if (entries.some(({ key, node: child }) => key === name && child.value !== null)) continue
        problems.push(problemAt(node, `${node.path}: ${name} is missing`, `${name}: ${members[name].description}`))
      }
      return result as T
    },
  }
}
