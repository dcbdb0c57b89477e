import { until as untilWithin } from '../../until.ts'

/** This processor is computed, on a machine that may be busy. */
const WAIT_MS = 60_000

/** Waits until the condition holds; rejects, naming what was awaited, when it does not. */
export function until(condition: () => boolean, what: string): Promise<void> {
  return untilWithin(condition, what, WAIT_MS)
}
