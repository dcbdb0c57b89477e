/** Where parts of the runtime report events. One call is one line; fields are for machines, the message is for operators. */
export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
