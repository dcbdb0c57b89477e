import type { Field } from './fields.ts'

/** A list of which the entries are described by modules that are loaded when there are entries. */
export interface LazyList<T> extends Field<T[]> {
  /** Must have been called before `read`, and before `jsonSchema` tells more than that it is a list. */
  load(): Promise<void>
}

/** `load`: the field itself. Drivers and bridges say in their modules what can be set of them, and few are ever configured. */
export function lazyList<T>(options: {
  description: string
  needsRestart: boolean
  load: () => Promise<Field<T[]>>
}): LazyList<T> {
  const { description, needsRestart } = options
  let loaded: Field<T[]> | undefined
  return {
    kind: 'list',
    description,
    fallback: [],
    needsRestart,
    get expected() {
      return loaded?.expected ?? 'a list (lines that start with "- ")'
    },
    get jsonSchema() {
      return loaded?.jsonSchema ?? { description, type: 'array', default: [] }
    },
    read(node, problems) {
      if (loaded === undefined) throw new Error(`${node.path} was read before it was loaded`)
      return loaded.read(node, problems)
    },
    async load() {
      loaded ??= await options.load()
    },
  }
}
