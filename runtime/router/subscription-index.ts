import {
  compileSegment,
  type PatternSegment,
  segmentMatches,
  segmentsOf,
} from '../../firmware-protocol/wire/pattern.ts'
import type { Subscription } from './subscription.ts'

/** A place in the tree of patterns, with the subscriptions whose pattern ends there. */
export class PatternNode {
  readonly id: number
  readonly parent: PatternNode | null
  readonly key: string
  readonly segment: PatternSegment
  readonly literals = new Map<string, PatternNode>()
  /** Children that are not literal: `*`, `**` and partial wildcards. */
  readonly wildcards = new Map<string, PatternNode>()
  readonly subscriptions = new Set<Subscription>()

  constructor(id: number, parent: PatternNode | null, key: string, segment: PatternSegment) {
    this.id = id
    this.parent = parent
    this.key = key
    this.segment = segment
  }
}

/** All subscriptions, in a tree of pattern segments: matching costs by the depth of the address, not by their number. */
export class SubscriptionIndex {
  private nextId = 0
  private readonly root = this.node(null, '')
  /** Changes whenever what matches an address may have changed. */
  epoch = 0
  size = 0

  add(subscription: Subscription): void {
    let node = this.root
    for (const key of segmentsOf(subscription.pattern)) {
      const segment = compileSegment(key)
      const children = segment.kind === 'literal' ? node.literals : node.wildcards
      let child = children.get(key)
      if (child === undefined) {
        child = this.node(node, key, segment)
        children.set(key, child)
      }
      node = child
    }
    node.subscriptions.add(subscription)
    this.size++
    this.epoch++
  }

  remove(subscription: Subscription): void {
    let node: PatternNode | null = this.find(subscription.pattern)
    if (node === null || !node.subscriptions.delete(subscription)) return
    this.size--
    this.epoch++
    while (node.parent !== null && node.subscriptions.size + node.literals.size + node.wildcards.size === 0) {
      const parent: PatternNode = node.parent
      const siblings = node.segment.kind === 'literal' ? parent.literals : parent.wildcards
      siblings.delete(node.key)
      node = parent
    }
  }

  /** The places whose patterns match the address, each once, in a stable order. */
  match(address: string): PatternNode[] {
    const found = new Map<number, PatternNode>()
    const segments = segmentsOf(address)
    // A place and a position are visited once, whatever `**` offers as ways to get there.
    const seen = new Set<number>()
    const visit = (node: PatternNode, at: number): void => {
      const step = node.id * (segments.length + 1) + at
      if (seen.has(step)) return
      seen.add(step)
      if (node.segment.kind === 'any' && at < segments.length) visit(node, at + 1)
      if (at === segments.length && node.subscriptions.size > 0) found.set(node.id, node)
      if (at < segments.length) {
        const literal = node.literals.get(segments[at])
        if (literal !== undefined) visit(literal, at + 1)
      }
      for (const child of node.wildcards.values()) {
        if (child.segment.kind === 'any') visit(child, at)
        else if (at < segments.length && segmentMatches(child.segment, segments[at])) visit(child, at + 1)
      }
    }
    visit(this.root, 0)
    return [...found.values()].sort((a, b) => a.id - b.id)
  }

  private find(pattern: string): PatternNode | null {
    let node: PatternNode | undefined = this.root
    for (const key of segmentsOf(pattern)) {
      node = node.literals.get(key) ?? node.wildcards.get(key)
      if (node === undefined) return null
    }
    return node
  }

  private node(parent: PatternNode | null, key: string, segment: PatternSegment = { kind: 'literal', text: '' }) {
    return new PatternNode(this.nextId++, parent, key, segment)
  }
}
