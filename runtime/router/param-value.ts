import { Reader } from '../../firmware-protocol/wire/reader.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { readValue } from '../../firmware-protocol/wire/value-codec.ts'
import type { Param } from './param.ts'
import type { Store } from './store.ts'

/** The value of a param as it is now; a copy. */
export function paramValue(store: Store, param: Param): Value {
  const bytes = store.value(param)
  return readValue(new Reader(bytes, 0, bytes.length), param.valueCode)
}
