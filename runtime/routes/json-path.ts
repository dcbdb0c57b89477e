import type { Value } from '../../firmware-protocol/wire/value.ts'

/** A step of a JSONPath, with `..` before it or not. */
interface Selection {
  readonly isDeep: boolean
  readonly selectors: readonly Selector[]
}

type Selector =
  | { readonly kind: 'all' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'slice'; readonly start?: number; readonly end?: number; readonly step: number }

/** More would be no message any more. */
const MAX_HITS = 10_000

const NAME = /[A-Za-z_\u0080-\uffff][\w\u0080-\uffff-]*/y
const INDEX = /-?\d{1,9}/y
const SLICE = /(-?\d{1,9})?\s*:\s*(-?\d{1,9})?(?:\s*:\s*(-?\d{1,9})?)?/y
const QUOTED = /'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/y

/** JSONPath without filters (RFC 9535): names, `*`, indexes, slices, unions, `..`. The `$` may be left out. */
export class JsonPath {
  private readonly selections: readonly Selection[]

  private constructor(selections: readonly Selection[]) {
    this.selections = selections
  }

  /** The path, or what is wrong with it. */
  static parse(text: string): JsonPath | string {
    const parser = new PathParser(text)
    const problem = parser.read()
    return problem ?? new JsonPath(parser.selections)
  }

  /** Whether it can find one value at most (a singular query, RFC 9535 §2.3.5.1). */
  get isSingular(): boolean {
    return this.selections.every(
      ({ isDeep, selectors: [{ kind }, ...others] }) =>
        !isDeep && others.length === 0 && (kind === 'name' || kind === 'index'),
    )
  }

  /** In the order of the document; not more than 10 000. */
  select(root: Value): Value[] {
    let nodes: Value[] = [root]
    for (const { isDeep, selectors } of this.selections) {
      const from = isDeep ? nodes.flatMap(withDescendants).slice(0, MAX_HITS) : nodes
      nodes = from.flatMap((node) => selectors.flatMap((selector) => children(node, selector))).slice(0, MAX_HITS)
    }
    return nodes
  }
}

function withDescendants(node: Value): Value[] {
  return [node, ...children(node, { kind: 'all' }).flatMap(withDescendants)]
}

function children(node: Value, selector: Selector): readonly Value[] {
  if (node.type === 'map') {
    if (selector.kind === 'all') return node.value.map(([, member]) => member)
    const found = selector.kind === 'name' ? node.value.findLast(([key]) => key === selector.name) : undefined
    return found === undefined ? [] : [found[1]]
  }
  if (node.type !== 'array') return []
  const { value: items } = node
  if (selector.kind === 'all') return items
  if (selector.kind === 'slice') return sliced(items, selector)
  if (selector.kind === 'name') return []
  const item = items.at(selector.index)
  return item === undefined ? [] : [item]
}

function sliced(items: readonly Value[], { start, end, step }: Extract<Selector, { kind: 'slice' }>): Value[] {
  const { length } = items
  const place = (index: number) => (index < 0 ? length + index : index)
  const result: Value[] = []
  if (step > 0) {
    const stop = Math.min(length, place(end ?? length))
    for (let at = Math.max(0, place(start ?? 0)); at < stop; at += step) result.push(items[at])
  } else if (step < 0) {
    const stop = end === undefined ? -1 : Math.max(-1, place(end))
    for (let at = Math.min(length - 1, place(start ?? length - 1)); at > stop; at += step) result.push(items[at])
  }
  return result
}

class PathParser {
  readonly selections: Selection[] = []
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  /** Undefined, or what is wrong. */
  read(): string | undefined {
    if (this.text === '') return 'it is empty'
    if (!this.takes('$') && !/^[.[]/.test(this.text)) {
      const name = this.token(NAME)?.[0]
      if (name === undefined) return 'it starts with neither $ nor a name'
      this.selections.push({ isDeep: false, selectors: [{ kind: 'name', name }] })
    }
    while (this.at < this.text.length) {
      const at = this.at
      const selection = this.selection()
      if (selection === undefined) return `"${this.text.slice(at, at + 20)}" is no step of a path`
      this.selections.push(selection)
    }
    return undefined
  }

  private selection(): Selection | undefined {
    const isDeep = this.takes('..')
    if (this.takes('[')) {
      const selectors = this.bracketed()
      return selectors === undefined ? undefined : { isDeep, selectors }
    }
    if (!isDeep && !this.takes('.')) return undefined
    if (this.takes('*')) return { isDeep, selectors: [{ kind: 'all' }] }
    const name = this.token(NAME)?.[0]
    return name === undefined ? undefined : { isDeep, selectors: [{ kind: 'name', name }] }
  }

  private bracketed(): Selector[] | undefined {
    const selectors: Selector[] = []
    do {
      this.spaces()
      const selector = this.selector()
      if (selector === undefined) return undefined
      selectors.push(selector)
      this.spaces()
    } while (this.takes(','))
    return this.takes(']') ? selectors : undefined
  }

  private selector(): Selector | undefined {
    if (this.takes('*')) return { kind: 'all' }
    const quoted = this.token(QUOTED)
    if (quoted !== null) return { kind: 'name', name: (quoted[1] ?? quoted[2]).replace(/\\(.)/g, '$1') }
    const slice = this.token(SLICE)
    if (slice !== null) {
      const [start, end, step] = slice.slice(1).map((part) => (part === undefined ? undefined : Number(part)))
      return { kind: 'slice', start, end, step: step ?? 1 }
    }
    const index = this.token(INDEX)
    return index === null ? undefined : { kind: 'index', index: Number(index[0]) }
  }

  private spaces(): void {
    while (this.text[this.at] === ' ') this.at++
  }

  private takes(token: string): boolean {
    const isHere = this.text.startsWith(token, this.at)
    if (isHere) this.at += token.length
    return isHere
  }

  private token(rule: RegExp): RegExpExecArray | null {
    rule.lastIndex = this.at
    const found = rule.exec(this.text)
    if (found !== null) this.at += found[0].length
    return found
  }
}
