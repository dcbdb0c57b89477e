/** What an optional part of the runtime (journal, uplink, hub) tells of itself. */
export interface PartReport {
  /** One line for an operator: state, reason, what waits. */
  summary: string
  /** Single figures and texts by name, in camel case. They become params below `/_clasp/<part>/` and metrics. */
  facts: Readonly<Record<string, string | number | boolean>>
}

/** By name of the part. */
export type PartReports = Readonly<Record<string, PartReport>>
