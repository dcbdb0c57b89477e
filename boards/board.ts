/** A board that the runtime may run on: data only. What it has beyond its name comes with the drivers that need it. */
export interface Board {
  /** For configuration and logs: `raspberry-pi-4`, `generic-linux`, `simulated`. */
  id: string
  /** As the board calls itself. */
  model: string
  /** Its signals are made up by the runtime, because nothing is attached. */
  isSimulated: boolean
}

/** One entry of the registry: recognises a board by the model that the device tree names. */
export interface BoardKind {
  /** Undefined when it is another board. */
  match(model: string): Board | undefined
}
