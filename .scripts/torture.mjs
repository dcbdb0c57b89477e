/** `npm run torture`: the runs that are too long for `npm test`. */
import { join } from 'node:path'
import { root, run } from './prepare.mjs'

const env = { ...process.env, CLASP_FUZZ_FRAMES: process.env.CLASP_FUZZ_FRAMES ?? '2000000' }
process.exit(
  run(process.execPath, [join(root, '.scripts', 'test.mjs'), 'test/firmware-protocol/fuzz.test.ts'], { env }),
)
