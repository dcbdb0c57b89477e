import type { Param } from './param.ts'

/** What one write of a bundle replaced: null for a new param. */
export interface Undo {
  param: Param
  before: {
    value: Uint8Array
    fields: Pick<
      Param,
      'valueCode' | 'revision' | 'writer' | 'timestampUs' | 'ttlMode' | 'ttlMs' | 'expiresAt' | 'holder'
    >
  } | null
}
