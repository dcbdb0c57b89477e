import type { Timeline } from './message.ts'
import type { Value } from './value.ts'
export function timelineToValue(_timeline: Timeline): Value { return { type: 'null' } }
