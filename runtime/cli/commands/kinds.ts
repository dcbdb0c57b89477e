import { hexAddress } from '../../../devices/i2c/bus.ts'
import { configJsonSchema } from '../../config/json-schema.ts'
import { nearest } from '../../config/nearest.ts'
import { CommandError, defineCommand } from '../command.ts'
import { cut, tableLines } from '../table.ts'
import type { Terminal } from '../terminal.ts'

/** What the configuration's JSON Schema says of one value. */
interface Described {
  readonly description?: string
  readonly const?: unknown
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Described>>
  readonly items?: Described
  readonly oneOf?: readonly Described[]
}

const SECTIONS = ['devices', 'bridges'] as const
const MAX_DEFAULT = 24

export const kinds = defineCommand({
  usage: '[KIND]',
  args: [0, 1],
  details:
    'Lists the kinds of devices and bridges that the configuration can name. With a KIND: its settings with their\n' +
    'defaults; those that have none and are marked with * must be given.',
  options: {
    json: { type: 'boolean', help: 'Print JSON.' },
  },
  examples: [
    ['kinds', 'everything that can be attached'],
    ['kinds relay', 'the settings of a relay'],
  ],
  async run({ values, args, terminal }) {
    const schema = (await configJsonSchema()) as Described
    const all = SECTIONS.flatMap((section) =>
      (schema.properties?.[section]?.items?.oneOf ?? []).map((kind) => ({ section, name: nameOf(kind), kind })),
    )
    const [wanted] = args
    if (wanted === undefined) {
      if (values.json)
        terminal.line(
          JSON.stringify(all.map(({ section, name, kind }) => ({ section, name, description: kind.description }))),
        )
      else
        for (const section of SECTIONS)
          list(
            section,
            all.filter((one) => one.section === section),
            terminal,
          )
      return 0
    }
    const found = all.filter(({ name }) => name === wanted)
    if (found.length === 0) {
      const near = nearest(
        wanted,
        all.map(({ name }) => name),
      )
      const remedy = near === undefined ? '"clasp-edge kinds" lists them' : `did you mean "${near}"?`
      throw new CommandError(`there is no kind "${wanted}": ${remedy}`)
    }
    for (const { section, kind } of found) {
      if (values.json) terminal.line(JSON.stringify(kind))
      else describe(section, kind, terminal)
    }
    return 0
  },
})

function nameOf(kind: Described): string {
  return String(kind.properties?.kind?.const ?? '')
}

function list(section: string, kinds: readonly { name: string; kind: Described }[], terminal: Terminal): void {
  const rows = kinds.map(({ name, kind }) => [name, kind.description ?? ''])
  for (const line of tableLines(terminal, [{ title: section }, { title: '' }], rows)) terminal.line(line)
  terminal.line('')
}

function describe(section: string, kind: Described, terminal: Terminal): void {
  terminal.line(`${terminal.paint('bold', nameOf(kind))} (${section}): ${kind.description ?? ''}`)
  const rows = settings(kind, '')
  for (const line of tableLines(terminal, [{ title: 'setting' }, { title: 'default' }, { title: '' }], rows)) {
    terminal.line(line)
  }
}

/** One row a setting; those of the rows of a table are indented below it. */
function settings({ properties = {}, required = [] }: Described, indent: string): string[][] {
  return Object.entries(properties).flatMap(([key, member]) => {
    if (indent === '' && key === 'kind') return []
    const mark = required.includes(key) ? ' *' : ''
    const row = [`${indent}${key}${mark}`, defaultOf(member), told(member)]
    // The same six settings for each of them.
    if (indent === '  ' && member.properties !== undefined)
      return [[row[0], '', Object.keys(member.properties).join(', ')]]
    const inner = member.items?.properties === undefined ? member : member.items
    return [row, ...(inner.properties === undefined ? [] : settings(inner, `${indent}  `))]
  })
}

function defaultOf({ default: fallback, enum: allowed }: Described): string {
  // Addresses of chips.
  if (typeof fallback === 'number' && allowed !== undefined) return hexAddress(fallback)
  if (fallback === undefined || (Array.isArray(fallback) && fallback.length === 0)) return ''
  return typeof fallback === 'object' ? '' : cut(String(fallback), MAX_DEFAULT)
}

function told({ description = '', enum: allowed }: Described): string {
  const isNumbers = allowed?.every((value) => typeof value === 'number') ?? true
  return allowed === undefined || isNumbers ? description : `${description} One of: ${allowed.join(', ')}`
}
