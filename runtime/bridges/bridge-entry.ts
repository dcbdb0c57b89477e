/** One bridge as the configuration names it. */
export interface BridgeEntry {
  /** Its name, as in `/_meta/bridges/<id>`. */
  readonly id: string
  /** That of a protocol in the registry. */
  readonly kind: string
  /** First part of its addresses; has a slash in front and none at its end. */
  readonly namespace: string
  readonly enabled: boolean
  /** The options of its kind. */
  readonly options: unknown
  /** Rules for values on their way (bridges.md §18.2), as the file has them. */
  readonly map: readonly unknown[]
}
