/**
 * missing: no such port; ambiguous: several ports fit; denied: no permission; busy: another process has it; module: the
 * library for serial ports is not there; unsupported: the port cannot do it; gone: unplugged or closed meanwhile;
 * failed: anything else.
 */
export type SerialFailure = 'missing' | 'ambiguous' | 'denied' | 'busy' | 'module' | 'unsupported' | 'gone' | 'failed'

/** A serial port cannot be used. The message is for the operator: what happened, where, what to do. */
export class SerialError extends Error {
  override readonly name = 'SerialError'
  readonly code: SerialFailure

  constructor(code: SerialFailure, message: string) {
    super(message)
    this.code = code
  }
}
