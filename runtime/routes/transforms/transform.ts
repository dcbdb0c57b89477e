import type { SourceNode } from '../../config/fields.ts'
import type { Settings } from '../settings.ts'
import type { Step } from '../step.ts'

/** Makes a step of its settings; reports what is wrong with them there. */
export type TransformReader = (settings: Settings, read: NestedReader) => Step

/** Reads a transform, or a list of them, that a transform has inside; together they are one step. */
export type NestedReader = (node: SourceNode) => Step

/** By name, in snake_case. */
export type TransformTable = Readonly<Record<string, TransformReader>>
