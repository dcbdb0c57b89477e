import type { Document, LineCounter } from 'yaml'
import type { SourceNode } from './fields.ts'

/** A parsed YAML document as the schema reads it; aliases stand for what they point to. */
export function yamlSource(yaml: typeof import('yaml'), document: Document, lines: LineCounter): SourceNode {
  const source = (written: unknown, path: string, parent: { line: number; column: number }): SourceNode => {
    const range = yaml.isNode(written) ? written.range : undefined
    const place = range ? lines.linePos(range[0]) : undefined
    const position = place === undefined ? parent : { line: place.line, column: place.col }
    const node = yaml.isAlias(written) ? written.resolve(document) : written
    return {
      path,
      ...position,
      get value() {
        try {
          return yaml.isNode(node) ? node.toJS(document) : (node ?? null)
        } catch {
          // Aliases that multiply beyond reason; no setting is made of such a thing.
          return { alias: path }
        }
      },
      entries: () =>
        yaml.isMap(node)
          ? node.items.map(({ key, value }) => {
              const name = String(yaml.isScalar(key) ? key.value : key)
              const keyNode = source(key, name, position)
              const child = source(value, path === '' ? name : `${path}.${name}`, keyNode)
              return { key: name, line: keyNode.line, column: keyNode.column, node: child }
            })
          : undefined,
      items: () =>
        yaml.isSeq(node) ? node.items.map((item, i) => source(item, `${path}[${i}]`, position)) : undefined,
    }
  }
  return source(document.contents, '', { line: 1, column: 1 })
}
