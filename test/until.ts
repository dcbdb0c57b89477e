const WAIT_MS = 15_000

/** Waits until the condition holds; rejects, naming what was awaited, when it does not within a generous time. */
export async function until(condition: () => boolean, what: string, withinMs = WAIT_MS): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`no ${what} within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
