import type { DurabilityRule } from './durability.ts'
import type { Retention } from './messages.ts'
import type { RecordRule } from './record-rules.ts'

export interface JournalOptions {
  /** Of the database; it is made when missing. */
  folder: string
  /** The first rule that matches an address counts; without one it is `auto`. */
  durability: readonly DurabilityRule[]
  /** Empty = the default rules. */
  record: readonly RecordRule[]
  /** The longest that a busy or `memory` address goes unwritten. */
  checkpointMs: number
  /** What may reach the medium; 0 = no limit. */
  budgetBytesPerDay: number
  retention: Retention
  /** History that waits for the database takes so much memory at most. */
  maxQueueBytes: number
}

export const defaultJournalOptions: Omit<JournalOptions, 'folder'> = {
  durability: [],
  record: [],
  checkpointMs: 300_000,
  budgetBytesPerDay: 50_000_000,
  retention: { maxAgeMs: 7 * 86_400_000, maxEntries: 0, maxBytes: 67_108_864 },
  maxQueueBytes: 8_388_608,
}
