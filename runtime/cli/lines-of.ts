import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

/** The lines of a stream, as they come, until it ends or the signal is aborted. */
export async function* linesOf(input: Readable, signal: AbortSignal): AsyncGenerator<string> {
  if (signal.aborted) return
  const reader = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY, signal })
  try {
    yield* reader
  } finally {
    reader.close()
  }
}

/** All of a stream as text, if it is not longer than `limit` characters. */
export async function textOf(input: Readable, limit = 10_000_000): Promise<string | undefined> {
  let text = ''
  input.setEncoding('utf8')
  for await (const chunk of input) {
    text += chunk
    if (text.length > limit) return undefined
  }
  return text
}
