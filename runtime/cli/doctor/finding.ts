/** Something about this machine that the operator should know, with what to do about it. */
export interface Finding {
  /** A problem keeps something from working, a warning will; a hint is for who needs it, and does not count as trouble. */
  severity: 'problem' | 'warning' | 'hint'
  /** What was found, where. */
  what: string
  /** What follows from it. */
  meaning: string
  /** What to do, as a sentence. */
  remedy: string
  /** Commands to type, if any. */
  type?: readonly string[]
}

/** What one check has to say. */
export interface CheckResult {
  /** In a word or two: `power`, `card`. */
  topic: string
  /** What is well, in a few words; empty when there is nothing to say. */
  fine: string
  findings: readonly Finding[]
}
