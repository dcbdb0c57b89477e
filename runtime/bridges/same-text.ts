import { createHash, timingSafeEqual } from 'node:crypto'

/** Compares a secret that was shown with the right one, in a time that tells nothing of either. */
export function isSameText(shown: string, right: string): boolean {
  return timingSafeEqual(digest(shown), digest(right))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
