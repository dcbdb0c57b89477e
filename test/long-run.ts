/** Whether there is time for all cases (`npm run torture`) or just for some. */
export const isLongRun = process.env.CLASP_LONG === '1'

/** Every second case, all of them in a long run. */
export function someOf<T>(cases: readonly T[]): readonly T[] {
  return isLongRun ? cases : cases.filter((_, at) => at % 2 === 0)
}
