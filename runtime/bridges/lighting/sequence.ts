/** A packet that is at most so many numbers older than the last one came late; farther away, the sender began anew. */
const WINDOW = 20

/** Whether a sequence number 0…255 comes late, or twice. Source: E1.31 §6.7.2, bridges.md §6.4. */
export function isLate(sequence: number, last: number): boolean {
  const ahead = ((sequence - last) << 24) >> 24
  return ahead <= 0 && ahead > -WINDOW
}
