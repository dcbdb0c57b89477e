import { duration, object } from './fields.ts'

/** When outputs take their safe states without being told. */
export const failSafe = object('Outputs of devices when the router does not answer.', {
  watchdog: duration({
    description: 'Outputs take their safe states when the router hangs for so long.',
    // Safe within 100 ms, with something left for the kernel to wake up clasp-io.
    fallback: 90,
    minMs: 20,
    maxMs: 60_000,
    needsRestart: true,
  }),
  linger: duration({
    description: 'How long safe outputs are held after the router was killed; until then a new one finds them busy.',
    fallback: 3000,
    minMs: 0,
    maxMs: 600_000,
    needsRestart: true,
  }),
})
