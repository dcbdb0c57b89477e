/** One figure of a part of the runtime. */
export interface PartRow {
  name: string
  measured: string
  target: string
}
