import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { addressOf, foreignOf } from '../foreign-address.ts'
import { jsFromValue, NULL, valueFromJs } from '../json-value.ts'
import type { SocketIoOptions } from './socket-io-kind.ts'

/** Names that mean something to the library itself. */
const RESERVED = ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']

/** Events of one Socket.IO namespace and addresses: `cue:go` is `<base>/cue/go`. Source: bridges.md §13. */
export class EventMapping {
  /** First part of the addresses. */
  readonly base: string
  private readonly options: Pick<SocketIoOptions, 'defaultSignal' | 'signals'>

  constructor(namespace: string, sioNamespace: string, options: Pick<SocketIoOptions, 'defaultSignal' | 'signals'>) {
    this.base = sioNamespace === '/' ? namespace : `${namespace}${sioNamespace}`
    this.options = options
  }

  /** Undefined: the name does not fit into an address. */
  addressOf(event: string): string | undefined {
    return event === '' ? undefined : addressOf(this.base, event.split(':').join('/'))
  }

  /** Undefined: it is not below the base, or its name is reserved. */
  eventOf(address: string): string | undefined {
    const name = foreignOf(this.base, address)?.split('/').join(':')
    return name === undefined || RESERVED.includes(name) ? undefined : name
  }

  signalOf(event: string): 'param' | 'event' {
    return this.options.signals.find((one) => one.event === event)?.signal ?? this.options.defaultSignal
  }
}

/** For `MirrorGuard`: two nodes have the event in common, and addresses of their own. */
export function mirrorKey(event: string | undefined): string {
  return `socket.io ${event}`
}

/** One argument is its value, several are a list, none is Null; undefined: they cannot be a value. */
export function valueOfArguments(args: readonly unknown[]): Value | undefined {
  if (args.length === 0) return NULL
  return valueFromJs(args.length === 1 ? args[0] : args)
}

export function argumentOf(value: Value): unknown {
  return jsFromValue(value)
}
