import type { SerialBinding } from './serial-binding.ts'
import { SerialError } from './serial-error.ts'

const MIN_BAUD = 50
const MAX_BAUD = 4_000_000
/** What a UART tolerates between the two ends. */
const TOLERANCE = 0.03

/** Throws a SerialError for a rate that no port has. */
export function checkBaudRate(path: string, rate: number): void {
  if (Number.isInteger(rate) && rate >= MIN_BAUD && rate <= MAX_BAUD) return
  throw new SerialError('unsupported', `${rate} baud is not possible at ${path}: set ${MIN_BAUD} … ${MAX_BAUD}`)
}

/** Drivers take the nearest rate that they can make, without an error: rejects with a SerialError when that is too far. */
export async function checkActualBaudRate(binding: SerialBinding, path: string, wanted: number): Promise<void> {
  const { baudRate: actual } = await binding.getBaudRate()
  if (Math.abs(actual - wanted) <= wanted * TOLERANCE) return
  throw new SerialError(
    'unsupported',
    `${path} cannot do ${wanted} baud, the nearest is ${actual}: set that, or another`,
  )
}
